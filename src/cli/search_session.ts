/** What a search has open while it runs: its folder, the device, encoders and images; resuming, saving and progress. */
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
import { OtherSearchError, readSavedSearch, type SavedSearch, saveSearch } from "../search/saved_search.ts";
import type { ScoreHooks, ScoreRequest, SearchStart } from "../search/scoring.ts";
import { readDataRecord } from "../store/data_record.ts";
import { fileFingerprint } from "../store/fingerprint.ts";
import { FolderLock } from "../store/folder_lock.ts";
import { removeFile } from "../store/remove_file.ts";
import { readSafetensorsHeader } from "../store/safetensors.ts";
import { version } from "../version.ts";
import { givenData } from "./data_flag.ts";
import { openDevice } from "./device.ts";
import { formatCount, formatShare } from "./format.ts";
import type { Logger } from "./logger.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { dataPaths, guardOutputFolder, type OutputKind } from "./output_guard.ts";
import { Progress } from "./progress.ts";
import type { Selection } from "./search_candidates.ts";
import type { SearchDescription } from "./search_files.ts";
import type { SearchFlags } from "./search_flags.ts";

/** A search that is asked for. */
export interface SearchOrder {
  readonly run: string;
  /** Path of the checkpoint. */
  readonly checkpoint: string;
  /** Folder of the results. */
  readonly out: string;
  readonly flags: SearchFlags;
  readonly selection: Selection;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** The file of a search that was interrupted. */
export const interruptedFile = "interrupted.safetensors";

/**
 * Opens what a search needs, does the work, and closes it.
 *
 * @param kind what the folder of the results holds
 * @param names its files, the first being written first
 */
export async function withSearch<R>(
  order: SearchOrder,
  kind: OutputKind,
  names: readonly string[],
  work: (session: SearchSession) => Promise<R>,
): Promise<R> {
  const { run, checkpoint, out, flags, selection, logger } = order;
  const warn = (text: string) => logger.warn(text);
  await guardOutputFolder(out, kind, names, dataPaths(givenData(flags.data)));
  await makeOutputFolder(out);
  await using _ = await FolderLock.take(join(out, "search.lock"), warn);
  const saved = await findSaved(order);
  using gpu = await openDevice(logger);
  gpu.stream.interrupt = order.signal;
  const outputStride = outputStrideOf(selection.network);
  const open = (name: "encoder_q" | "encoder_k") => openEncoder(gpu, checkpoint, name, outputStride);
  const { config: own, encoder: student } = await open("encoder_q");
  const { encoder: teacher } = await open("encoder_k");
  const config = withImageSize(own, flags.imageSize);
  gpu.pool.budget = flags.memory ?? Infinity;
  const images = await openSearchImages(gpu, own, {
    source: givenData(flags.data),
    images: flags.images,
    imageSize: config.data.imageSize,
    record: await readDataRecord(run),
    onWarning: warn,
  }, selection.seed);
  try {
    if (images.count < flags.images) {
      logger.warn(`${images.source} has only ${images.count} images; all of them are used.`);
    }
    return await work(new SearchSession(order, gpu, config, { student, teacher, images }, saved));
  } finally {
    images.release();
  }
}

async function findSaved({ out, flags: { resume } }: SearchOrder): Promise<SavedSearch | undefined> {
  const path = join(out, interruptedFile);
  const exists = await Deno.stat(path).then(() => true, () => false);
  if (exists && resume) return await readSavedSearch(path);
  if (exists) {
    throw new UsageError(
      `${out} holds an interrupted search. Continue it with --resume, remove ${path}, or give another --out.`,
    );
  }
  if (!resume) return undefined;
  throw new UsageError(`--resume: there is no interrupted search in ${out}.`);
}

/** An open search. */
export class SearchSession {
  #progress: Progress | undefined;
  #done = 0;
  /** Blocks that were run, those before an interrupt included, and all. */
  #blocks = { done: 0, total: 0 };

  constructor(
    readonly order: SearchOrder,
    readonly gpu: Gpu,
    readonly config: Config,
    readonly inputs: {
      readonly student: ScoreRequest["student"];
      readonly teacher: ScoreRequest["teacher"];
      readonly images: ChosenImages;
    },
    readonly saved: SavedSearch | undefined,
  ) {}

  /** What is to be scored. */
  async request(): Promise<ScoreRequest> {
    const { gpu, saved, inputs, order: { flags, selection, checkpoint } } = this;
    const { candidates, similarity, places, seed, network } = selection;
    const { imageSize } = this.config.data;
    // A software driver's memory is the machine's.
    const free = gpu.facts.software ? (freeMemory() ?? Infinity) + gpu.pool.use.used : Infinity;
    return {
      ...inputs,
      ...{ imageSize, candidates, similarity, places },
      task: flags.task,
      batchnorm: flags.batchnorm,
      batch: flags.batch,
      memory: Math.min(flags.memory ?? Infinity, free),
      settings: {
        version,
        checkpoint: await fileFingerprint(checkpoint),
        seed: String(seed),
        task: flags.task,
        imageSize: String(imageSize),
        outputStride: String(outputStrideOf(network)),
      },
      ...(saved && { saved }),
    };
  }

