/** Which architectures of a ranking are cut out. */
import { UsageError } from "../errors.ts";
import { formatInteger, formatShort, withPlainSpaces } from "../number_format.ts";
import { type Range, within } from "../search/candidates.ts";
import { frontier, type Scored } from "../search/frontier.ts";
import type { RankingFile } from "./ranking_file.ts";

/** What is taken of those that the budgets allow. */
export type RankedChoice =
  /** The one with the highest score. */
  | { readonly kind: "best" }
  /** The `count` with the highest scores, whatever they cost. */
  | { readonly kind: "top"; readonly count: number }
  /** The `count` with the highest scores of each group of MACs. */
  | { readonly kind: "perGroup"; readonly count: number }
  /** All that no cheaper one outdoes. */
  | { readonly kind: "frontier" };

/** Budgets; an absent one allows everything. */
export interface Budgets {
  readonly macs?: Range;
  readonly params?: Range;
}

/**
 * Chooses architectures. Of equal scores the cheaper one comes first.
 *
 * @returns at least one: best first; the frontier and groups ascending in MACs
 * @throws {UsageError} when nothing that was ranked is within the budgets, with what is nearest
 */
export function chooseRanked(ranking: RankingFile, choice: RankedChoice, budgets: Budgets): Scored[] {
  const allowed = ranking.candidates
    .filter(({ macs, params }) => within(macs, budgets.macs) && within(params, budgets.params))
    .toSorted((a, b) => b.score - a.score || a.macs - b.macs || a.params - b.params);
  if (allowed.length === 0) throw nothingWithin(ranking);
  switch (choice.kind) {
    case "best":
      return allowed.slice(0, 1);
    case "top":
      return allowed.slice(0, choice.count);
    case "perGroup":
      return ranking.groups.flatMap(({ from, to }) =>
        allowed.filter(({ macs }) => macs >= from && macs < to).slice(0, choice.count)
      );
    case "frontier":
      return frontier(allowed);
  }
}

function nothingWithin({ path, candidates }: RankingFile): UsageError {
  const span = (values: readonly number[]) => {
    const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
    return `${formatShort(low)} to ${formatShort(high)}`;
  };
  return new UsageError(withPlainSpaces(
    `None of the ${
      formatInteger(candidates.length)
    } architectures in ${path} is within --macs and --params. They ` +
      `have ${span(candidates.map(({ macs }) => macs))} MACs and ${
        span(candidates.map(({ params }) => params))
      } parameters. Widen the budget, or search with the same one: deno task search has these flags, too.`,
  ));
}
