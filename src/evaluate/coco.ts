/**
 * COCO's measures of detection: average precision and recall of boxes or masks, as pycocotools computes them.
 *
 * Per image and category detections are matched to the truth in order of their scores (coco_match.ts); over all images they
 * are then joined in order of score, precision is made non-increasing and read at 101 recalls (coco_curve.ts).
 */
import { DataError } from "../errors.ts";
import { type Curve, curveOf, joinImages } from "./coco_curve.ts";
import {
  areaRanges,
  type DetectedObject,
  type ImageMatches,
  iouThresholds,
  matchImage,
  mostDetections,
  type TrueObject,
} from "./coco_match.ts";

export type { DetectedObject, TrueObject } from "./coco_match.ts";

/** What to measure, and over what. */
export interface CocoRequest {
  readonly kind: "box" | "mask";
  /** Ids of the images that are looked at; those without objects and detections among them. */
  readonly images: readonly number[];
  /** Ids of the categories. */
  readonly categories: readonly number[];
  /** Whether all categories count as one. Default false. */
  readonly classAgnostic?: boolean;
}

/** One category's measures over all areas; null where it has no object that counts. */
export interface CategoryPrecision {
  readonly categoryId: number;
  readonly AP: number | null;
  readonly AP50: number | null;
  readonly AP75: number | null;
  /** Mean over the thresholds of the recall with 100 detections an image. */
  readonly AR100: number | null;
  /** Recall with 100 detections an image at each of {@linkcode iouThresholds}. */
  readonly recalls: readonly number[] | null;
}

/** COCO's twelve numbers, in its order; null where no object counts, for which pycocotools says −1. */
export interface CocoMetrics {
  readonly AP: number | null;
  readonly AP50: number | null;
  readonly AP75: number | null;
  readonly APsmall: number | null;
  readonly APmedium: number | null;
  readonly APlarge: number | null;
  readonly AR1: number | null;
  readonly AR10: number | null;
  readonly AR100: number | null;
  readonly ARsmall: number | null;
  readonly ARmedium: number | null;
  readonly ARlarge: number | null;
  /** Empty when all categories count as one. */
  readonly perCategory: readonly CategoryPrecision[];
}

/**
 * Measures detections.
 *
 * @param truth all objects of the images; others are passed over
 * @param detections any number an image; the best 100 of an image and category count
 * @throws {DataError} for a detection of an image that is not looked at, a score that is not finite, or a missing box or mask
 */
export function measureDetections(
  truth: readonly TrueObject[],
  detections: readonly DetectedObject[],
  request: CocoRequest,
): CocoMetrics {
  const listed = sortedIds(request.categories);
  const matches = matchAll(truth, detections, request);
  /** [categories][area ranges][numbers of detections] */
  const curves = matches.map((images) =>
    areaRanges.map((_, range) =>
      mostDetections.map((most) => curveOf(joinImages(images.map((image) => image[range]), most)))
    )
  );
  return { ...twelve(curves), perCategory: request.classAgnostic ? [] : perCategory(listed, curves) };
}

/** What of a set's detections is right, over all areas: [categories][images], both in the order of their ids. */
export type SetMatches = readonly (readonly ImageMatches[])[];

/**
 * Matches detections to the truth, for {@linkcode averagePrecisionOf}.
 *
 * @throws {DataError} as {@linkcode measureDetections}
 */
export function matchDetections(
  truth: readonly TrueObject[],
  detections: readonly DetectedObject[],
  request: CocoRequest,
): SetMatches {
  return matchAll(truth, detections, request).map((images) => images.map(([all]) => all));
}

/** The AP of matches as a function of how often each image counts, in the order of their ids; once where it is not said. */
export function averagePrecisionOf(matches: SetMatches): (times?: Uint32Array) => number | null {
  const joined = matches.map((images) => joinImages(images, mostDetections.at(-1)!));
  return (times) => averagePrecision(joined.map((images) => curveOf(images, times)));
}

