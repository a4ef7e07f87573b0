/** Thinning of the candidates in a chart: where many lie on one another, one stands for them. */

import type { SearchCandidate } from "./search_data.ts";

/** A candidate, and how many it stands for in the picture, itself included. */
export interface CrowdPoint {
  readonly candidate: SearchCandidate;
  readonly count: number;
}

/** Size of the picture, in pixels. */
interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/**
 * Divides the picture of scores over MACs into the smallest square cells that leave at most `limit` points if each
 * cell keeps one. Lonely points stay where they are; only crowds get thinner. Which one stays is as good as random,
 * since any rule by place, such as the highest, would draw the grid.
 *
 * @param cost of a candidate, along the picture's width; default MACs
 */
export function thinCrowds(
  candidates: readonly SearchCandidate[],
  { width, height }: PictureSize,
  limit: number,
  cost: (candidate: SearchCandidate) => number = ({ macs }) => macs,
): CrowdPoint[] {
  if (candidates.length <= limit) return candidates.map((candidate) => ({ candidate, count: 1 }));
  const column = pixels(candidates.map(cost), width);
  const row = pixels(candidates.map(({ score }) => score), height);
  for (let cell = 2;; cell++) {
    const columns = Math.floor(width / cell) + 1;
    const cells = new Map<number, CrowdPoint & { lot: number }>();
    candidates.forEach((candidate, index) => {
      const key = Math.floor(row[index] / cell) * columns + Math.floor(column[index] / cell);
      const present = cells.get(key);
      const lot = scatter(index);
      if (present === undefined) cells.set(key, { candidate, count: 1, lot });
      else if (lot > present.lot) cells.set(key, { candidate, count: present.count + 1, lot });
      else cells.set(key, { ...present, count: present.count + 1 });
    });
    if (cells.size <= limit) return [...cells.values()].map(({ candidate, count }) => ({ candidate, count }));
  }
}

/** A number from 0 to 2^32 - 1 without any order in it: Knuth's multiplicative hash. */
function scatter(index: number): number {
  return Math.imul(index + 1, 0x9e3779b1) >>> 0;
}

/** Values spread over a length, from the lowest at 0 to the highest. */
function pixels(values: readonly number[], length: number): Float64Array {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const scale = high > low ? length / (high - low) : 0;
  return Float64Array.from(values, (value) => (value - low) * scale);
}
