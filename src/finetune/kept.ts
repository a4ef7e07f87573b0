/** A training on labelled images that is kept in a file while it lasts, so that it can be interrupted. */
import { DataError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { openSafetensors, type SafetensorsFile, writeSafetensors } from "../store/safetensors.ts";
import { storedLossSums } from "../train/loss_sums.ts";
import type { TrainingState } from "../train/state.ts";
import { fillTensors, saveState } from "../train/state_file.ts";

/** Where a training is kept. */
export interface KeptTraining {
  readonly path: string;
  /** What decides about the result, in words: one that is kept is gone on with only where these are the same. */
  readonly about: string;
  /** What was found out before, and goes with it. */
  readonly found?: string;
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
  { path, about, found = "" }: KeptTraining,
  epoch: number,
): Promise<void> {
  await saveState(gpu, state, epoch, { metadata: { format, about, found } }, path);
}

/** Keeps what is found out before a training begins. @throws {DataError} when the file system refuses */
export async function keepFound({ path, about }: KeptTraining, found: string): Promise<void> {
  await writeSafetensors(path, [], { format, about, found });
}

/** What was found out by then; undefined where nothing is kept. @throws {DataError} for a file that is another's */
export async function readFound(kept: KeptTraining): Promise<string | undefined> {
  using file = await openKept(kept);
  return file?.metadata.found;
}

/**
 * Takes up what is kept; whether the training had begun.
 * @throws {DataError} for a file that is damaged, or of another training; then nothing was changed
 */
export async function takeUpTraining(kept: KeptTraining, state: TrainingState): Promise<boolean> {
  using file = await openKept(kept);
  const step = file?.metadata.step;
  if (file === undefined || step === undefined) return false;
  const losses = storedLossSums.safeParse(jsonOf(file.metadata.losses));
  if (!/^\d+$/.test(step) || !losses.success) {
    throw new DataError(`${kept.path} is damaged. Remove it to begin anew.`);
  }
  await fillTensors(file, state);
  state.losses.restore(losses.data);
  state.step = Number(step);
  return true;
}

async function openKept({ path, about }: KeptTraining): Promise<SafetensorsFile | undefined> {
  try {
    await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const file = await openSafetensors(path);
  const { metadata, checksum } = file;
  const refuse = (what: string) => {
    file.close();
    return new DataError(`${path} is ${what}`);
  };
  if (metadata.format !== format || checksum === undefined || metadata.found === undefined) {
    throw refuse("damaged, or no fine-tuning of this version. Remove it to begin anew.");
  }
  if (metadata.about === about) return file;
  throw refuse(
    "of a fine-tuning with other images, settings or weights. Remove it to begin anew, or give another --out.",
  );
}

function jsonOf(text = "null"): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
