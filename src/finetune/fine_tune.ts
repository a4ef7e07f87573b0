/** Fine-tuning: a network and a new classifier are trained together on labelled images. */
import type { ViewMaker } from "../data/view_maker.ts";
import { DataError } from "../errors.ts";
import type { PlainModel } from "../extract/model.ts";
import type { Gpu } from "../gpu/device.ts";
import { openSafetensors, type SafetensorsFile, writeSafetensors } from "../store/safetensors.ts";
import { storedLossSums } from "../train/loss_sums.ts";
import { fillTensors, saveState } from "../train/state_file.ts";
import { Trainer } from "../train/trainer.ts";
import { Tensor } from "../tensor/tensor.ts";
import { batchFor, type FineTuneRates, type FineTuneSettings } from "./settings.ts";
import { FineTuneState } from "./state.ts";

/** What a network is fine-tuned on. */
export interface FineTuneTask {
  readonly model: PlainModel;
  /** Number of classes. */
  readonly classes: number;
  /** Augmented views of the training images. */
  readonly views: ViewMaker;
  /** The image that these show in place of one: another where its file is broken. */
  shown(index: number): number;
  /** Class of each image of the source. */
  readonly labels: Int32Array;
  /** The images that are trained on. */
  readonly indices: Uint32Array;
  readonly settings: FineTuneSettings;
  /** A file that keeps what an interrupted fine-tuning has reached; absent for a short one, which begins anew. */
  readonly checkpoint?: FineTuneCheckpoint | undefined;
}

/** Where a fine-tuning is kept. */
export interface FineTuneCheckpoint {
  readonly path: string;
  /** What decides about the result, in words: one that is kept is gone on with only where these are the same. */
  readonly about: string;
  /** What was found out before, and goes with it. */
  readonly found?: string;
}

/** What a fine-tuning tells. */
export interface FineTuneHooks {
  readonly signal: AbortSignal;
  /** Steps done, as a fraction, of all. */
  onPart?(done: number, total: number): void;
}

const checkpointFormat = "scion-finetune-1";

/**
 * Fine-tunes.
 *
 * @returns the network as it is after the last step; the caller releases it
 * @throws the signal's reason when it is interrupted
 * @throws {TrainingError} when it diverges
 */
export async function fineTune(
  gpu: Gpu,
  task: FineTuneTask,
  rates: FineTuneRates,
  hooks: FineTuneHooks,
): Promise<FineTuneState> {
  const { model, classes, settings, labels, indices, checkpoint } = task;
  const { epochs, milestones, stepFactor, seed } = settings;
  const { max } = model.network.space;
  const state = new FineTuneState(gpu, model, classes, settings, rates);
  try {
    if (!checkpoint || !await restore(checkpoint, state)) await state.initialise();
    const trainer: Trainer<never> = new Trainer<never>({
      gpu,
      state,
      plan: {
        epochs,
        batch: batchFor(settings.batch, indices.length),
        lastBatch: "drop",
        seed,
        logEvery: 10,
        checkpointEvery: 0,
        evaluateEvery: 0,
        schedule: {
          learningRate: rates.learningRate,
          schedule: "steps",
          warmupEpochs: 0,
          milestones: milestones.map((part) => Math.round(part * epochs)),
          stepFactor,
          power: 1,
          floor: 0,
        },
        passesPerStep: 1,
        passes: () => [{ role: "largest", architecture: max }],
      },
      keeper: {
        lastCheckpoint: checkpoint?.path ?? "the network before it was fine-tuned",
        append: () => Promise.resolve(),
        async save(epoch) {
          if (!checkpoint) return;
          const { about, found = "" } = checkpoint;
          const metadata = { format: checkpointFormat, about, found };
          await saveState(gpu, state, epoch, { metadata }, checkpoint.path);
        },
      },
      views: task.views,
      images: indices,
      given: (batch) => ({
        labels: Tensor.from(gpu, Uint32Array.from(batch, (index) => labels[task.shown(index)])),
      }),
      evaluated: true,
      observer: {
        onSteps: () => {},
        onEvaluation: () => {},
        onPart: (done) => hooks.onPart?.(done, trainer.totalSteps),
      },
      signal: hooks.signal,
    });
    const { interrupted } = await trainer.run();
    if (interrupted) throw hooks.signal.reason;
    return state;
  } catch (error) {
    state.release();
    throw error;
  }
}

/** Keeps what is found out before a training begins. @throws {DataError} when the file system refuses */
export async function keepFound({ path, about }: FineTuneCheckpoint, found: string): Promise<void> {
  await writeSafetensors(path, [], { format: checkpointFormat, about, found });
}

/** What was found out by then; undefined where nothing is kept. @throws {DataError} for a file that is another's */
export async function readFound(checkpoint: FineTuneCheckpoint): Promise<string | undefined> {
  using file = await openKept(checkpoint);
  return file?.metadata.found;
}

async function openKept({ path, about }: FineTuneCheckpoint): Promise<SafetensorsFile | undefined> {
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
  if (metadata.format !== checkpointFormat || checksum === undefined || metadata.found === undefined) {
    throw refuse("damaged, or no fine-tuning of this version. Remove it to begin anew.");
  }
  if (metadata.about === about) return file;
  throw refuse(
    "of a fine-tuning with other images, settings or weights. Remove it to begin anew, or give another --out.",
  );
}

/** Takes up what is kept; whether the training had begun. */
async function restore(checkpoint: FineTuneCheckpoint, state: FineTuneState): Promise<boolean> {
  using file = await openKept(checkpoint);
  const step = file?.metadata.step;
  if (file === undefined || step === undefined) return false;
  const losses = storedLossSums.safeParse(JSON.parse(file.metadata.losses ?? "null"));
  if (!/^\d+$/.test(step) || !losses.success) {
    throw new DataError(`${checkpoint.path} is damaged. Remove it to begin anew.`);
  }
  await fillTensors(file, state);
  state.losses.restore(losses.data);
  state.step = Number(step);
  return true;
}