  /** What scoring tells: it is saved, and shown. */
  readonly hooks: ScoreHooks = {
    onStart: (start) => {
      this.#blocks = { done: start.done, total: start.total };
      this.#announce(start);
      this.showProgress("search", start.total, "blocks", start.done);
      if (this.order.flags.profile) this.gpu.profile();
    },
    onBlock: () => {
      this.#blocks.done++;
      this.advance();
    },
    save: (search) => saveSearch(join(this.order.out, interruptedFile), search),
  };

  /** Begins to show how far something is. */
  showProgress(label: string, total: number, unit: string, done = 0): void {
    this.#progress?.finish();
    this.#done = done;
    this.#progress = new Progress({ logger: this.order.logger, label, total, unit, done });
  }

  /** One more of what is shown. */
  advance(): void {
    this.#progress?.update(++this.#done);
  }

  /** Nothing is to be shown any more. */
  endProgress(): void {
    this.#progress?.finish();
    this.#progress = undefined;
  }

  /** All scores are there. */
  async onScored(seconds: number): Promise<void> {
    this.endProgress();
    if (this.order.flags.profile) await this.#printProfile(seconds);
  }

  /** Says how to go on. */
  onInterrupted(): void {
    const { done, total } = this.#blocks;
    const percent = Math.floor(100 * done / total);
    this.order.logger.info(`Stopped at ${percent} %. Continue with the same command and --resume.`);
  }

  /** Nothing of it is interrupted any more. */
  async forgetSaved(): Promise<void> {
    await removeFile(join(this.order.out, interruptedFile));
  }

  /** Does a part of the work; what it throws about a search that was to go on says what to do. */
  async resumable<R>(work: () => Promise<R>): Promise<R> {
    const { out } = this.order;
    try {
      return await work();
    } catch (error) {
      if (this.saved && error instanceof OtherSearchError) {
        throw new UsageError(
          `--resume: ${error.message}, in ${out}. Give the same flags, or another --out.`,
          { cause: error },
        );
      }
      if (
        this.saved && error instanceof DataError && error.message.startsWith("the interrupted search")
      ) {
        const path = join(out, interruptedFile);
        throw new DataError(`${path}: ${error.message}. Remove it, and search without --resume.`, {
          cause: error,
        });
      }
      throw error;
    }
  }

  /** What is searched, and how. */
  async describe(
    { batch, groupSize, imageBlocks }: { batch: number; groupSize: number; imageBlocks: number },
  ): Promise<SearchDescription> {
    const { gpu, inputs: { images }, order: { run, checkpoint, flags, selection } } = this;
    const { metric, ...metricSettings } = selection.similarity;
    return {
      run,
      step: Number((await readSafetensorsHeader(checkpoint)).metadata.step),
      device: gpu.facts.description,
      data: images.source,
      images: images.count,
      batch,
      batchnorm: flags.batchnorm,
      imageSize: this.config.data.imageSize,
      outputStride: outputStrideOf(selection.network),
      task: flags.task,
      metric,
      metricSettings,
      stages: selection.places.map(({ name }) => name),
      groupSize,
      intervals: imageBlocks === 0 ? null : { level: intervalLevel, resamples, blocks: imageBlocks },
      seed: selection.seed,
    };
  }

  #announce({ architectures, images, batch }: SearchStart): void {
    const { gpu, order: { flags: { batch: most, memory }, logger } } = this;
    const wanted = Math.min(most, images);
    if (batch < wanted) {
      logger.warn(
        `batches have ${batch} images in place of ${wanted}, to fit into ` +
          (memory === undefined
            ? "this adapter's buffers and memory"
            : `${formatCount(memory)} bytes, this adapter's buffers and memory`),
      );
    }
    logger.info(
      `${formatCount(architectures)} architectures on ${
        formatCount(images)
      } images in batches of ${batch}, ` +
        gpu.facts.description,
    );
  }

  async #printProfile(seconds: number): Promise<void> {
    const { gpu, order: { logger } } = this;
    const times = await gpu.stream.profiler!.take();
    gpu.stream.profiler!.destroy();
    gpu.stream.profiler = undefined;
    const busy = kernelSeconds(times);
    const comparing = kernelSeconds(
      times.filter(({ kernel }) => /^(affinity|cka|cosine|gram)_/.test(kernel)),
    );
    const { peak } = gpu.pool.use;
    logger.info(formatProfile(times));
    logger.info(
      `kernels ${busy.toFixed(2)} s of ${seconds.toFixed(2)} s wall time; comparing features ` +
        `${formatShare(comparing / busy)} of the kernels' time; device memory ${
          formatCount(peak)
        } bytes at most`,
    );
  }
}
