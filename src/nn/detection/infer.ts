/** Detecting: from a backbone's taps to boxes, classes, scores and masks. */
import type { Tensor } from "../../tensor/tensor.ts";
import type { Pass } from "../layers.ts";
import { gridAnchors } from "./anchors.ts";
import { boxCount, type Boxes, type ImageSize } from "./boxes.ts";
import { detect, type Detections } from "./detections.ts";
import { type Detector, joinRegions, type ProposalOutput } from "./detector.ts";
import { type ProposalRule, selectProposals } from "./proposals.ts";

/** A batch of images, each at the upper left of a common size. */
export interface PaddedImages {
  /** Without padding. */
  readonly sizes: readonly ImageSize[];
  readonly padded: ImageSize;
}

/** Detections of one image with their masks. */
export interface MaskedDetections extends Detections {
  /** Probabilities [side, side] of each detection's class; absent where the detector has no masks. */
  readonly masks?: readonly Float32Array<ArrayBuffer>[];
}

/** Reads a batch's proposals back and sifts them: one wait. */
export async function readProposals(
  { settings: { anchors } }: Detector,
  outputs: readonly ProposalOutput[],
  { sizes, padded }: PaddedImages,
  rule: ProposalRule,
): Promise<Boxes[]> {
  const { gpu } = outputs[0].objectness;
  const contents = await gpu.read(...outputs.flatMap(({ objectness, deltas }) => [objectness, deltas]));
  const maps = outputs.map(({ objectness: { shape: [, , height, width] } }) => ({ height, width }));
  const grids = gridAnchors(anchors, maps, padded);
  return sizes.map((size, image) => {
    const part = (tensor: number) => {
      const values = new Float32Array(contents[tensor]);
      const each = values.length / sizes.length;
      return values.subarray(image * each, (image + 1) * each);
    };
    const levels = grids.map((grid, map) => ({
      objectness: part(2 * map),
      deltas: part(2 * map + 1),
      anchors: grid,
      anchorsPerPosition: outputs[map].objectness.shape[1],
    }));
    return selectProposals(levels, size, rule).boxes;
  });
}

/**
 * Detects objects, as torchvision's models in evaluation mode do behind their backbone. Waits for the device two times, and
 * once more for masks.
 *
 * @param pass one that does not record
 * @param taps of the backbone, from fine to coarse
 * @returns detections of each image, in pixels of the images as they were given
 */
export async function detectObjects(
  detector: Detector,
  pass: Pass,
  taps: readonly Tensor[],
  images: PaddedImages,
): Promise<MaskedDetections[]> {
  const { gpu } = taps[0];
  const { settings } = detector;
  const maps = detector.pyramid(pass, taps);
  const outputs = detector.propose(pass, maps);
  const proposals = await readProposals(detector, outputs, images, settings.proposals.testing);
  const regions = joinRegions(proposals);
  const found: Detections[] = [];
  if (regions.images.length > 0) {
    const { logits, codes } = detector.boxes(pass, maps, images.sizes, regions);
    const contents = (await gpu.read(logits, codes)).map((bytes) => new Float32Array(bytes));
    let first = 0;
    proposals.forEach((boxes, image) => {
      const end = first + boxCount(boxes);
      const [scores, moves] = contents.map((values) => {
        const each = values.length / regions.images.length;
        return values.subarray(first * each, end * each);
      });
      found.push(detect(boxes, scores, moves, images.sizes[image], settings.boxes.detections));
      first = end;
    });
  } else {
    const none = new Float32Array(0);
    for (const size of images.sizes) found.push(detect(none, none, none, size, settings.boxes.detections));
  }
  if (!settings.masks) return found;
  const masked = joinRegions(found.map(({ boxes }) => boxes));
  if (masked.images.length === 0) return found.map((one) => ({ ...one, masks: [] }));
  const logits = detector.masks(pass, maps, images.sizes, masked);
  const values = await logits.read();
  const [, classes, side] = logits.shape;
  let region = 0;
  return found.map((one) => ({
    ...one,
    masks: Array.from(one.labels, (label) => {
      const start = (region++ * classes + label) * side * side;
      return values.slice(start, start + side * side).map((value) => 1 / (1 + Math.exp(-value)));
    }),
  }));
}
