/** Objects that nobody saw, to plan a detector with. */
import { batchSize, detectionSize, type Size } from "../../data/dense/placement.ts";
import type { InstanceTarget } from "../../data/dense/target.ts";
import type { TrainingObjects } from "../../nn/detection/losses.ts";
import type { Detection } from "../../train/detection/detection.ts";
import type { FineTuneConfig } from "../config.ts";
import type { ImaginedData } from "../dense/run.ts";

/** Batches as they come up, beside the largest: to rehearse one takes a while. */
const usualBatches = 2;
/** Objects of an image where few are enough. */
const fewObjects = 4;

/** The largest size that a photo is trained at. */
function trainedSize(
  source: Size,
  { shortSide, longSide, crop, augmentScale }: FineTuneConfig["detection"],
): Size {
  if (crop) return { height: crop[0], width: crop[1] };
  if (shortSide !== null) return detectionSize(source, { shortSide, longSide });
  const side = (length: number) => Math.floor(length * augmentScale[1] + 0.5);
  return { height: side(source.height), width: side(source.width) };
}

/** Objects side by side, disjoint, all with one mask; they are regions of their own, so each is trained on. */
function sideBySide(count: number, { height, width }: Size, masks: boolean): TrainingObjects {
  const columns = Math.ceil(Math.sqrt(count));
  const boxes = Array.from({ length: count }, (_, at) => {
    const [left, top] = [at % columns * width / columns, Math.floor(at / columns) * height / columns];
    return [left, top, left + width / columns, top + height / columns];
  });
  const mask = new Uint8Array(height * width);
  return {
    boxes: Float32Array.from(boxes.flat()),
    labels: new Int32Array(count).fill(1),
    ...masks && { masks: new Array<Uint8Array>(count).fill(mask) },
  };
}

/** Inputs are photos, resized and padded to the largest of their batch, or crops. */
export function imaginedObjects(
  config: FineTuneConfig["detection"],
): ImaginedData<Detection, InstanceTarget> {
  return {
    inputs(sources, batch, { encoder: { stride } }) {
      const sizes = sources.map((source) => trainedSize(source, config));
      const found = new Map<string, Size>();
      const add = (some: readonly Size[]) => {
        const size = batchSize(some, stride);
        found.set(`${size.height}x${size.width}`, size);
      };
      // Upright and broad photos of one batch are all padded to the sides of both.
      add(sizes);
      for (let first = 0; first < sizes.length && first < usualBatches * batch; first += batch) {
        add(sizes.slice(first, first + batch));
      }
      return [...found.values()] as [Size, ...Size[]];
    },
    given({ encoder: { detector: { settings } } }, batch, size, objects) {
      const { size: regions, positiveFraction } = settings.boxes.targets.sample;
      const most = Math.max(1, Math.floor(regions * positiveFraction));
      const count = objects === "most" ? most : Math.min(fewObjects, most);
      const one = sideBySide(count, size, settings.masks !== undefined);
      const each = <T>(value: T) => new Array<T>(batch).fill(value);
      return { objects: { sizes: each(size), padded: size, objects: each(one) } };
    },
    target: (size) => ({ kind: "instances", ...size, imageId: 1, instances: [] }),
  };
}
