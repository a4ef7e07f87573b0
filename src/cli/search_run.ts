/** A search from flags to files: images, batches, resuming, the walk, times, ranking. */
import { join } from "@std/path";
import type { Config } from "../config/schema.ts";
import { UsageError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { formatProfile, kernelSeconds } from "../gpu/profiler.ts";
import type { Encoder } from "../nn/encoder.ts";
import { freeMemory } from "../pretrain/memory_plan.ts";
import { openEncoder } from "../pretrain/encoder_file.ts";
import { chooseBatch } from "../search/batch_size.ts";
import type { ChosenImages } from "../data/chosen_images.ts";
import { openSearchImages } from "../search/images.ts";
import { rankCandidates, type Ranking } from "../search/ranking.ts";
import {
  differingSetting,
  digest,
  expectPosition,
  fileFingerprint,
  readSavedSearch,
  type SavedSearch,
  saveSearch,
  type SearchSettings,
} from "../search/saved_search.ts";
import { searchRounds, type SearchScores, searchTree } from "../search/search.ts";
import { similarityMetric } from "../search/similarity/metric.ts";
import { tableBytes } from "../search/sums.ts";
import { countWork, remainingBlocks, type TreeWork } from "../search/tree.ts";
import { formatArchitecture } from "../elastic/architecture.ts";
import { readDataRecord } from "../store/data_record.ts";
import { FolderLock } from "../store/folder_lock.ts";
import { readSafetensorsHeader } from "../store/safetensors.ts";
import { version } from "../version.ts";
import { openDevice } from "./device.ts";
import { formatCount } from "./format.ts";
import type { Logger } from "./logger.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { dataPath, guardOutputFolder, searchOutput } from "./output_guard.ts";
import { Progress } from "./progress.ts";
import type { Selection } from "./search_candidates.ts";
import { type FinishedSearch, searchFileNames, writeSearchFiles } from "./search_files.ts";
import { addTimes } from "./search_latency.ts";
import { fewestImages, type SearchFlags } from "./search_flags.ts";

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

interface Encoders {
  readonly student: Encoder;
  readonly teacher: Encoder;
}

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
    const inputs = [dataPath(this.#flags.data)];
    await guardOutputFolder(out, searchOutput, searchFileNames, inputs);
    await makeOutputFolder(out);
    await using _ = await FolderLock.take(join(out, "search.lock"), (text) => this.#logger.warn(text));
    const saved = await this.#findSaved();
    using gpu = await openDevice(this.#logger);
    gpu.stream.interrupt = this.#signal;
    const { config, encoder: student } = await openEncoder(gpu, checkpoint, "encoder_q");
    const { encoder: teacher } = await openEncoder(gpu, checkpoint, "encoder_k");
    gpu.pool.budget = this.#flags.memory ?? Infinity;
    const images = await openSearchImages(gpu, config, {
      source: this.#flags.data,
      images: this.#flags.images,
      record: await readDataRecord(this.#paths.run),
      onWarning: (message) => this.#logger.warn(message),
    }, this.#selection.seed);
    try {
      return await this.#search(gpu, config, { student, teacher }, images, saved);
    } finally {
      images.close();
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

  async #search(
    gpu: Gpu,
    config: Config,
    encoders: Encoders,
    images: ChosenImages,
    saved: SavedSearch | undefined,
  ): Promise<SearchOutcome> {
    const { tree, network, groupSize } = this.#selection;
    const { imageSize } = config.data;
    if (images.count < this.#flags.images) {
      this.#logger.warn(`${images.source} has only ${images.count} images; all of them are used.`);
    }
    const batch = this.#chooseBatch(gpu, config, encoders.student, images);
    const settings = await this.#settings(gpu, images, batch);
    if (saved) {
      this.#expectSame(saved.settings, settings);
      const rounds = searchRounds(images.count, batch, this.#flags.batchnorm).length;
      const { components } = similarityMetric(gpu, this.#selection.similarity);
      expectPosition(saved, { rounds, slots: tree.slots, components }, this.#savedPath);
    }
    this.#logger.info(
      `${formatCount(tree.candidates.length)} architectures on ${
        formatCount(images.count)
      } images in batches of ` +
        `${batch}, ${gpu.facts.description}`,
    );
    const work = countWork(imageSize, tree);
    const { scores, seconds } = await this.#score(gpu, encoders, {
      images,
      batch,
      work,
      settings,
      saved,
    });
    if (!scores) return { interrupted: true, images: images.count, seconds };
    if (this.#flags.profile) await this.#printProfile(gpu, seconds);
    const names = tree.places.map(({ name }) => name);
    const ranked = rankCandidates(network, tree.candidates, names, scores, { groupSize, imageSize });
    const ranking = await this.#measure(encoders.student, images, batch, ranked);
    const search = await this.#describe(gpu, { images, batch, imageSize, work, seconds, ranking });
    await writeSearchFiles(this.#paths.out, search);
    await Deno.remove(this.#savedPath);
    return { interrupted: false, search };
  }

  /** The walk over all candidates, with its progress. */
  async #score(
    gpu: Gpu,
    encoders: Encoders,
    { images, batch, work, settings, saved }: {
      images: ChosenImages;
      batch: number;
      work: TreeWork;
      settings: SearchSettings;
      saved: SavedSearch | undefined;
    },
  ): Promise<{ scores: SearchScores["scores"]; seconds: number }> {
    const flags = this.#flags;
    const { tree } = this.#selection;
    const { tree: blocks } = work.blocks;
    const rounds = searchRounds(images.count, batch, flags.batchnorm).length;
    const total = rounds * blocks;
    let done = saved ? (saved.round + 1) * blocks - remainingBlocks(tree, saved.slot) : 0;
    const progress = new Progress({ logger: this.#logger, label: "search", total, unit: "blocks", done });
    if (flags.profile) gpu.profile();
    const started = performance.now();
    const seconds = () => (saved?.seconds ?? 0) + (performance.now() - started) / 1000;
    const { scores } = await searchTree({
      gpu,
      ...encoders,
      tree,
      metric: similarityMetric(gpu, this.#selection.similarity),
      mode: flags.batchnorm,
      images: images.count,
      batch,
      load: images.load,
      signal: this.#signal,
      start: saved,
      onBlock: () => progress.update(++done),
      save: (position, sums) =>
        saveSearch(this.#savedPath, { settings, ...position, seconds: seconds(), sums }),
    });
    progress.finish();
    if (!scores) {
      this.#logger.info(
        `Stopped at ${Math.floor(100 * done / total)} %. Continue with the same command and --resume.`,
      );
    }
    return { scores, seconds: seconds() };
  }

  async #describe(
    gpu: Gpu,
    { images, batch, imageSize, work, seconds, ranking }: {
      images: ChosenImages;
      batch: number;
      imageSize: number;
      work: TreeWork;
      seconds: number;
      ranking: Ranking;
    },
  ): Promise<FinishedSearch> {
    const { batchnorm, task } = this.#flags;
    const { tree, groupSize, seed } = this.#selection;
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
      task,
      metric,
      metricSettings,
      stages: tree.places.map(({ name }) => name),
      groupSize,
      seed,
      seconds: Number(seconds.toFixed(2)),
      blockEvaluations: { done: passes * blocks.tree, saved: passes * (blocks.alone - blocks.tree) },
      macsPerImage: { done: macs.tree, saved: macs.alone - macs.tree },
      ranking,
    };
  }

  #chooseBatch(gpu: Gpu, config: Config, encoder: Encoder, images: ChosenImages): number {
    const flags = this.#flags;
    const { similarity, tree } = this.#selection;
    // A software driver's memory is the machine's.
    const free = gpu.facts.software ? (freeMemory() ?? Infinity) + gpu.pool.use.used : Infinity;
    const memory = Math.min(flags.memory ?? Infinity, free);
    const batch = chooseBatch(
      {
        tree,
        imageSize: config.data.imageSize,
        similarity,
        mode: flags.batchnorm,
      },
      {
        batch: flags.batch,
        images: images.count,
        source: images.source,
        fewest: fewestImages(flags),
        memory,
        free: memory === free,
        fixed: gpu.pool.use.used + tableBytes(tree.slots) + encoder.statistics.arena.byteLength,
        largest: gpu.pool.limit,
      },
    );
    if (batch < Math.min(flags.batch, images.count)) {
      this.#logger.warn(
        `batches have ${batch} images in place of ${Math.min(flags.batch, images.count)}, to fit into ` +
          (memory === flags.memory ? `${formatCount(memory)} bytes` : "this adapter's buffers and memory"),
      );
    }
    return batch;
  }

  /** All that decides about scores, so that a search is only continued as it began. */
  async #settings(gpu: Gpu, images: ChosenImages, batch: number): Promise<SearchSettings> {
    const flags = this.#flags;
    const { tree, seed } = this.#selection;
    return {
      version,
      device: gpu.facts.description,
      checkpoint: await fileFingerprint(this.#paths.checkpoint),
      data: images.source,
      images: `${images.count}, ${await images.digest()}`,
      batch: String(batch),
      seed: String(seed),
      task: flags.task,
      metric: JSON.stringify(this.#selection.similarity),
      stages: tree.places.map(({ name }) => name).join(","),
      batchnorm: flags.batchnorm,
      architectures: `${tree.candidates.length}, ${await digest(
        tree.candidates.map(formatArchitecture).join(),
      )}`,
    };
  }

  #expectSame(saved: SearchSettings, wanted: SearchSettings): void {
    const difference = differingSetting(saved, wanted);
    if (!difference) return;
    throw new UsageError(
      `--resume: the interrupted search in ${this.#paths.out} has another ${difference.name} (${difference.saved}) ` +
        `than this command (${difference.wanted}). Give the same flags, or another --out.`,
    );
  }

  async #measure(student: Encoder, images: ChosenImages, batch: number, ranking: Ranking): Promise<Ranking> {
    const { measure, measureBest } = this.#flags;
    if (!measure && measureBest === undefined) return ranking;
    const input = await images.load(0, batch);
    const request = {
      best: measureBest ?? Infinity,
      images: input,
      logger: this.#logger,
      signal: this.#signal,
    };
    const timed = await addTimes(student, ranking, request);
    input.release();
    return timed;
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
        `${(100 * comparing / busy).toFixed(1)} % of the kernels' time; device memory ${
          formatCount(peak)
        } bytes at most`,
    );
  }
}
