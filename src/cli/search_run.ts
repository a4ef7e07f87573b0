/** A search from flags to files: paths, locks, resuming, progress, ranking. */
import { fileFingerprint } from "../store/fingerprint.ts";
import { join } from "@std/path";
import { withImageSize } from "../config/image_size.ts";
import type { Config } from "../config/schema.ts";
import type { ChosenImages } from "../data/chosen_images.ts";
import { DataError, UsageError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { formatProfile, kernelSeconds } from "../gpu/profiler.ts";
import { outputStrideOf } from "../nn/output_stride.ts";
import { openEncoder } from "../pretrain/encoder_file.ts";
import { freeMemory } from "../pretrain/memory_plan.ts";
import { openSearchImages } from "../search/images.ts";
import { intervalLevel, resamples } from "../search/intervals.ts";
import { type RankOutcome, rankSubnets } from "../search/rank_subnets.ts";
import type { SearchStart } from "../search/scoring.ts";
import type { Ranking } from "../search/ranking.ts";
import { OtherSearchError, readSavedSearch, type SavedSearch, saveSearch } from "../search/saved_search.ts";
import { readDataRecord } from "../store/data_record.ts";
import { FolderLock } from "../store/folder_lock.ts";
import { readSafetensorsHeader } from "../store/safetensors.ts";
import { version } from "../version.ts";
import { givenData } from "./data_flag.ts";
import { openDevice } from "./device.ts";
import { formatCount, formatRoundQuantity, formatShare } from "./format.ts";
import type { Logger } from "./logger.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { dataPaths, guardOutputFolder, searchOutput } from "./output_guard.ts";
import { Progress } from "./progress.ts";
import type { Selection } from "./search_candidates.ts";
import { type FinishedSearch, searchFileNames, writeSearchFiles } from "./search_files.ts";
import { latencyOf, type SearchFlags } from "./search_flags.ts";

/** Where a search reads and writes. */
export interface SearchPaths {
  readonly run: string;
  readonly checkpoint: string;
  /** Folder of the results. */
  readonly out: string;
}

/** How a search ended: with files, or interrupted after so many seconds. */
export type SearchOutcome =
  | { readonly interrupted: false; readonly search: FinishedSearch }
  | { readonly interrupted: true; readonly images: number; readonly seconds: number };

/** So many are compared in a moment. */
const manyCandidates = 5000;

/** One search. */
export class SearchRun {
  readonly #paths: SearchPaths;
  readonly #flags: SearchFlags;
  readonly #selection: Selection;
  readonly #logger: Logger;
  readonly #signal: AbortSignal;

  constructor(
    paths: SearchPaths,
    flags: SearchFlags,
    selection: Selection,
    { logger, signal }: { logger: Logger; signal: AbortSignal },
  ) {
    this.#paths = paths;
    this.#flags = flags;
    this.#selection = selection;
    this.#logger = logger;
    this.#signal = signal;
  }

  /** Searches, and writes the files unless it is interrupted. */
  async run(): Promise<SearchOutcome> {
    const { checkpoint, out } = this.#paths;
    const inputs = dataPaths(givenData(this.#flags.data));
    await guardOutputFolder(out, searchOutput, searchFileNames, inputs);
    await makeOutputFolder(out);
    await using _ = await FolderLock.take(join(out, "search.lock"), (text) => this.#logger.warn(text));
    const saved = await this.#findSaved();
    using gpu = await openDevice(this.#logger);
    gpu.stream.interrupt = this.#signal;
    const outputStride = outputStrideOf(this.#selection.network);
    const open = (name: "encoder_q" | "encoder_k") => openEncoder(gpu, checkpoint, name, outputStride);
    const { config: own, encoder: student } = await open("encoder_q");
    const { encoder: teacher } = await open("encoder_k");
    const config = withImageSize(own, this.#flags.imageSize);
    gpu.pool.budget = this.#flags.memory ?? Infinity;
    const images = await openSearchImages(gpu, own, {
      source: givenData(this.#flags.data),
      images: this.#flags.images,
      imageSize: config.data.imageSize,
      record: await readDataRecord(this.#paths.run),
      onWarning: (message) => this.#logger.warn(message),
    }, this.#selection.seed);
    try {
      if (images.count < this.#flags.images) {
        this.#logger.warn(`${images.source} has only ${images.count} images; all of them are used.`);
      }
      const outcome = await this.#rank(gpu, config, { student, teacher, images }, saved);
      const { ranking, seconds } = outcome;
      if (!ranking) return { interrupted: true, images: images.count, seconds };
      const search = await this.#describe(gpu, config, images, outcome, ranking);
      await writeSearchFiles(out, search);
      await Deno.remove(this.#savedPath);
      return { interrupted: false, search };
    } finally {
      images.release();
    }
  }

  get #savedPath(): string {
    return join(this.#paths.out, "interrupted.safetensors");
  }

  async #findSaved(): Promise<SavedSearch | undefined> {
    const { resume } = this.#flags;
    const path = this.#savedPath;
    const exists = await Deno.stat(path).then(() => true, () => false);
    if (exists && resume) return await readSavedSearch(path);
    if (exists) {
      throw new UsageError(
        `${this.#paths.out} holds an interrupted search. Continue it with --resume, remove ${path}, or give another ` +
          "--out.",
      );
    }
    if (!resume) return undefined;
    throw new UsageError(`--resume: there is no interrupted search in ${this.#paths.out}.`);
  }

  async #rank(
    gpu: Gpu,
    { data: { imageSize } }: Config,
    given: Pick<Parameters<typeof rankSubnets>[1], "student" | "teacher" | "images">,
    saved: SavedSearch | undefined,
  ): Promise<RankOutcome> {
    const flags = this.#flags;
    const { candidates, similarity, places, groupSize, seed } = this.#selection;
    // A software driver's memory is the machine's.
    const free = gpu.facts.software ? (freeMemory() ?? Infinity) + gpu.pool.use.used : Infinity;
    let progress: Progress | undefined;
    let done = 0, total = 0, measured = 0;
    try {
      const outcome = await rankSubnets(gpu, {
        ...given,
        imageSize,
        candidates,
        similarity,
        places,
        task: flags.task,
        batchnorm: flags.batchnorm,
        batch: flags.batch,
        groupSize,
        memory: Math.min(flags.memory ?? Infinity, free),
        measureBest: flags.measureBest ?? (flags.measure ? Infinity : 0),
        latency: latencyOf(flags),
        prefer: flags.prefer,
        seed,
        settings: {
          version,
          checkpoint: await fileFingerprint(this.#paths.checkpoint),
          seed: String(seed),
          task: flags.task,
          imageSize: String(imageSize),
          outputStride: String(outputStrideOf(this.#selection.network)),
        },
        ...(saved && { saved }),
      }, {
        signal: this.#signal,
        onStart: (start) => {
          ({ done, total } = start);
          this.#announce(gpu, start);
          progress = new Progress({ logger: this.#logger, label: "search", total, unit: "blocks", done });
          if (flags.profile) gpu.profile();
        },
        onBlock: () => progress?.update(++done),
        onScored: async (seconds) => {
          progress?.finish();
          progress = undefined;
          if (flags.profile) await this.#printProfile(gpu, seconds);
          if (candidates.length > manyCandidates) {
            this.#logger.info(
              `comparing ${formatCount(candidates.length)} architectures on resampled images`,
            );
          }
        },
        onMeasure: (total) => {
          progress?.finish();
          measured = 0;
          progress = new Progress({ logger: this.#logger, label: "measure", total, unit: "measurements" });
        },
        onMeasured: () => progress?.update(++measured),
        save: (search) => saveSearch(this.#savedPath, search),
      });
      progress?.finish();
      if (!outcome.ranking) {
        const percent = Math.floor(100 * done / total);
        this.#logger.info(`Stopped at ${percent} %. Continue with the same command and --resume.`);
      }
      if (outcome.unmeasured > 0) {
        this.#logger.warn(`${formatCount(outcome.unmeasured)} architectures have no time: interrupted`);
      }
      this.#warnOfUndecided(outcome);
      return outcome;
    } catch (error) {
      if (saved && error instanceof OtherSearchError) {
        throw new UsageError(
          `--resume: ${error.message}, in ${this.#paths.out}. Give the same flags, or another --out.`,
          { cause: error },
        );
      }
      if (saved && error instanceof DataError && error.message.startsWith("the interrupted search")) {
        throw new DataError(`${this.#savedPath}: ${error.message}. Remove it, and search without --resume.`, {
          cause: error,
        });
      }
      throw error;
    }
  }

  /** Says which groups have no best, and why; and that scores come without intervals. */
  #warnOfUndecided({ ranking, imageBlocks }: RankOutcome): void {
    if (!ranking) return;
    const decided = new Set(ranking.groups.map(({ from }) => from));
    const { groupSize } = this.#selection;
    const left = new Set(
      ranking.candidates.map(({ macs }) => Math.floor(macs / groupSize) * groupSize).filter((from) =>
        !decided.has(from)
      ),
    );
    if (left.size > 0) {
      const named = [...left].map((from) =>
        `${formatRoundQuantity(from)} to ${formatRoundQuantity(from + groupSize)}`
      );
      this.#logger.warn(
        `groups without a best, because none of those measured keeps to --latency ${this.#flags.latency}: ` +
          named.join(", "),
      );
    }
    if (imageBlocks === 0) {
      this.#logger.warn(
        "scores have no intervals: too few images, or too many candidates to keep each image's part",
      );
    }
  }

  #announce(gpu: Gpu, { architectures, images, batch }: SearchStart): void {
    const wanted = Math.min(this.#flags.batch, images);
    const { memory } = this.#flags;
    if (batch < wanted) {
      this.#logger.warn(
        `batches have ${batch} images in place of ${wanted}, to fit into ` +
          (memory === undefined
            ? "this adapter's buffers and memory"
            : `${formatCount(memory)} bytes, this adapter's buffers and memory`),
      );
    }
    this.#logger.info(
      `${formatCount(architectures)} architectures on ${
        formatCount(images)
      } images in batches of ${batch}, ` +
        gpu.facts.description,
    );
  }

  async #describe(
    gpu: Gpu,
    { data: { imageSize } }: Config,
    images: ChosenImages,
    { tree, work, batch, groupSize, seconds, imageBlocks }: RankOutcome,
    ranking: Ranking,
  ): Promise<FinishedSearch> {
    const { batchnorm, task, prefer } = this.#flags;
    const { metric, ...metricSettings } = this.#selection.similarity;
    const batches = Math.ceil(images.count / batch);
    const passes = batchnorm === "recalibrated" ? 2 * batches : batches;
    const { blocks, macs } = work;
    return {
      run: this.#paths.run,
      step: Number((await readSafetensorsHeader(this.#paths.checkpoint)).metadata.step),
      device: gpu.facts.description,
      data: images.source,
      images: images.count,
      batch,
      batchnorm,
      imageSize,
      outputStride: outputStrideOf(this.#selection.network),
      task,
      metric,
      metricSettings,
      stages: tree.places.map(({ name }) => name),
      groupSize,
      prefer: prefer ?? null,
      latencyBudget: latencyOf(this.#flags) ?? null,
      intervals: imageBlocks === 0 ? null : { level: intervalLevel, resamples, blocks: imageBlocks },
      seed: this.#selection.seed,
      seconds: Number(seconds.toFixed(2)),
      blockEvaluations: { done: passes * blocks.tree, saved: passes * (blocks.alone - blocks.tree) },
      macsPerImage: { done: macs.tree, saved: macs.alone - macs.tree },
      ranking,
    };
  }

  async #printProfile(gpu: Gpu, seconds: number): Promise<void> {
    const times = await gpu.stream.profiler!.take();
    gpu.stream.profiler!.destroy();
    gpu.stream.profiler = undefined;
    const busy = kernelSeconds(times);
    const comparing = kernelSeconds(
      times.filter(({ kernel }) => /^(affinity|cka|cosine|gram)_/.test(kernel)),
    );
    const { peak } = gpu.pool.use;
    this.#logger.info(formatProfile(times));
    this.#logger.info(
      `kernels ${busy.toFixed(2)} s of ${seconds.toFixed(2)} s wall time; comparing features ` +
        `${formatShare(comparing / busy)} of the kernels' time; device memory ${
          formatCount(peak)
        } bytes at most`,
    );
  }
}
