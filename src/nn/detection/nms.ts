/** Non-maximum suppression: of boxes that overlap much, the one with the highest score. */
import { boxAreas, boxCount, type Boxes, boxIou, takeBoxes } from "./boxes.ts";

/** Indices by descending score; equal scores in their order. NaN comes last. */
export function byScore(scores: ArrayLike<number>): number[] {
  const value = (at: number) => Number.isNaN(scores[at]) ? -Infinity : scores[at];
  return Array.from({ length: scores.length }, (_, at) => at).sort((a, b) => {
    const first = value(a), second = value(b);
    return first === second ? a - b : second > first ? 1 : -1;
  });
}

/**
 * Indices of the `count` highest scores, by descending score; equal scores in their order.
 * Of many, only those are sorted that can be among them.
 */
export function topScores(scores: Float32Array, count: number): number[] {
  if (count >= scores.length) return byScore(scores);
  if (count <= 0) return [];
  const least = scores.slice().sort()[scores.length - count];
  if (Number.isNaN(least)) return byScore(scores).slice(0, count);
  const candidates: number[] = [];
  for (let at = 0; at < scores.length; at++) if (scores[at] >= least) candidates.push(at);
  return byScore(candidates.map((at) => scores[at])).slice(0, count).map((at) => candidates[at]);
}

/**
 * Goes through boxes by descending score, equal scores in their order, and keeps each that overlaps none of the kept ones by
 * more than the threshold, as `torchvision.ops.nms`.
 *
 * @param threshold largest intersection over union of two boxes that are kept
 * @returns indices of the kept ones, by descending score
 */
export function nms(boxes: Boxes, scores: ArrayLike<number>, threshold: number): number[] {
  const areas = boxAreas(boxes);
  const order = byScore(scores);
  const kept: number[] = [];
  const suppressed = new Uint8Array(boxCount(boxes));
  for (let at = 0; at < order.length; at++) {
    const box = order[at];
    if (suppressed[box]) continue;
    kept.push(box);
    for (let later = at + 1; later < order.length; later++) {
      const other = order[later];
      if (suppressed[other]) continue;
      if (boxIou(boxes, box, boxes, other, [areas[box], areas[other]]) > threshold) suppressed[other] = 1;
    }
  }
  return kept;
}

/**
 * The same for each group by itself: boxes of two classes, or of two levels of a pyramid, never suppress each other. Exact
 * where `torchvision.ops.batched_nms` moves the groups of few boxes apart, and so rounds.
 *
 * @param groups the group of each box
 * @returns indices of the kept ones, by descending score over all groups, equal scores in their order
 */
export function groupedNms(
  boxes: Boxes,
  scores: ArrayLike<number>,
  groups: ArrayLike<number>,
  threshold: number,
): number[] {
  const members = new Map<number, number[]>();
  for (let box = 0; box < boxCount(boxes); box++) {
    const group = members.get(groups[box]);
    if (group) group.push(box);
    else members.set(groups[box], [box]);
  }
  const kept: number[] = [];
  for (const group of members.values()) {
    const found = nms(takeBoxes(boxes, group), group.map((box) => scores[box]), threshold);
    for (const at of found) kept.push(group[at]);
  }
  kept.sort((a, b) => a - b);
  return byScore(kept.map((box) => scores[box])).map((at) => kept[at]);
}
