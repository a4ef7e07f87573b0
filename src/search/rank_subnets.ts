/** Ranking: from two encoders, images and candidates to scores and times. The whole of a search but its files. */
import { formatArchitecture } from "../elastic/architecture.ts";
import type { Architecture } from "../elastic/architecture.ts";
import { roundGroupSize } from "../elastic/costs.ts";
import { GpuError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Encoder } from "../nn/encoder.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { chooseBatch } from "./batch_size.ts";
import { digest } from "../store/digest.ts";
import { type Latency, latencyRounds, measureLatencies } from "./latency.ts";
import { choosePlaces, type Place, type Task } from "./places.ts";
import { rankCandidates, type Ranking, withTimes } from "./ranking.ts";
import type { BatchnormMode } from "./runner.ts";
import { expectPosition, expectSame, type SavedSearch, type SearchSettings } from "./saved_search.ts";
import { searchRounds, searchTree } from "./search.ts";
import { fewestImages, similarityMetric, type SimilarityOptions } from "./similarity/options.ts";
import { tableBytes } from "./sums.ts";
import { buildTree, countWork, type PrefixTree, remainingBlocks, type TreeWork } from "./tree.ts";

/** Images that candidates are compared on. */
export interface SearchImages {
  /** Where they come from, for messages. */
  readonly source: string;
  readonly count: number;
  /** Images [first, end), normalised, [end - first, 3, H, W]; released by the search. */
  load(first: number, end: number): Promise<Tensor>;
  /** Digest of which images these are, and of their contents; what a search that goes on is compared by. */
  digest(): Promise<string>;
}

/** What is ranked, on what, and how. */
export interface RankRequest {
  /** Candidates are cut out of it. */
  readonly student: Encoder;
  /** Runs at its largest architecture; candidates are compared with it. */
  readonly teacher: Encoder;
  readonly images: SearchImages;
  /** Side of the square images, in pixels. */
  readonly imageSize: number;
  /** Different architectures of the student's network. */
  readonly candidates: readonly Architecture[];
  readonly similarity: SimilarityOptions;
  /** Where features are compared; the task's own places where absent, see {@linkcode choosePlaces}. */
  readonly places?: readonly Place[];
  /** Decides about places; default `classification`. */
  readonly task?: Task;
  /** Statistics of batchnorm; default `batch`. */
  readonly batchnorm?: BatchnormMode;
  /** Most images of a batch; default 64. */
  readonly batch?: number;
  /** MACs of a group; default a round number that makes some ten groups. */
  readonly groupSize?: number;
  /** Bytes of device memory; default no limit. */
  readonly memory?: number;
  /** Measures the time of the best so many of each group; default none. */
  readonly measureBest?: number;
  /** What else decides about scores, in words: a search goes on only where all of it is the same. */
  readonly settings?: SearchSettings;
  /** Where an interrupted search stopped. */
  readonly saved?: SavedSearch;
}

/** A search that is about to begin. */
export interface SearchStart {
  readonly architectures: number;
  readonly images: number;
  /** Images of a batch. */
  readonly batch: number;
  /** Runs of a unit for a batch: those that were done before, and all. */
  readonly done: number;
  readonly total: number;
}

/** What a search tells while it runs. All are optional. */
export interface RankHooks {
  /** Interrupts the search; what is done is saved, and what was measured is kept. */
  readonly signal?: AbortSignal;
  onStart?(start: SearchStart): void;
  /** After each run of a unit. */
  onBlock?(): void;
  /** Scores are complete; next come so many measurements, each architecture's in several rounds. */
  onScored?(seconds: number, toMeasure: number): void | Promise<void>;
  /** After each measurement. */
  onMeasured?(): void;
  /** Keeps what was reached. */
  save?(search: SavedSearch): Promise<void>;
}

/** What a search found. */
export interface RankOutcome {
  /** Undefined when it was interrupted. */
  readonly ranking: Ranking | undefined;
  readonly tree: PrefixTree;
  readonly work: TreeWork;
  /** Images of a batch. */
  readonly batch: number;
  readonly groupSize: number;
  /** Seconds until all scores were there, those of earlier parts included. */
  readonly seconds: number;
  /** Architectures that were to be measured and were not. */
  readonly unmeasured: number;
}

