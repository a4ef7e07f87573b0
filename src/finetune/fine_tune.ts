/** Fine-tuning: a network and a new classifier are trained together on labelled images. */
import type { ViewMaker } from "../data/view_maker.ts";
import type { PlainModel } from "../extract/model.ts";
import type { Gpu } from "../gpu/device.ts";
import { Trainer } from "../train/trainer.ts";
import { Tensor } from "../tensor/tensor.ts";
import { keepTraining, type KeptTraining, takeUpTraining } from "./kept.ts";
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
  readonly checkpoint?: KeptTraining | undefined;
}

/** What a fine-tuning tells. */
export interface FineTuneHooks {
  readonly signal: AbortSignal;
  /** Steps done, as a fraction, of all. */
  onPart?(done: number, total: number): void;
}

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
    if (!checkpoint || !await takeUpTraining(checkpoint, state)) await state.initialise();
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
          if (checkpoint) await keepTraining(gpu, state, checkpoint, epoch);
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
