/** Ranking: from two encoders, images and candidates to scores and times. The whole of a search but its files. */
import { formatArchitecture } from "../elastic/architecture.ts";
import type { Architecture } from "../elastic/architecture.ts";
import { roundGroupSize } from "../elastic/costs.ts";
import { GpuError, UsageError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Encoder } from "../nn/encoder.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { chooseBatch } from "./batch_size.ts";
import type { Range } from "./candidates.ts";
import { digest } from "../store/digest.ts";
import { type ChoiceRules, chooseBests, withChoices } from "./group_choice.ts";
import { fewestBlocks, imageBlocks } from "./image_sums.ts";
import { ResampledScores } from "./intervals.ts";
import { type Latency, latencyRounds, measureLatencies } from "./latency.ts";
import { choosePlaces, type Place, type Task } from "./places.ts";
import { formatTimes, type Preference, singleImageTime } from "./preference.ts";
import { membersOf, rankCandidates, type Ranking, withIntervals, withTimes } from "./ranking.ts";
import type { BatchnormMode } from "./runner.ts";
import { expectPosition, expectSame, type SavedSearch, type SearchSettings } from "./saved_search.ts";
import { searchRounds, searchTree } from "./search.ts";
import { fewestImages, similarityMetric, type SimilarityOptions } from "./similarity/options.ts";
import { tableBytes } from "./sums.ts";
import { Ties } from "./ties.ts";
import { buildTree, countWork, type PrefixTree, remainingBlocks, type TreeWork } from "./tree.ts";

/** Candidates of a group that are measured at most where a budget or a preference asks for times. */
const mostMeasured = 32;

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
  /** Scores are complete. */
  onScored?(seconds: number): void | Promise<void>;
  /** So many measurements begin, of some architectures in several rounds; may be called again. */
  onMeasure?(measurements: number): void;
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
  /** Blocks of images that intervals are over: each image, unless there are too many to keep; 0 where there are none. */
  readonly imageBlocks: number;
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
 * @throws {UsageError} for a metric that cannot compare the places, memory too small for the smallest batch, a preference
 * with too few images to tell candidates apart, or a time budget that nothing keeps to
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
  const metric = similarityMetric(gpu, similarity);
  const blocks = imageBlocks(images.count, tree.slots, metric.imageComponents);
  if (request.prefer !== undefined && blocks === 0) throw tooFewToTell(images.count);
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
  const rounds = searchRounds(images.count, batch, batchnorm).length;
  const settings = await settingsOf(gpu, request, tree, batch, batchnorm);
  if (saved) {
    expectSame(saved.settings, settings);
    const { components, imageComponents } = metric;
    expectPosition(saved, {
      rounds,
      slots: tree.slots,
      components,
      imageValues: blocks * imageComponents,
    });
  }
  const work = countWork(imageSize, tree);
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
  const { scores, images: imageSums } = await searchTree({
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
    ...(save &&
      { save: (position, collected) => save({ settings, ...position, seconds: elapsed(), ...collected }) }),
  });
  const seconds = elapsed();
  const common = { tree, work, batch, groupSize, seconds, imageBlocks: blocks };
  if (!scores) return { ...common, ranking: undefined, unmeasured: 0 };
  const names = places.map(({ name }) => name);
  const ranking = rankCandidates(network, tree.candidates, names, scores, { groupSize, imageSize });
  await hooks.onScored?.(seconds);
  const ties = blocks === 0
    ? undefined
    : await Ties.of(ranking, tree, new ResampledScores(tree, metric, imageSums, request.seed ?? 0), signal);
  if (blocks > 0 && ties === undefined) return { ...common, ranking: undefined, unmeasured: 0 };
  const chosen = await choose(ranking, ties, request, { batch, signal, hooks });
  return { ...common, ...chosen };
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
  request: RankRequest,
  session: MeasuringSession,
): Promise<Pick<RankOutcome, "ranking" | "unmeasured">> {
  const { prefer, latency, measureBest = 0 } = request;
  const decides = latency !== undefined || prefer === "latency";
  const times = new Map<string, readonly Latency[]>();
  let asked = 0;
  const take = async (architectures: readonly string[]) => {
    asked += architectures.length;
    for (const [arch, found] of await measure(architectures, request, session)) times.set(arch, found);
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
