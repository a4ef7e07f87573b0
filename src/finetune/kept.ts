/** A training on labelled images that is kept in a file while it lasts, so that it can be interrupted. */
import { DataError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { openSafetensors } from "../store/safetensors.ts";
import { storedLossSums } from "../train/loss_sums.ts";
import { fillTensors, saveState } from "../train/state_file.ts";
import type { TrainingState } from "../train/trainer.ts";

/** Where a training is kept. */
export interface KeptTraining {
  readonly path: string;
  /** What decides about the result, in words: one that is kept is gone on with only where these are the same. */
  readonly about: string;
}

const format = "scion-finetune-1";

/**
 * Writes the state of a training, atomically.
 * @param epoch epochs that are complete
 * @throws {TrainingError} when the state is not finite, {@linkcode DataError} when the file system refuses
 */
export async function keepTraining(
  gpu: Gpu,
  state: TrainingState,
  { path, about }: KeptTraining,
  epoch: number,
): Promise<void> {
  await saveState(gpu, state, epoch, { metadata: { format, about } }, path);
}

/**
 * Takes up what is kept; whether there was anything.
 * @throws {DataError} for a file that is damaged, or of another training; then nothing was changed
 */
export async function takeUpTraining({ path, about }: KeptTraining, state: TrainingState): Promise<boolean> {
  try {
    await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  using file = await openSafetensors(path);
  const { metadata, checksum } = file;
  const losses = storedLossSums.safeParse(jsonOf(metadata.losses));
  if (
    metadata.format !== format || checksum === undefined || !/^\d+$/.test(metadata.step) || !losses.success
  ) {
    throw new DataError(`${path} is damaged, or no fine-tuning of this version. Remove it to begin anew.`);
  }
  if (metadata.about !== about) {
    throw new DataError(
      `${path} is of a fine-tuning with other images, settings or weights. Remove it to begin anew, or write elsewhere.`,
    );
  }
  await fillTensors(file, state);
  state.losses.restore(losses.data);
  state.step = Number(metadata.step);
  return true;
}

function jsonOf(text = "null"): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
