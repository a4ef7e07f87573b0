/** A search in one piece, from flags to its ranking. */
import { formatCount, formatRoundQuantity } from "./format.ts";
import type { Logger } from "./logger.ts";
import { searchOutput } from "./output_guard.ts";
import type { RankedScores } from "../search/rank_scores.ts";
import { type RankOutcome, rankSubnets } from "../search/rank_subnets.ts";
import type { Ranking } from "../search/ranking.ts";
import { type FinishedSearch, finishSearch, searchFileNames, writeSearchFiles } from "./search_files.ts";
import { latencyOf, rankRules } from "./search_flags.ts";
import { type SearchOrder, type SearchSession, withSearch } from "./search_session.ts";

/** How a search ended: with files, or interrupted after so many seconds. */
export type SearchOutcome =
  | { readonly interrupted: false; readonly search: FinishedSearch }
  | { readonly interrupted: true; readonly images: number; readonly seconds: number };

/** So many are compared in a moment. */
const manyCandidates = 5000;

/** Searches, and writes the files unless it is interrupted. */
export async function searchWhole(order: SearchOrder): Promise<SearchOutcome> {
  return await withSearch(order, searchOutput, searchFileNames, async (session) => {
    const outcome = await session.resumable(() => rank(session));
    const { ranking, seconds, work } = outcome;
    if (!ranking) return { interrupted: true, images: session.inputs.images.count, seconds };
    const { prefer } = order.flags;
    const search = finishSearch(await session.describe(outcome), {
      ...{ ranking, seconds, work, prefer },
      latency: latencyOf(order.flags),
    });
    await writeSearchFiles(order.out, search);
    await session.forgetSaved();
    return { interrupted: false, search };
  });
}

async function rank(session: SearchSession): Promise<RankOutcome> {
  const { order: { flags, selection, signal, logger }, hooks } = session;
  const { groupSize, seed, candidates } = selection;
  const outcome = await rankSubnets(session.gpu, {
    ...await session.request(),
    ...{ groupSize, seed },
    ...rankRules(flags),
  }, {
    ...hooks,
    signal,
    onScored: async (seconds) => {
      await session.onScored(seconds);
      sayComparing(candidates.length, logger);
    },
    onMeasure: (total) => session.showProgress("measure", total, "measurements"),
    onMeasured: () => session.advance(),
  });
  session.endProgress();
  if (!outcome.ranking) session.onInterrupted();
  sayOutcome(outcome, { imageBlocks: outcome.imageBlocks, groupSize, latency: flags.latency, logger });
  return outcome;
}

/** Says what a ranking is without: times that were to be measured, bests of groups, intervals. */
export function sayOutcome(
  { ranking, unmeasured }: RankedScores,
  { imageBlocks, groupSize, latency, logger }: {
    readonly imageBlocks: number;
    readonly groupSize: number;
    /** The budget as it was given. */
    readonly latency: string | undefined;
    readonly logger: Logger;
  },
): void {
  if (unmeasured > 0) logger.warn(`${formatCount(unmeasured)} architectures have no time: interrupted`);
  if (!ranking) return;
  warnOfUndecided(ranking, groupSize, latency, logger);
  if (imageBlocks === 0) warnOfNoIntervals(logger);
}

/** Says that many are compared on resampled images, which takes a while. */
export function sayComparing(candidates: number, logger: Logger): void {
  if (candidates <= manyCandidates) return;
  logger.info(`comparing ${formatCount(candidates)} architectures on resampled images`);
}

/** Says that scores come without intervals. */
export function warnOfNoIntervals(logger: Logger): void {
  logger.warn("scores have no intervals: too few images, or too many candidates to keep each image's part");
}

/** Says which groups have no best, and why. */
function warnOfUndecided(
  { groups, candidates }: Ranking,
  groupSize: number,
  latency: string | undefined,
  logger: Logger,
): void {
  const decided = new Set(groups.map(({ from }) => from));
  const left = new Set(
    candidates.map(({ macs }) => Math.floor(macs / groupSize) * groupSize).filter((from) =>
      !decided.has(from)
    ),
  );
  if (left.size === 0) return;
  const named = [...left].map((from) =>
    `${formatRoundQuantity(from)} to ${formatRoundQuantity(from + groupSize)}`
  );
  logger.warn(
    `groups without a best, because none of those measured keeps to --latency ${latency}: ` +
      named.join(", "),
  );
}
