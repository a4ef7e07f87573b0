/**
 * How well one quantity orders things by another: rank correlations with bootstrap intervals, precision of the top, and
 * regret. All in float64 on the host; nothing of networks.
 */
import type { Random } from "../random.ts";

/** Ranks from 1, ascending; equal values share the mean of their ranks. */
export function midranks(values: ArrayLike<number>): Float64Array {
  const order = Uint32Array.from({ length: values.length }, (_, index) => index)
    .sort((a, b) => values[a] - values[b]);
  const ranks = new Float64Array(values.length);
  for (let first = 0; first < order.length;) {
    let end = first + 1;
    while (end < order.length && values[order[end]] === values[order[first]]) end++;
    for (let at = first; at < end; at++) ranks[order[at]] = (first + end + 1) / 2;
    first = end;
  }
  return ranks;
}

/** Pearson's correlation of pairs; NaN where one side does not vary or there are fewer than two pairs. */
export function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const count = a.length;
  let meanA = 0, meanB = 0;
  for (let at = 0; at < count; at++) {
    meanA += a[at] / count;
    meanB += b[at] / count;
  }
  let both = 0, squaresA = 0, squaresB = 0;
  for (let at = 0; at < count; at++) {
    both += (a[at] - meanA) * (b[at] - meanB);
    squaresA += (a[at] - meanA) ** 2;
    squaresB += (b[at] - meanB) ** 2;
  }
  if (!varies(a) || !varies(b)) return NaN;
  return Math.max(-1, Math.min(1, both / Math.sqrt(squaresA * squaresB)));
}

/** Spearman's correlation: Pearson's of the midranks. */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return pearson(midranks(a), midranks(b));
}

/** Kendall's tau-b: concordant less discordant pairs, over the geometric mean of the pairs that each side does not tie. */
export function kendall(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0, untiedA = 0, untiedB = 0;
  for (let first = 0; first < a.length; first++) {
    for (let second = 0; second < first; second++) {
      const signA = Math.sign(a[first] - a[second]);
      const signB = Math.sign(b[first] - b[second]);
      difference += signA * signB;
      untiedA += Math.abs(signA);
      untiedB += Math.abs(signB);
    }
  }
  return difference / Math.sqrt(untiedA * untiedB);
}

/**
 * Share of the best tenth by `predicted` (at least one) that belongs to the best tenth by `actual`. Ties at the edge of the
 * predicted tenth fall by order, those at the edge of the actual tenth all belong to it.
 */
export function precisionOfTopTenth(predicted: ArrayLike<number>, actual: ArrayLike<number>): number {
  const count = Math.ceil(actual.length / 10);
  const edge = Array.from(actual).sort((a, b) => b - a)[count - 1];
  const chosen = descending(predicted).slice(0, count);
  return chosen.filter((at) => actual[at] >= edge).length / count;
}

/** What the first by `predicted` has less than the best by `actual`. */
export function regret(predicted: ArrayLike<number>, actual: ArrayLike<number>): number {
  const best = Array.from(actual).reduce((most, value) => Math.max(most, value), -Infinity);
  return best - actual[descending(predicted)[0]];
}

/** Bounds of the middle 95 % of some draws; those that are not numbers are left out. NaN where none is. */
export function middleInterval(draws: readonly number[]): [low: number, high: number] {
  const sorted = draws.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  return [quantile(sorted, 0.025), quantile(sorted, 0.975)];
}

/** `count` indices below `count`, drawn with replacement: a bootstrap sample. */
export function resample(count: number, random: Random): Uint32Array {
  return Uint32Array.from({ length: count }, () => random.integer(count));
}

/** Linear interpolation between the neighbours in an ascending list. */
function quantile(sorted: readonly number[], part: number): number {
  if (sorted.length === 0) return NaN;
  const place = part * (sorted.length - 1);
  const below = Math.floor(place), above = Math.ceil(place);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

function descending(values: ArrayLike<number>): number[] {
  return Array.from({ length: values.length }, (_, index) => index).sort((a, b) => values[b] - values[a]);
}

function varies(values: ArrayLike<number>): boolean {
  for (let at = 1; at < values.length; at++) if (values[at] !== values[0]) return true;
  return false;
}
