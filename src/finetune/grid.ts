/** The choice among settings on a validation split, and the training that follows it. */
import { z } from "zod";
import { splitByClass } from "../evaluate/class_split.ts";
import { accuracyOf } from "../evaluate/linear.ts";
import { DataError, TrainingError } from "../errors.ts";
import { labelledFeatures, recalibrateOn } from "../extract/labelled_images.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Statistics } from "../nn/weights.ts";
import type { LabelledImages } from "../pretrain/run_data.ts";
import { removeFile } from "../store/remove_file.ts";
import { fineTune, type FineTuneHooks, type FineTuneTask } from "./fine_tune.ts";
import { keepFound, readFound } from "./kept.ts";
import { entriesOf, type FineTuneRates } from "./settings.ts";
import { classOfRow } from "./predictions.ts";
import type { FineTuneState } from "./state.ts";
import type { TunedNetwork } from "./tuned_model.ts";

/** What a choice is made with. */
export interface GridTask extends FineTuneTask {
  /** The training images as evaluation sees them: batchnorm statistics are taken from all of them, labels of none. */
  readonly evaluation: LabelledImages;
  /** How many of them, at most. */
  readonly calibrate: number;
}

/** How one entry did on the validation split. */
export interface ValidatedRates extends FineTuneRates {
  /** Null where training diverged. */
  readonly accuracy: number | null;
}

/** What a choice tells. */
export interface GridHooks extends FineTuneHooks {
  /** Training diverged, and the entry is left out of the choice. */
  onDiverged?(rates: FineTuneRates): void;
}

/** A fine-tuned network; the caller releases it and its statistics. */
export interface FineTuned extends TunedNetwork {
  readonly state: FineTuneState;
  readonly rates: FineTuneRates;
  /** Every entry, where there was a choice. */
  readonly validated: readonly ValidatedRates[];
}

/**
 * Fine-tunes with every entry of the grid on a part of the training images, takes the one that is best on the rest, and
 * fine-tunes with it on all. A grid of one entry is no choice.
 *
 * @throws the signal's reason when it is interrupted
 * @throws {TrainingError} when every entry diverges, or the last training does; nothing of it is kept
 * @throws {DataError} for fewer than two classes, or a class of a single image, where there is a choice to be made
 */
export async function fineTuneOnGrid(gpu: Gpu, task: GridTask, hooks: GridHooks): Promise<FineTuned> {
  const entries = entriesOf(task.settings);
  const trainings = entries.length === 1 ? 1 : entries.length + 1;
  let done = 0;
  const part: FineTuneHooks = {
    ...hooks,
    onPart: (step, total) => hooks.onPart?.(done * total + step, trainings * total),
  };
  const validated: ValidatedRates[] = [];
  if (entries.length > 1) {
    const { indices, labels, settings } = task;
    const own = Int32Array.from(indices, (index) => labels[index]);
    const { fitting, validating } = splitByClass(own, settings);
    const at = (rows: Uint32Array) => rows.map((row) => indices[row]);
    const { checkpoint } = task;
    validated.push(...readValidated(checkpoint && await readFound(checkpoint), checkpoint?.path));
    done = validated.length;
    for (const rates of entries.slice(done)) {
      const accuracy = await validate(
        gpu,
        { ...task, indices: at(fitting), checkpoint: undefined },
        at(validating),
        rates,
        part,
      );
      if (accuracy === null) hooks.onDiverged?.(rates);
      validated.push({ ...rates, accuracy });
      if (checkpoint) await keepFound(checkpoint, JSON.stringify(validated));
      done++;
    }
  }
  const rates = chosen(entries, validated);
  const found = JSON.stringify(validated);
  const checkpoint = task.checkpoint && { ...task.checkpoint, found };
  const state = await last(gpu, { ...task, checkpoint }, rates, part);
  try {
    const statistics = await statisticsOf(state, task);
    return { state, statistics, rates, validated };
  } catch (error) {
    state.release();
    throw error;
  }
}

const validatedSchema = z.array(z.object({
  learningRate: z.number(),
  headFactor: z.number(),
  accuracy: z.number().min(0).max(1).nullable(),
}));

/** Entries that an interrupted choice is done with, in the grid's order. */
function readValidated(found: string | undefined, path: string | undefined): ValidatedRates[] {
  if (found === undefined || found === "") return [];
  try {
    return validatedSchema.parse(JSON.parse(found));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof z.ZodError)) throw error;
    throw new DataError(`${path} is damaged. Remove it to begin anew.`, { cause: error });
  }
}

/** The training whose result is kept. What it saved before it diverged is of no use. */
async function last(
  gpu: Gpu,
  task: GridTask,
  rates: FineTuneRates,
  hooks: FineTuneHooks,
): Promise<FineTuneState> {
  try {
    return await fineTune(gpu, task, rates, hooks);
  } catch (error) {
    if (!(error instanceof TrainingError)) throw error;
    if (task.checkpoint) await removeFile(task.checkpoint.path);
    throw new TrainingError(
      `Fine-tuning diverged with the learning rate ${rates.learningRate} and the classifier's ${
        rates.learningRate * rates.headFactor
      }. Give lower ones with --learning-rates.`,
      { cause: error },
    );
  }
}

/** The best; of equals the one with the lower rates, which comes first. */
function chosen(entries: readonly FineTuneRates[], validated: readonly ValidatedRates[]): FineTuneRates {
  if (validated.length === 0) return entries[0];
  const right = validated.filter(({ accuracy }) => accuracy !== null);
  if (right.length === 0) {
    throw new TrainingError(
      `Fine-tuning diverged with every learning rate (${
        [...new Set(entries.map(({ learningRate }) => learningRate))].join(", ")
      }). Give lower ones with --learning-rates.`,
    );
  }
  const { learningRate, headFactor } = right.reduce((best, one) =>
    one.accuracy! > best.accuracy! ? one : best
  );
  return { learningRate, headFactor };
}

async function validate(
  gpu: Gpu,
  task: GridTask,
  validating: Uint32Array,
  rates: FineTuneRates,
  hooks: FineTuneHooks,
): Promise<number | null> {
  try {
    using state = await fineTune(gpu, task, rates, hooks);
    using statistics = await statisticsOf(state, task);
    const { encoder } = state.objective;
    const images = { ...task.evaluation, indices: validating };
    const logits = await labelledFeatures(
      encoder,
      encoder.network.space.max,
      statistics,
      images,
      "projection",
    );
    if (!logits.values.every(Number.isFinite)) return null;
    const predictions = Int32Array.from({ length: logits.rows }, (_, row) => classOfRow(logits, row).label);
    return accuracyOf(predictions, logits.labels);
  } catch (error) {
    if (error instanceof TrainingError) return null;
    throw error;
  }
}

async function statisticsOf(
  { objective: { encoder } }: FineTuneState,
  { evaluation, calibrate, settings }: GridTask,
): Promise<Statistics> {
  return await recalibrateOn(encoder, encoder.network.space.max, evaluation, calibrate, settings.seed);
}
