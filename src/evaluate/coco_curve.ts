/** Precision over recall of one category and range of areas, over images that are joined in order of score. */
import { type ImageMatches, iouThresholds } from "./coco_match.ts";

/** Of one category and range of areas, at every threshold. */
export interface Curve {
  /** [thresholds][recalls]: precision. */
  readonly precision: readonly Float64Array[];
  /** [thresholds]: the last recall. */
  readonly recall: readonly number[];
}

/** Detections of several images, by falling score. */
export interface JoinedImages {
  readonly images: readonly ImageMatches[];
  readonly detections: readonly { readonly image: number; readonly detection: number }[];
}

/** Recalls at which precision is read. */
const recallPoints = Array.from({ length: 101 }, (_, index) => index === 100 ? 1 : index * (1 / 100));
/** Keeps 0 of 0 detections from being no number, as the original does. */
const tiny = 2 ** -52;

/**
 * Joins images, in order of their ids.
 *
 * @param most detections of an image
 */
export function joinImages(images: readonly ImageMatches[], most: number): JoinedImages {
  const detections = images.flatMap(({ scores }, image) =>
    Array.from(scores.subarray(0, most), (score, detection) => ({ score, image, detection }))
  );
  detections.sort((a, b) => b.score - a.score); // stable, as everywhere
  return { images, detections };
}

/**
 * The curve of joined images; undefined where no object counts.
 *
 * @param times how often each image counts; once where it is not given
 */
export function curveOf({ images, detections }: JoinedImages, times?: Uint32Array): Curve | undefined {
  const objects = images.reduce((sum, { objects }, image) => sum + objects * (times?.[image] ?? 1), 0);
  if (objects === 0) return undefined;
  const perThreshold = iouThresholds.map((_, threshold) => {
    const recalls: number[] = [], precisions: number[] = [];
    let right = 0, wrong = 0;
    for (const { image, detection } of detections) {
      const count = times?.[image] ?? 1;
      if (count === 0) continue;
      const outcome = images[image].outcomes[threshold][detection];
      if (outcome === "right") right += count;
      else if (outcome === "wrong") wrong += count;
      recalls.push(right / objects);
      precisions.push(right / (wrong + right + tiny));
    }
    for (let at = precisions.length - 1; at > 0; at--) {
      precisions[at - 1] = Math.max(precisions[at - 1], precisions[at]);
    }
    const precision = new Float64Array(recallPoints.length);
    let at = 0;
    recallPoints.forEach((recall, point) => {
      while (at < recalls.length && recalls[at] < recall) at++;
      precision[point] = precisions[at] ?? 0;
    });
    return { precision, recall: recalls.at(-1) ?? 0 };
  });
  return {
    precision: perThreshold.map(({ precision }) => precision),
    recall: perThreshold.map(({ recall }) => recall),
  };
}