/** [categories][images][area ranges] */
function matchAll(
  truth: readonly TrueObject[],
  detections: readonly DetectedObject[],
  { kind, images, categories, classAgnostic = false }: CocoRequest,
): ImageMatches[][][] {
  const [ids, listed] = [sortedIds(images), sortedIds(categories)];
  check(truth, detections, kind, new Set(ids));
  const groups = classAgnostic ? [listed] : listed.map((category) => [category]);
  const trueOf = groupBy(truth), foundOf = groupBy(detections);
  return groups.map((group) =>
    ids.map((image) => {
      const objects = group.flatMap((category) => trueOf.get(`${image} ${category}`) ?? []);
      const found = group.flatMap((category) => foundOf.get(`${image} ${category}`) ?? []);
      return matchImage(objects, found, kind);
    })
  );
}

function sortedIds(ids: readonly number[]): number[] {
  return [...new Set(ids)].sort((a, b) => a - b);
}

function check(
  truth: readonly TrueObject[],
  detections: readonly DetectedObject[],
  kind: CocoRequest["kind"],
  images: ReadonlySet<number>,
): void {
  for (const [at, { imageId, score }] of detections.entries()) {
    if (!images.has(imageId)) {
      throw new DataError(`detection ${at} is of image ${imageId}, which the set has not`);
    }
    if (!Number.isFinite(score)) throw new DataError(`detection ${at} has the score ${score}`);
  }
  for (const [what, list] of [["detection", detections], ["object", truth]] as const) {
    const lacking = list.findIndex((one) => one[kind] === undefined);
    if (lacking >= 0) {
      throw new DataError(
        `${what} ${lacking} has no ${kind}, so ${kind === "box" ? "boxes" : "masks"} cannot be measured`,
      );
    }
  }
}

/** In the order of the list. */
function groupBy<T extends { readonly imageId: number; readonly categoryId: number }>(list: readonly T[]) {
  return Map.groupBy(list, ({ imageId, categoryId }) => `${imageId} ${categoryId}`);
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Mean precision over recalls, thresholds and categories that have one. */
function averagePrecision(curves: readonly (Curve | undefined)[], iou?: number): number | null {
  const chosen = iouThresholds.flatMap((value, index) => iou === undefined || value === iou ? [index] : []);
  return mean(
    curves.flatMap((curve) => curve ? chosen.flatMap((index) => Array.from(curve.precision[index])) : []),
  );
}

function averageRecall(curves: readonly (Curve | undefined)[]): number | null {
  return mean(curves.flatMap((curve) => curve?.recall ?? []));
}

const [iou50, , , , , iou75] = iouThresholds;

function twelve(curves: readonly (readonly (readonly (Curve | undefined)[])[])[]) {
  const of = (range: number, most: number) => curves.map((category) => category[range][most]);
  return {
    AP: averagePrecision(of(0, 2)),
    AP50: averagePrecision(of(0, 2), iou50),
    AP75: averagePrecision(of(0, 2), iou75),
    APsmall: averagePrecision(of(1, 2)),
    APmedium: averagePrecision(of(2, 2)),
    APlarge: averagePrecision(of(3, 2)),
    AR1: averageRecall(of(0, 0)),
    AR10: averageRecall(of(0, 1)),
    AR100: averageRecall(of(0, 2)),
    ARsmall: averageRecall(of(1, 2)),
    ARmedium: averageRecall(of(2, 2)),
    ARlarge: averageRecall(of(3, 2)),
  };
}

function perCategory(
  categories: readonly number[],
  curves: readonly (readonly (readonly (Curve | undefined)[])[])[],
): CategoryPrecision[] {
  return categories.map((categoryId, index) => {
    const curve = curves[index][0][2];
    return {
      categoryId,
      AP: averagePrecision([curve]),
      AP50: averagePrecision([curve], iou50),
      AP75: averagePrecision([curve], iou75),
      AR100: averageRecall([curve]),
      recalls: curve?.recall ?? null,
    };
  });
}
