/** Runs that a study needs: made where they are missing, gone on with where they were interrupted. */
import { configDifferences } from "../config/difference.ts";
import { parseConfig } from "../config/load.ts";
import { dataSeed } from "../config/data_seed.ts";
import type { Config } from "../config/schema.ts";
import { UsageError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { openCheckpointFile } from "../pretrain/checkpoint_file.ts";
import { type PretrainHooks, resumeRun, startRun } from "../pretrain/pretrain.ts";
import { isStep } from "../store/metrics.ts";
import { RunFolder } from "../store/run_folder.ts";

/** A checkpoint of a run. */
export interface KeptCheckpoint {
  readonly path: string;
  /** Epochs that are complete. */
  readonly epoch: number;
  /** The steps until there took so long, by the run's own metrics. */
  readonly seconds: number;
}

/** A run that is done: its last checkpoint, and those of epochs, the earliest first. */
export interface PretrainedRun extends KeptCheckpoint {
  readonly kept: readonly KeptCheckpoint[];
}

/** Which checkpoints a run keeps decides about nothing else of it. */
const keeping = "training.checkpointEvery";

/** A run's configuration under another seed: images and those held out stay those of `images`. */
export function withSeed(config: Config, seed: number, images: Config = config): Config {
  return {
    ...config,
    data: { ...images.data, seed: dataSeed(images) },
    training: { ...config.training, seed },
  };
}

/**
 * Pretrains into a folder, or goes on there, or finds it done.
 *
 * @returns undefined when it was interrupted
 * @throws {UsageError} when the folder holds another run
 */
export async function pretrained(
  gpu: Gpu,
  path: string,
  config: Config,
  hooks: PretrainHooks,
): Promise<PretrainedRun | undefined> {
  if (!await RunFolder.holdsRun(path)) {
    await startRun(gpu, path, config, hooks);
  } else {
    await expectSameRun(path, config);
    const { epochs, checkpointEvery } = config.training;
    if (await epochsDone(await RunFolder.open(path)) < epochs) {
      const overrides = [{ path: keeping, value: checkpointEvery, flag: keeping }];
      await resumeRun(gpu, path, { overrides }, hooks);
    }
  }
  if (hooks.signal.aborted) return undefined;
  const folder = await RunFolder.open(path);
  const kept: KeptCheckpoint[] = [];
  for (const { path } of await folder.checkpoints()) {
    const { file, epoch, step } = await openCheckpointFile(path);
    file.close();
    kept.unshift({ path, epoch, seconds: await secondsUntil(folder, step, config.training.batch) });
  }
  return { ...kept.pop()!, kept };
}

/**
 * Checks that a folder holds the run of a configuration.
 *
 * @throws {UsageError} when it holds another
 */
export async function expectSameRun(path: string, config: Config): Promise<void> {
  const folder = await RunFolder.open(path);
  const kept = parseConfig((await folder.readConfig()).config, folder.configPath);
  const differences = configDifferences(config, kept).filter(({ field }) => field !== keeping);
  if (differences.length === 0) return;
  throw new UsageError(
    `${path} holds another run: it has ${
      differences.map(({ text }) => text).join(", ")
    }. Remove it, or give another folder.`,
  );
}

async function epochsDone(folder: RunFolder): Promise<number> {
  const files = await folder.checkpoints();
  if (!files.some(({ epoch }) => epoch === undefined)) return 0;
  const { file, epoch } = await openCheckpointFile(folder.lastCheckpointPath);
  file.close();
  return epoch;
}

/** Lines of the metrics need not end where a checkpoint was written: what is between counts by its steps. */
async function secondsUntil(folder: RunFolder, step: number, batch: number): Promise<number> {
  let seconds = 0, before = 0;
  for (const line of await folder.readMetrics()) {
    if (!isStep(line)) continue;
    const steps = Math.min(line.step, step) - before;
    if (steps <= 0) break;
    seconds += steps * batch / line.imagesPerSecond;
    before = line.step;
  }
  return Number(seconds.toFixed(3));
}
