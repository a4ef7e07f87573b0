/** Ranking: from two encoders, images and candidates to scores and times. The whole of a search but its files. */
import { roundGroupSize } from "../elastic/costs.ts";
import type { Gpu } from "../gpu/device.ts";
import { measureArchitectures } from "./measuring.ts";
import { expectTies, type RankedScores, type RankRules, rankScores } from "./rank_scores.ts";
import { prepareSearch, scoreCandidates, type ScoreHooks, type ScoreRequest } from "./scoring.ts";
import type { PrefixTree, TreeWork } from "./tree.ts";

/** What is ranked, on what, and how. */
export interface RankRequest extends ScoreRequest, RankRules {
  /** MACs of a group; default a round number that makes some ten groups. */
  readonly groupSize?: number;
}

/** What a search tells while it runs. All are optional. An interrupt also ends measuring; what was measured is kept. */
export interface RankHooks extends ScoreHooks {
  /** Scores are complete. */
  onScored?(seconds: number): void | Promise<void>;
  /** So many measurements begin, of some architectures in several rounds; may be called again. */
  onMeasure?(measurements: number): void;
  /** After each measurement. */
  onMeasured?(): void;
}

/** What a search found. */
export interface RankOutcome extends RankedScores {
  readonly tree: PrefixTree;
  readonly work: TreeWork;
  /** Images of a batch. */
  readonly batch: number;
  readonly groupSize: number;
  /** Seconds until all scores were there, those of earlier parts included. */
  readonly seconds: number;
  /** Blocks of images that intervals are over: each image, unless there are too many to keep; 0 where there are none. */
  readonly imageBlocks: number;
}

/**
 * Ranks subnets by how much their features resemble the teacher's, on unlabelled images. Architectures that begin alike
 * share that beginning; every score is what its architecture would get alone, bit for bit.
 *
 * @param gpu the device of both encoders
 * @throws {DataError} for fewer images than the metric needs, and for scores that are not finite
 * @throws {UsageError} for a metric that cannot compare the places, memory too small for the smallest batch, a preference
 * with too few images to tell candidates apart, or a time budget that nothing keeps to
 * @throws {OtherSearchError} when the saved search is another
 */
export async function rankSubnets(
  gpu: Gpu,
  request: RankRequest,
  hooks: RankHooks = {},
): Promise<RankOutcome> {
  const prepared = await prepareSearch(gpu, request);
  const { tree, metric: format, work, batch, blocks } = prepared;
  const { student, images, imageSize } = request;
  expectTies(request.prefer, images.count, blocks);
  const { scores, images: imageSums, seconds } = await scoreCandidates(gpu, request, prepared, hooks);
  const groupSize = request.groupSize ?? roundGroupSize(student.network, imageSize);
  const common = { tree, work, batch, groupSize, seconds, imageBlocks: blocks };
  if (!scores) return { ...common, ranking: undefined, unmeasured: 0 };
  const signal = hooks.signal ?? new AbortController().signal;
  const ranked = await rankScores(
    { tree, format, scores, images: imageSums },
    { groupSize, imageSize },
    request,
    {
      signal,
      onRanked: () => hooks.onScored?.(seconds),
      measure: (architectures) =>
        measureArchitectures(architectures, {
          ...{ student, signal },
          batch: Math.min(batch, images.count),
          load: (count) => images.load(0, count),
          onMeasure: (measurements) => hooks.onMeasure?.(measurements),
          onMeasured: () => hooks.onMeasured?.(),
        }),
    },
  );
  return { ...common, ...ranked };
}
