/** From complete scores to the ranking: groups, intervals and ties, and the bests that times or costs decide about. */
import { UsageError } from "../errors.ts";
import type { Range } from "./candidates.ts";
import { type ChoiceRules, chooseBests, withChoices } from "./group_choice.ts";
import { fewestBlocks, type ImageSums } from "./image_sums.ts";
import { ResampledScores } from "./intervals.ts";
import type { Latency } from "./latency.ts";
import { formatTimes, type Preference, singleImageTime } from "./preference.ts";
import {
  type Grouping,
  membersOf,
  rankCandidates,
  type Ranking,
  withIntervals,
  withTimes,
} from "./ranking.ts";
import type { TableFormat } from "./similarity/score_table.ts";
import { Ties } from "./ties.ts";
import type { PrefixTree } from "./tree.ts";

/** Candidates of a group that are measured at most where a budget or a preference asks for times. */
const mostMeasured = 32;

/** How the best of a group is chosen. */
export interface RankRules {
  /**
   * Measures the time of the best so many of each group; default none. With a time budget, or a preference for short times,
   * that is the most of each group that are measured until one decides, default 32.
   */
  readonly measureBest?: number;
  /** Milliseconds for a single image; what is measured to be outside is no group's best. */
  readonly latency?: Range;
  /** Makes the cheapest of those that cannot be told from the highest score the best of its group. */
  readonly prefer?: Preference;
  /** Decides which images are drawn again for intervals; default 0. */
  readonly seed?: number;
}

/** A search whose scores are complete. */
export interface ScoredTree {
  readonly tree: PrefixTree;
  readonly format: TableFormat;
  /** [candidates, places], in the order of the tree. */
  readonly scores: readonly (readonly number[])[];
  /** What each image contributed; without blocks there are no intervals. */
  readonly images: ImageSums;
}

/** What ranking needs besides. */
export interface RankSession {
  readonly signal: AbortSignal;
  /** Scores are ranked, and will be compared on resampled images. */
  onRanked?(): void | Promise<void>;
  /** Times by architecture; none where it was stopped early. */
  measure(architectures: readonly string[]): Promise<ReadonlyMap<string, readonly Latency[]>>;
}

/** A ranking, and what is missing in it. */
export interface RankedScores {
  /** Undefined when it was stopped. */
  readonly ranking: Ranking | undefined;
  /** Architectures that were to be measured and were not. */
  readonly unmeasured: number;
}

/**
 * Ranks.
 *
 * @throws {DataError} for scores that are not finite
 * @throws {UsageError} for a time budget that nothing keeps to
 */
export async function rankScores(
  { tree, format, scores, images }: ScoredTree,
  grouping: Grouping,
  rules: RankRules,
  session: RankSession,
): Promise<RankedScores> {
  const names = tree.places.map(({ name }) => name);
  const ranking = rankCandidates(tree.network, tree.candidates, names, scores, grouping);
  await session.onRanked?.();
  if (images.blocks === 0) return await choose(ranking, undefined, rules, session);
  const resampled = new ResampledScores(tree, format, images, rules.seed ?? 0);
  const ties = await Ties.of(ranking, tree, resampled, session.signal);
  return ties ? await choose(ranking, ties, rules, session) : { ranking: undefined, unmeasured: 0 };
}

/**
 * Refuses a preference where no two candidates can be told apart.
 *
 * @throws {UsageError} saying why
 */
export function expectTies(prefer: Preference | undefined, images: number, blocks: number): void {
  if (prefer !== undefined && blocks === 0) throw tooFewToTell(images);
}

function tooFewToTell(images: number): UsageError {
  return new UsageError(
    images < fewestBlocks
      ? `A preference needs at least ${fewestBlocks} images, to say which scores cannot be told apart; there are ${images}.`
      : "There are too many candidates to keep what each image contributes to their scores, so that none can be told " +
        "apart. Rank fewer, or leave the preference out.",
    { about: "prefer" },
  );
}

/** Measures what is asked for, and chooses the best of each group. */
async function choose(
  scored: Ranking,
  ties: Ties | undefined,
  { prefer, latency, measureBest = 0 }: RankRules,
  session: RankSession,
): Promise<RankedScores> {
  const decides = latency !== undefined || prefer === "latency";
  const times = new Map<string, readonly Latency[]>();
  let asked = 0;
  const take = async (architectures: readonly string[]) => {
    asked += architectures.length;
    for (const [arch, found] of await session.measure(architectures)) times.set(arch, found);
  };
  // Where times decide, a number says how many of them may be taken for that.
  const measured = decides && measureBest < Infinity ? [] : bestOfGroups(scored, measureBest);
  if (measured.length > 0) await take(measured);
  const rules: ChoiceRules = {
    prefer,
    latency,
    most: decides && measureBest > 0 ? measureBest : mostMeasured,
  };
  const tied = (one: string, other: string) => ties?.tied(one, other) ?? false;
  const choices = await chooseBests(scored, rules, { tied, times }, take);
  const unmeasured = asked - times.size;
  if (choices.every((choice) => choice === undefined)) {
    if (session.signal.aborted) return { ranking: undefined, unmeasured };
    throw nothingInTime(latency!, times);
  }
  const known = ties ? withIntervals(scored, ties.intervals) : scored;
  const timed = times.size === 0 ? known : withTimes(known, times);
  return { ranking: withChoices(timed, choices, rules, ties !== undefined), unmeasured };
}

function nothingInTime(budget: Range, times: ReadonlyMap<string, readonly Latency[]>): UsageError {
  const found = [...times.values()].map((latency) => singleImageTime({ latency })!).sort((a, b) => a - b);
  return new UsageError(
    `None of the ${found.length} architectures that were measured takes ${
      formatTimes(budget)
    } for a single image: they ` +
      `take ${found[0]} to ${found.at(-1)} ms. Widen the budget, or measure more of each group.`,
    { about: "latency" },
  );
}

/** Names of the best so many of each group. */
function bestOfGroups(ranking: Ranking, best: number): string[] {
  return ranking.groups.flatMap((group) => membersOf(ranking, group).slice(0, best).map(({ arch }) => arch));
}
