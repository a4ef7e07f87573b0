/** How well a detector finds objects, by COCO's numbers, at the resolution of the photos. */
import type { DenseViews } from "../../data/dense/dense_views.ts";
import { batchSize, boxesAtSource, detectionSize, wholePlacement } from "../../data/dense/placement.ts";
import { packMask } from "../../data/dense/run_lengths.ts";
import type { InstanceTarget } from "../../data/dense/target.ts";
import {
  type CocoMetrics,
  type DetectedObject,
  measureDetections,
  type TrueObject,
} from "../../evaluate/coco.ts";
import { trueObjects } from "../../evaluate/coco_results.ts";
import type { DetectorNetwork } from "../../nn/detection/detector_network.ts";
import { detectObjects } from "../../nn/detection/infer.ts";
import { maskPixels, pasteMask } from "../../nn/detection/paste.ts";
import { Tape } from "../../tensor/tape.ts";
import type { FineTuneConfig } from "../config.ts";

/** COCO's numbers. */
export interface DetectionMetrics {
  readonly boxes: CocoMetrics;
  /** Absent for boxes alone. */
  readonly masks?: CocoMetrics;
}

/** What is found in each photo. */
export type OnDetections = (index: number, detections: readonly DetectedObject[]) => Promise<void>;

/**
 * Detects in photos, each as a whole, and measures.
 *
 * @param indices of the photos; those that cannot be read are left out
 * @throws the signal's reason when it is interrupted
 */
export async function evaluateDetection(
  network: DetectorNetwork,
  views: DenseViews<InstanceTarget>,
  indices: Uint32Array,
  { shortSide, longSide }: FineTuneConfig["detection"],
  signal: AbortSignal,
  onDetections?: OnDetections,
): Promise<DetectionMetrics> {
  const { classes } = views.source;
  const rule = network.detector.settings.masks?.paste;
  const truth: TrueObject[] = [], found: DetectedObject[] = [], images: number[] = [];
  for (const index of indices) {
    signal.throwIfAborted();
    const batch = await views.load(Uint32Array.of(index));
    const [{ index: loaded, target }] = batch;
    // In place of a photo that cannot be read stands another, which is counted by itself.
    if (loaded !== index) continue;
    const source = { height: target.height, width: target.width };
    const shown = shortSide === null ? source : detectionSize(source, { shortSide, longSide });
    const placement = wholePlacement(source, shown);
    const padded = batchSize([shown], network.stride);
    using input = views.show(batch, [{ placement, colours: [] }], padded);
    using tape = new Tape(network.gpu, false);
    const pass = network.pass({ tape, training: false });
    const [{ boxes, scores, labels, masks }] = await detectObjects(
      network.detector,
      pass,
      network.features(pass, input),
      { sizes: [shown], padded },
    );
    const corners = boxesAtSource(boxes, placement);
    const own = Array.from(labels, (label, at): DetectedObject => {
      const [x0, y0, x1, y1] = corners.subarray(4 * at, 4 * at + 4);
      return {
        imageId: target.imageId,
        categoryId: classes[label - 1].id,
        score: scores[at],
        box: [x0, y0, x1 - x0, y1 - y0],
        ...masks && {
          mask: packMask(
            maskPixels(pasteMask(masks[at], Float32Array.of(x0, y0, x1, y1), source, rule), source),
            source.height,
            source.width,
          ),
        },
      };
    });
    images.push(target.imageId);
    truth.push(...trueObjects(target, classes));
    found.push(...own);
    await onDetections?.(index, own);
  }
  const categories = classes.map(({ id }) => id);
  // With a box a result has its box's area, also where masks are measured: sizes of masks are their own.
  const maskOnly = found.map(({ box: _, ...rest }) => rest);
  return {
    boxes: measureDetections(truth, found, { kind: "box", images, categories }),
    ...rule && { masks: measureDetections(truth, maskOnly, { kind: "mask", images, categories }) },
  };
}
