/** Ranking: from two encoders, images and candidates to scores and times. The whole of a search but its files. */
import { roundGroupSize } from "../elastic/costs.ts";
import type { Gpu } from "../gpu/device.ts";
import { type Latency, latencyRounds, measureLatencies } from "./latency.ts";
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
      measure: (architectures) => measure(architectures, request, { batch, signal, hooks }),
    },
  );
  return { ...common, ...ranked };
}

/** What measurements need besides the request. */
interface MeasuringSession {
  /** Images of a batch. */
  readonly batch: number;
  readonly signal: AbortSignal;
  readonly hooks: RankHooks;
}

/** Times by architecture, for single images and for batches of the search's size; none where it was stopped early. */
async function measure(
  architectures: readonly string[],
  { student, images }: RankRequest,
  { batch, signal, hooks: { onMeasure, onMeasured } }: MeasuringSession,
): Promise<Map<string, readonly Latency[]>> {
  if (signal.aborted) return new Map();
  onMeasure?.(architectures.length * latencyRounds);
  using single = await images.load(0, 1);
  using input = await images.load(0, Math.min(batch, images.count));
  const { space } = student.network;
  const latencies = await measureLatencies(
    student,
    architectures.map((arch) => space.resolve(arch)),
    input.shape[0] === 1 ? [single] : [single, input],
    { signal, onMeasured },
  );
  return new Map(
    architectures.flatMap((arch, index) =>
      latencies[index].length > 0 ? [[arch, latencies[index]] as const] : []
    ),
  );
}
