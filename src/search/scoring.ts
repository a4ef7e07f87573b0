/** From two encoders, images and candidates to what scores are made of: for all candidates, or for a part of them. */
import { type Architecture, formatArchitecture } from "../elastic/architecture.ts";
import { GpuError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Encoder } from "../nn/encoder.ts";
import { digest } from "../store/digest.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { chooseBatch } from "./batch_size.ts";
import { imageBlocks } from "./image_sums.ts";
import { choosePlaces, type Place, type Task } from "./places.ts";
import type { BatchnormMode } from "./runner.ts";
import { expectPosition, expectSame, type SavedSearch, type SearchSettings } from "./saved_search.ts";
import { searchRounds, type SearchScores, searchTree } from "./search.ts";
import type { SimilarityMetric } from "./similarity/metric.ts";
import { fewestImages, similarityMetric, type SimilarityOptions } from "./similarity/options.ts";
import { formatShard, type ShardOf, splitCandidates } from "./split.ts";
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

/** What is scored, on what, and how. */
export interface ScoreRequest {
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
  /** Bytes of device memory; default no limit. */
  readonly memory?: number;
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

/** What scoring tells. All are optional. */
export interface ScoreHooks {
  /** Interrupts the search; what is done is saved. */
  readonly signal?: AbortSignal;
  onStart?(start: SearchStart): void;
  /** After each run of a unit. */
  onBlock?(): void;
  /** Keeps what was reached. */
  save?(search: SavedSearch): Promise<void>;
}

/** All that is fixed before a search begins. */
export interface PreparedSearch {
  /** All candidates: they decide about batches and blocks of images, also where only a part is scored. */
  readonly tree: PrefixTree;
  /** The candidates that are scored. */
  readonly part: PrefixTree;
  /** Of the part. */
  readonly work: TreeWork;
  readonly metric: SimilarityMetric;
  /** Images of a batch. */
  readonly batch: number;
  /** Blocks of images that are kept apart; 0 where there are too few images, or too many candidates. */
  readonly blocks: number;
  readonly settings: SearchSettings;
}

/** Settings that decide about scores, beside those of the caller. */
async function settingsOf(
  gpu: Gpu,
  { images, similarity, settings, batchnorm = "batch" }: ScoreRequest,
  { places, candidates }: PrefixTree,
  batch: number,
  shard: ShardOf | undefined,
): Promise<SearchSettings> {
  const { choices } = gpu.tuning;
  return {
    ...settings,
    device: gpu.facts.description,
    ...(choices.size > 0 && { tuning: await digest(JSON.stringify([...choices].sort())) }),
    data: images.source,
    images: `${images.count}, ${await images.digest()}`,
    batch: String(batch),
    metric: JSON.stringify(similarity),
    stages: places.map(({ name }) => name).join(","),
    batchnorm,
    architectures: await architecturesSetting(candidates),
    ...(shard && { shard: formatShard(shard) }),
  };
}

/** What is said of candidates where two searches are compared. */
export async function architecturesSetting(candidates: readonly Architecture[]): Promise<string> {
  return `${candidates.length}, ${await digest(candidates.map(formatArchitecture).join())}`;
}

/**
 * Fixes what a search is.
 *
 * @param gpu the device of both encoders
 * @param shard the part of the candidates that is to be scored; default all
 * @throws {GpuError} for an encoder on another device
 * @throws {DataError} for fewer images than the metric needs
 * @throws {UsageError} for a metric that cannot compare the places, or memory too small for the smallest batch
 */
export async function prepareSearch(
  gpu: Gpu,
  request: ScoreRequest,
  shard?: ShardOf,
): Promise<PreparedSearch> {
  const { student, teacher, images, imageSize, similarity, batchnorm = "batch" } = request;
  for (const { weights } of [student, teacher]) {
    if (weights.gpu !== gpu) throw new GpuError("a search: an encoder is on another device");
  }
  const { network } = student;
  const places = request.places ?? choosePlaces(network, request.task ?? "classification", similarity.metric);
  const tree = buildTree(network, request.candidates, places);
  const metric = similarityMetric(gpu, similarity);
  const blocks = imageBlocks(images.count, tree.slots, metric.imageComponents);
  const wanted = request.batch ?? 64;
  const roundImages = blocks === 0
    ? 0
    : batchnorm === "batch"
    ? Math.min(wanted, images.count)
    : images.count;
  const batch = chooseBatch({ tree, imageSize, similarity, mode: batchnorm }, {
    batch: wanted,
    images: images.count,
    source: images.source,
    fewest: fewestImages(similarity),
    memory: request.memory ?? Infinity,
    fixed: gpu.pool.use.used + tableBytes(tree.slots, roundImages, metric) +
      student.statistics.arena.byteLength,
    largest: gpu.pool.limit,
  });
  const part = shard
    ? buildTree(network, splitCandidates(tree, imageSize, shard.count)[shard.index], places)
    : tree;
  const settings = await settingsOf(gpu, request, tree, batch, shard);
  return { tree, part, work: countWork(imageSize, part), metric, batch, blocks, settings };
}

/**
 * Scores the candidates of a prepared search. Architectures that begin alike share that beginning; every score is what its
 * architecture would get alone, bit for bit.
 *
 * @returns scores, undefined where it was interrupted, and seconds, those of earlier parts included
 * @throws {OtherSearchError} when the saved search is another
 * @throws {DataError} when it is damaged
 */
export async function scoreCandidates(
  gpu: Gpu,
  { student, teacher, images, batchnorm = "batch", saved }: ScoreRequest,
  { part: tree, work, metric, batch, blocks, settings }: PreparedSearch,
  hooks: ScoreHooks,
): Promise<SearchScores & { readonly seconds: number }> {
  const rounds = searchRounds(images.count, batch, batchnorm).length;
  if (saved) {
    expectSame(saved.settings, settings);
    const { components, imageComponents } = metric;
    const imageValues = blocks * imageComponents;
    expectPosition(saved, { rounds, slots: tree.slots, components, imageValues });
  }
  const passes = work.blocks.tree;
  hooks.onStart?.({
    architectures: tree.candidates.length,
    images: images.count,
    batch,
    done: saved ? (saved.round + 1) * passes - remainingBlocks(tree, saved.slot) : 0,
    total: rounds * passes,
  });
  const started = performance.now();
  const elapsed = () => (saved?.seconds ?? 0) + (performance.now() - started) / 1000;
  const { save } = hooks;
  const found = await searchTree({
    gpu,
    student,
    teacher,
    tree,
    metric,
    mode: batchnorm,
    images: images.count,
    batch,
    blocks,
    load: (first, end) => images.load(first, end),
    signal: hooks.signal ?? new AbortController().signal,
    ...(saved && { start: saved }),
    onBlock: () => hooks.onBlock?.(),
    ...(save &&
      { save: (position, collected) => save({ settings, ...position, seconds: elapsed(), ...collected }) }),
  });
  return { ...found, seconds: elapsed() };
}
