/** Between sets of objects and COCO's files: the truth to measure against, and results that its tools read. */
import { compressRuns } from "../data/dense/run_lengths.ts";
import type { DenseClass, InstanceTarget } from "../data/dense/target.ts";
import type { DetectedObject, TrueObject } from "./coco.ts";

/** An image's objects as they are measured against: all of them, classes by their ids in the files. */
export function trueObjects(
  { imageId, instances }: InstanceTarget,
  classes: readonly Pick<DenseClass, "id">[],
): TrueObject[] {
  return instances.map(({ classIndex, box, area, crowd, ignored, mask }) => ({
    imageId,
    categoryId: classes[classIndex].id,
    box,
    area,
    crowd,
    ignored,
    ...(mask && { mask }),
  }));
}

/**
 * Detections in COCO's results format: a list of {image_id, category_id, score, bbox?, segmentation?}, masks as compressed
 * runs. A result with both has its box's area, also where masks are measured: write two files to have each its own.
 */
export function resultsJson(detections: readonly DetectedObject[]): string {
  const lines = detections.map(({ imageId, categoryId, score, box, mask }) =>
    JSON.stringify({
      image_id: imageId,
      category_id: categoryId,
      score,
      ...(box && { bbox: box }),
      ...(mask && { segmentation: { size: [mask.height, mask.width], counts: compressRuns(mask) } }),
    })
  );
  return lines.length === 0 ? "[]\n" : `[\n${lines.join(",\n")}\n]\n`;
}
