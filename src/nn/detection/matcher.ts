/** Which object of an image each of many boxes, anchors or proposals, stands for. */
import { ConfigurationError } from "../../errors.ts";
import { boxCount, type Boxes, iouMatrix } from "./boxes.ts";

/** When a box stands for an object, by their intersection over union. */
export interface MatchRule {
  /** From here on it does. */
  readonly positive: number;
  /** Below, it is background; between the two it is neither. */
  readonly negative: number;
  /**
   * What becomes of the boxes that overlap an object most, ties included, though not enough: `own` makes each stand for the
   * object that it overlaps most, which may be another, as torchvision and detectron2; `given` for that very object, the
   * last of several, as mmdet. Undefined leaves them what they are.
   */
  readonly lowQuality?: "own" | "given";
  /** The least overlap for `lowQuality`. Default 0, which no overlap reaches, too, as in torchvision. */
  readonly leastLowQuality?: number;
}

/** A box that is background. */
export const background = -1;
/** A box that is neither an object nor background. */
export const ignored = -2;

/**
 * The object of each box: of those that it overlaps most, the first; {@linkcode background} or {@linkcode ignored}. Without
 * objects all is background.
 *
 * @throws {ConfigurationError} when the rule's limits are in the wrong order
 */
export function matchBoxes(objects: Boxes, boxes: Boxes, rule: MatchRule): Int32Array<ArrayBuffer> {
  const positive = Math.fround(rule.positive), negative = Math.fround(rule.negative);
  if (!(negative <= positive)) {
    throw new ConfigurationError(
      `boxes match from ${rule.positive} on and are background below ${rule.negative}; the first is at least the second.`,
    );
  }
  const count = boxCount(boxes);
  if (objects.length === 0) return new Int32Array(count).fill(background);
  const overlaps = iouMatrix(objects, boxes);
  const best = new Int32Array(count);
  for (let object = 1; object < boxCount(objects); object++) {
    const row = object * count;
    for (let box = 0; box < count; box++) {
      if (overlaps[row + box] > overlaps[best[box] * count + box]) best[box] = object;
    }
  }
  const matches = best.map((object, box) => {
    const overlap = overlaps[object * count + box];
    if (overlap >= positive) return object;
    return overlap < negative ? background : ignored;
  });
  if (rule.lowQuality === undefined) return matches;
  const least = Math.fround(rule.leastLowQuality ?? 0);
  for (let object = 0; object < boxCount(objects); object++) {
    const row = overlaps.subarray(object * count, (object + 1) * count);
    const most = row.reduce((found, overlap) => Math.max(found, overlap), 0);
    if (most < least) continue;
    row.forEach((overlap, box) => {
      if (overlap === most) matches[box] = rule.lowQuality === "own" ? best[box] : object;
    });
  }
  return matches;
}
