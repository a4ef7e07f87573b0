/**
 * Which architectures of a ranking are worth their cost: those that no cheaper one outdoes.
 */

/** What is compared of an architecture. */
export interface Scored {
  readonly arch: string;
  /** MACs for one image. */
  readonly macs: number;
  readonly params: number;
  /** Higher is better. */
  readonly score: number;
}

/**
 * The candidates that score higher than every other of the same or less cost, in ascending order of cost and score: the
 * best that each budget buys. Of equals, the one of fewer parameters, then the first by id.
 *
 * @param cost what is to be spent sparingly; default MACs
 */
export function frontier<T extends Scored>(
  candidates: readonly T[],
  cost: (candidate: T) => number = ({ macs }) => macs,
): T[] {
  const ascending = candidates.toSorted((a, b) =>
    cost(a) - cost(b) || b.score - a.score || a.params - b.params || (a.arch < b.arch ? -1 : 1)
  );
  const best: T[] = [];
  for (const candidate of ascending) {
    if (best.length === 0 || candidate.score > best.at(-1)!.score) best.push(candidate);
  }
  return best;
}

/** The share of the gain from the cheapest architecture to the best that makes one recommended. */
export const sufficientShare = 0.9;

/**
 * The first of a {@linkcode frontier} that makes a share of the gain from its first score to its last. Unlike a share
 * of the score itself, that means the same whatever the scale of the metric.
 *
 * @param share 0 to 1
 */
export function cheapestOfGain<T extends Scored>(ascending: readonly T[], share: number): T {
  const first = ascending[0], last = ascending.at(-1)!;
  const enough = first.score + share * (last.score - first.score);
  return ascending.find(({ score }) => score >= enough) ?? last;
}

/**
 * For each winner the best of those that are cheaper in MACs and score at least as high; undefined where there is none.
 * Such a winner is the best of its group of MACs, and still not worth them.
 */
export function dominators<T extends Scored>(winners: readonly T[]): (T | undefined)[] {
  const best = frontier(winners);
  return winners.map(({ macs, score }) =>
    best.findLast((other) => other.macs < macs && other.score >= score)
  );
}
