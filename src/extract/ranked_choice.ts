/** Which architectures of a ranking are cut out. */
import { UsageError } from "../errors.ts";
import { formatInteger, formatShort, withPlainSpaces } from "../number_format.ts";
import { type Range, within } from "../search/candidates.ts";
import { frontier } from "../search/frontier.ts";
import { byCost, singleImageTime, withinTime } from "../search/preference.ts";
import type { RankedArchitecture, RankingFile } from "./ranking_file.ts";

/** What is taken of those that the budgets allow. */
export type RankedChoice =
  /** The one with the highest score, or what the search preferred to it. */
  | { readonly kind: "best" }
  /** The `count` with the highest scores, whatever they cost. */
  | { readonly kind: "top"; readonly count: number }
  /** The `count` with the highest scores of each group of MACs; what the search preferred is the first of them. */
  | { readonly kind: "perGroup"; readonly count: number }
  /** All that no cheaper one outdoes. */
  | { readonly kind: "frontier" };

/** Budgets; an absent one allows everything. */
export interface Budgets {
  readonly macs?: Range;
  readonly params?: Range;
  /** Milliseconds for a single image; what was not measured is not within it. */
  readonly latency?: Range;
}

/**
 * Chooses architectures. Of equal scores the cheaper one comes first. Of a search with a time budget only those are chosen
 * that keep to it.
 *
 * @returns at least one: best first; the frontier and groups ascending in MACs
 * @throws {UsageError} when nothing that was ranked is within the budgets, with what is nearest
 */
export function chooseRanked(
  ranking: RankingFile,
  choice: RankedChoice,
  budgets: Budgets,
): RankedArchitecture[] {
  const allowed = ranking.candidates
    .filter((one) =>
      within(one.macs, budgets.macs) && within(one.params, budgets.params) &&
      (budgets.latency === undefined || withinTime(one, budgets.latency)) &&
      (!ranking.timed || one.withinBudget)
    )
    .toSorted((a, b) => b.score - a.score || a.macs - b.macs || a.params - b.params);
  if (allowed.length === 0) throw nothingWithin(ranking, budgets);
  const ofGroup = ({ from, to }: RankingFile["groups"][number]) =>
    preferredFirst(ranking, allowed.filter(({ macs }) => macs >= from && macs < to));
  switch (choice.kind) {
    case "best": {
      const [{ macs }] = allowed;
      const group = ranking.groups.find(({ from, to }) => macs >= from && macs < to);
      return (group ? ofGroup(group) : allowed).slice(0, 1);
    }
    case "top":
      return allowed.slice(0, choice.count);
    case "perGroup":
      return ranking.groups.flatMap((group) => ofGroup(group).slice(0, choice.count));
    case "frontier":
      return frontier(allowed);
  }
}

/**
 * The members of a group with that first which the search preferred: the cheapest of those that cannot be told from the
 * highest score. Where a budget leaves none of the highest, nothing is known of how the others compare, and the score
 * decides.
 *
 * @param members best first
 */
function preferredFirst(
  { prefer }: RankingFile,
  members: readonly RankedArchitecture[],
): readonly RankedArchitecture[] {
  if (prefer === undefined || !members[0]?.tiedWithBest) return members;
  const alike = members.filter((one) =>
    one.tiedWithBest && (prefer !== "latency" || singleImageTime(one) !== undefined)
  );
  const [first = members[0]] = alike.toSorted(byCost(prefer));
  return [first, ...members.filter((one) => one !== first)];
}

function nothingWithin({ path, candidates, timed }: RankingFile, { latency }: Budgets): UsageError {
  const span = (values: readonly number[]) => {
    const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
    return `${formatShort(low)} to ${formatShort(high)}`;
  };
  const times = candidates.map(singleImageTime).filter((time) => time !== undefined);
  if (latency !== undefined && times.length === 0) {
    return new UsageError(
      `--latency needs measured times, and ${path} has none. Search with --measure, or with the same --latency.`,
    );
  }
  const measured = latency === undefined && !timed
    ? ""
    : ` Of them ${formatInteger(times.length)} were measured: a single image takes ${span(times)} ms.`;
  return new UsageError(withPlainSpaces(
    `None of the ${formatInteger(candidates.length)} architectures in ${path} is within ${
      latency === undefined ? "--macs and --params" : "--macs, --params and --latency"
    }. They have ${span(candidates.map(({ macs }) => macs))} MACs and ${
      span(candidates.map(({ params }) => params))
    } parameters.${measured} Widen the budget, or search with the same one: deno task search has these flags, too.`,
  ));
}
