/** The same pretraining under further seeds, on the same images: what two runs disagree about is noise. */
import { configDifferences } from "../config/difference.ts";
import { type Config, dataSeed } from "../config/schema.ts";
import { parseConfig } from "../config/load.ts";
import { UsageError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { openCheckpointFile } from "../pretrain/checkpoint_file.ts";
import { type PretrainHooks, resumeRun, startRun } from "../pretrain/pretrain.ts";
import { RunFolder } from "../store/run_folder.ts";

/** A run's configuration under another seed: images and those held out stay the same. */
export function withSeed(config: Config, seed: number): Config {
  return {
    ...config,
    data: { ...config.data, seed: dataSeed(config) },
    training: { ...config.training, seed },
  };
}

/**
 * Pretrains into a folder, or goes on there, or finds it done.
 *
 * @returns its last checkpoint; undefined when it was interrupted
 * @throws {UsageError} when the folder holds another run
 */
export async function pretrained(
  gpu: Gpu,
  path: string,
  config: Config,
  steps: number,
  hooks: PretrainHooks,
): Promise<string | undefined> {
  if (!await RunFolder.holdsRun(path)) {
    const { folder } = await startRun(gpu, path, config, hooks);
    return hooks.signal.aborted ? undefined : folder.lastCheckpointPath;
  }
  const folder = await RunFolder.open(path);
  const kept = parseConfig((await folder.readConfig()).config, folder.configPath);
  const differences = configDifferences(config, kept).map(({ text }) => text);
  if (differences.length > 0) {
    throw new UsageError(`${path} holds another run: ${differences.join(", ")}. Give another folder.`, {
      about: "out",
    });
  }
  if (await stepsDone(folder) < steps) await resumeRun(gpu, path, {}, hooks);
  return hooks.signal.aborted ? undefined : folder.lastCheckpointPath;
}

async function stepsDone(folder: RunFolder): Promise<number> {
  const files = await folder.checkpoints();
  if (!files.some(({ epoch }) => epoch === undefined)) return 0;
  const { file, step } = await openCheckpointFile(folder.lastCheckpointPath);
  file.close();
  return step;
}
