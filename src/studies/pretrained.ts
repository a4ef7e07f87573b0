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

/** A run that is done. */
export interface PretrainedRun {
  /** Its last checkpoint. */
  readonly checkpoint: string;
  /** Its steps took so long, by its own metrics. */
  readonly seconds: number;
}

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
    const folder = await RunFolder.open(path);
    const kept = parseConfig((await folder.readConfig()).config, folder.configPath);
    const differences = configDifferences(config, kept).map(({ text }) => text);
    if (differences.length > 0) {
      throw new UsageError(
        `${path} holds another run: it has ${differences.join(", ")}. Remove it, or give another folder.`,
      );
    }
    if (await epochsDone(folder) < config.training.epochs) await resumeRun(gpu, path, {}, hooks);
  }
  if (hooks.signal.aborted) return undefined;
  const folder = await RunFolder.open(path);
  return {
    checkpoint: folder.lastCheckpointPath,
    seconds: await secondsOf(folder, config.training.batch),
  };
}

async function epochsDone(folder: RunFolder): Promise<number> {
  const files = await folder.checkpoints();
  if (!files.some(({ epoch }) => epoch === undefined)) return 0;
  const { file, epoch } = await openCheckpointFile(folder.lastCheckpointPath);
  file.close();
  return epoch;
}

async function secondsOf(folder: RunFolder, batch: number): Promise<number> {
  let seconds = 0, before = 0;
  for (const line of await folder.readMetrics()) {
    if (!isStep(line)) continue;
    seconds += (line.step - before) * batch / line.imagesPerSecond;
    before = line.step;
  }
  return Number(seconds.toFixed(1));
}
