/**
 * The architectures that a search report is about: those that no cheaper one outdoes.
 */

import type { SearchCandidate } from "./search_data.ts";

/**
 * The candidates that score higher than every other of the same or less cost, in ascending order of cost and score: the
 * best that each budget buys. Of equals, the one of fewer parameters, then the first by id.
 *
 * @param cost what is to be spent sparingly; default MACs
 */
export function frontier(
  candidates: readonly SearchCandidate[],
  cost: (candidate: SearchCandidate) => number = ({ macs }) => macs,
): SearchCandidate[] {
  const ascending = candidates.toSorted((a, b) =>
    cost(a) - cost(b) || b.score - a.score || a.params - b.params || (a.arch < b.arch ? -1 : 1)
  );
  const best: SearchCandidate[] = [];
  for (const candidate of ascending) {
    if (best.length === 0 || candidate.score > best.at(-1)!.score) best.push(candidate);
  }
  return best;
}

/**
 * The first of a {@linkcode frontier} that makes a share of the gain from its first score to its last. Unlike a share
 * of the score itself, that means the same whatever the scale of the metric.
 *
 * @param share 0 to 1
 */
export function cheapestOfGain(ascending: readonly SearchCandidate[], share: number): SearchCandidate {
  const first = ascending[0], last = ascending.at(-1)!;
  const enough = first.score + share * (last.score - first.score);
  return ascending.find(({ score }) => score >= enough) ?? last;
}