/** Settings that decide about scores, beside those of the caller. */
async function settingsOf(
  gpu: Gpu,
  { images, similarity, settings }: RankRequest,
  { places, candidates }: PrefixTree,
  batch: number,
  batchnorm: BatchnormMode,
): Promise<SearchSettings> {
  return {
    ...settings,
    device: gpu.facts.description,
    data: images.source,
    images: `${images.count}, ${await images.digest()}`,
    batch: String(batch),
    metric: JSON.stringify(similarity),
    stages: places.map(({ name }) => name).join(","),
    batchnorm,
    architectures: `${candidates.length}, ${await digest(candidates.map(formatArchitecture).join())}`,
  };
}

/**
 * Ranks subnets by how much their features resemble the teacher's, on unlabelled images. Architectures that begin alike
 * share that beginning; every score is what its architecture would get alone, bit for bit.
 *
 * @param gpu the device of both encoders
 * @throws {DataError} for fewer images than the metric needs, and for scores that are not finite
 * @throws {UsageError} for a metric that cannot compare the places, or memory too small for the smallest batch
 * @throws {OtherSearchError} when the saved search is another
 */
export async function rankSubnets(
  gpu: Gpu,
  request: RankRequest,
  hooks: RankHooks = {},
): Promise<RankOutcome> {
  const { student, teacher, images, imageSize, similarity, saved, batchnorm = "batch" } = request;
  for (const { weights } of [student, teacher]) {
    if (weights.gpu !== gpu) throw new GpuError("rankSubnets: an encoder is on another device");
  }
  const { network } = student;
  const places = request.places ?? choosePlaces(network, request.task ?? "classification", similarity.metric);
  const tree = buildTree(network, request.candidates, places);
  const groupSize = request.groupSize ?? roundGroupSize(network, imageSize);
  const signal = hooks.signal ?? new AbortController().signal;
  const batch = chooseBatch({ tree, imageSize, similarity, mode: batchnorm }, {
    batch: request.batch ?? 64,
    images: images.count,
    source: images.source,
    fewest: fewestImages(similarity),
    memory: request.memory ?? Infinity,
    fixed: gpu.pool.use.used + tableBytes(tree.slots) + student.statistics.arena.byteLength,
    largest: gpu.pool.limit,
  });
  const rounds = searchRounds(images.count, batch, batchnorm).length;
  const metric = similarityMetric(gpu, similarity);
  const settings = await settingsOf(gpu, request, tree, batch, batchnorm);
  if (saved) {
    expectSame(saved.settings, settings);
    expectPosition(saved, { rounds, slots: tree.slots, components: metric.components });
  }
  const work = countWork(imageSize, tree);
  const { tree: blocks } = work.blocks;
  hooks.onStart?.({
    architectures: tree.candidates.length,
    images: images.count,
    batch,
    done: saved ? (saved.round + 1) * blocks - remainingBlocks(tree, saved.slot) : 0,
    total: rounds * blocks,
  });
  const started = performance.now();
  const elapsed = () => (saved?.seconds ?? 0) + (performance.now() - started) / 1000;
  const { save } = hooks;
  const { scores } = await searchTree({
    gpu,
    student,
    teacher,
    tree,
    metric,
    mode: batchnorm,
    images: images.count,
    batch,
    load: (first, end) => images.load(first, end),
    signal,
    ...(saved && { start: saved }),
    onBlock: () => hooks.onBlock?.(),
    ...(save && { save: (position, sums) => save({ settings, ...position, seconds: elapsed(), sums }) }),
  });
  const seconds = elapsed();
  const common = { tree, work, batch, groupSize, seconds };
  if (!scores) return { ...common, ranking: undefined, unmeasured: 0 };
  const names = places.map(({ name }) => name);
  const ranking = rankCandidates(network, tree.candidates, names, scores, { groupSize, imageSize });
  const measured = bestOfGroups(ranking, request.measureBest ?? 0);
  await hooks.onScored?.(seconds, measured.length * latencyRounds);
  const times = measured.length === 0
    ? new Map<string, readonly Latency[]>()
    : await measure(measured, request, batch, signal, hooks);
  return {
    ...common,
    ranking: times.size === 0 ? ranking : withTimes(ranking, times),
    unmeasured: measured.length - times.size,
  };
}

/** Names of the best so many of each group. */
function bestOfGroups({ groups, candidates }: Ranking, best: number): string[] {
  return groups.flatMap(({ from, to }) =>
    candidates.filter(({ macs }) => macs >= from && macs < to).slice(0, best).map(({ arch }) => arch)
  );
}

/** Times by architecture, for single images and for batches of the search's size; none where it was stopped early. */
async function measure(
  architectures: readonly string[],
  { student, images }: RankRequest,
  batch: number,
  signal: AbortSignal,
  { onMeasured }: RankHooks,
): Promise<Map<string, readonly Latency[]>> {
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
