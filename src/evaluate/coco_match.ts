/** Which detections of one image are right, by COCO's rules. */
import { commonArea, type CornerBox, type RunLengths, runsArea, runsBox } from "../data/dense/run_lengths.ts";

/** An object that is there. */
export interface TrueObject {
  readonly imageId: number;
  readonly categoryId: number;
  readonly box: CornerBox;
  /** COCO's `area` field, which decides the range of sizes; not recomputed from box or mask. */
  readonly area: number;
  /** Many objects in one: detections inside do not count, and it need not be found. */
  readonly crowd: boolean;
  /** Need not be found, e.g. "difficult" in VOC; pycocotools has only crowds. Default false. */
  readonly ignored?: boolean;
  /** Needed to measure masks. */
  readonly mask?: RunLengths;
}

/** An object that was found. A mask without a box has its own area, one with a box the box's. */
export interface DetectedObject {
  readonly imageId: number;
  readonly categoryId: number;
  readonly score: number;
  /** Needed to measure boxes. */
  readonly box?: CornerBox;
  /** Needed to measure masks. */
  readonly mask?: RunLengths;
}

/** Overlaps from which a detection is right: 0.5 to 0.95, to the last bit as numpy's linspace makes them. */
export const iouThresholds: readonly number[] = Array.from(
  { length: 10 },
  (_, index) => index === 9 ? 0.95 : index * ((0.95 - 0.5) / 9) + 0.5,
);

/** Areas in pixels that are looked at: all, small, medium, large. Ends belong to them. */
export const areaRanges: readonly (readonly [least: number, most: number])[] = [
  [0, 1e10],
  [0, 32 ** 2],
  [32 ** 2, 96 ** 2],
  [96 ** 2, 1e10],
];

/** Numbers of detections, of an image and category, that are looked at. */
export const mostDetections: readonly number[] = [1, 10, 100];

/** Of one image and range of areas. */
export interface ImageMatches {
  /** Of the best 100 detections, falling. */
  readonly scores: Float64Array;
  /** [thresholds][detections]; what is ignored is neither right nor wrong. */
  readonly outcomes: readonly (readonly ("right" | "wrong" | "ignored")[])[];
  /** Objects that count. */
  readonly objects: number;
}

/**
 * Intersection over union of two boxes; of a detection and a crowd, intersection over the detection's area.
 *
 * @param crowd whether `truth` is one
 */
export function boxOverlap(detected: CornerBox, truth: CornerBox, crowd: boolean): number {
  const [x, y, width, height] = detected;
  const [otherX, otherY, otherWidth, otherHeight] = truth;
  const common = Math.min(x + width, otherX + otherWidth) - Math.max(x, otherX);
  if (common <= 0) return 0;
  const commonHeight = Math.min(y + height, otherY + otherHeight) - Math.max(y, otherY);
  if (commonHeight <= 0) return 0;
  const intersection = common * commonHeight;
  const area = width * height;
  return intersection / (crowd ? area : area + otherWidth * otherHeight - intersection);
}

/** A mask with what is asked for again and again. */
interface MeasuredMask {
  readonly runs: RunLengths;
  readonly box: CornerBox;
  readonly area: number;
}

function measure(runs: RunLengths): MeasuredMask {
  return { runs, box: runsBox(runs), area: runsArea(runs) };
}

/** As {@linkcode boxOverlap}, of masks. */
export function maskOverlap(detected: RunLengths, truth: RunLengths, crowd: boolean): number {
  return overlapOf(measure(detected), measure(truth), crowd);
}

function overlapOf(detected: MeasuredMask, truth: MeasuredMask, crowd: boolean): number {
  if (boxOverlap(detected.box, truth.box, crowd) <= 0) return 0;
  const intersection = commonArea(detected.runs, truth.runs);
  if (intersection === 0) return 0;
  return intersection / (crowd ? detected.area : detected.area + truth.area - intersection);
}

/**
 * Matches an image's detections to its objects, of one category.
 *
 * @returns one for each of {@linkcode areaRanges}
 */
export function matchImage(
  objects: readonly TrueObject[],
  found: readonly DetectedObject[],
  kind: "box" | "mask",
): ImageMatches[] {
  const best = found.toSorted((a, b) => b.score - a.score).slice(0, mostDetections.at(-1));
  const scores = Float64Array.from(best, ({ score }) => score);
  let overlaps: number[][], masks: MeasuredMask[] = [];
  if (kind === "box") {
    overlaps = best.map(({ box }) => objects.map((object) => boxOverlap(box!, object.box, object.crowd)));
  } else {
    masks = best.map(({ mask }) => measure(mask!));
    const truth = objects.map(({ mask }) => measure(mask!));
    overlaps = masks.map((mask) => objects.map(({ crowd }, at) => overlapOf(mask, truth[at], crowd)));
  }
  // A result that has a box has its area, also where masks are measured.
  const areas = best.map(({ box }, at) => box ? box[2] * box[3] : masks[at].area);
  return areaRanges.map((range) => {
    const outside = (area: number) => area < range[0] || area > range[1];
    const ignored = objects.map((one) => one.crowd || one.ignored === true || outside(one.area));
    // Those that count first, otherwise as they were.
    const order = [...objects.keys()].sort((a, b) => Number(ignored[a]) - Number(ignored[b]));
    const outcomes = iouThresholds.map((threshold) => {
      const matched = new Array<boolean>(objects.length).fill(false);
      return best.map((_, detection) => {
        const match = bestObject(overlaps[detection], threshold, { objects, order, ignored, matched });
        if (match === undefined) return outside(areas[detection]) ? "ignored" : "wrong";
        matched[match] = true;
        return ignored[match] ? "ignored" : "right";
      });
    });
    return { scores, outcomes, objects: ignored.filter((one) => !one).length };
  });
}

/** The object with the greatest overlap, the later of equal ones; one that counts is never left for one that does not. */
function bestObject(
  overlaps: readonly number[],
  threshold: number,
  { objects, order, ignored, matched }: {
    readonly objects: readonly TrueObject[];
    readonly order: readonly number[];
    readonly ignored: readonly boolean[];
    readonly matched: readonly boolean[];
  },
): number | undefined {
  let least = Math.min(threshold, 1 - 1e-10);
  let match: number | undefined;
  for (const object of order) {
    if (matched[object] && !objects[object].crowd) continue;
    if (match !== undefined && !ignored[match] && ignored[object]) break;
    if (overlaps[object] < least) continue;
    least = overlaps[object];
    match = object;
  }
  return match;
}
