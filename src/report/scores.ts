/** How a search's scores are written: with as many decimals as tell its candidates apart. */

/** Writes a score. */
export type ScoreFormat = (score: number) => string;

/** The ends of an axis for scores from `low` to `high`, which may be equal. */
export function scoreDomain(low: number, high: number): [low: number, high: number] {
  return low < high ? [low, high] : [low - 0.01, high + 0.01];
}

/** The format for these scores: three digits of the range that they span, two to six decimals. */
export function scoreFormat(scores: readonly number[]): ScoreFormat {
  let low = Infinity, high = -Infinity;
  for (const score of scores) {
    low = Math.min(low, score);
    high = Math.max(high, score);
  }
  const decimals = high > low ? Math.min(6, Math.max(2, 2 - Math.floor(Math.log10(high - low)))) : 4;
  // Adding zero turns the minus zero that small negative scores round to into zero.
  return (score) => (Number(score.toFixed(decimals)) + 0).toFixed(decimals).replace("-", "−");
}

/** The difference of two scores with its sign. */
export function formatDifference(difference: number, format: ScoreFormat): string {
  const size = format(Math.abs(difference));
  return Number(size) === 0 ? size : (difference < 0 ? "−" : "+") + size;
}

/** The two ends of an interval of scores. */
export function formatEnds([low, high]: readonly [low: number, high: number], format: ScoreFormat): string {
  return `${format(low)}–${format(high)}`;
}
