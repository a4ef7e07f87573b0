/**
 * `metrics.jsonl`: one JSON object a line, a {@linkcode StepMetrics} for every logged step and an
 * {@linkcode EvaluationMetrics} for every evaluation, in the order in which they happened. With labels an evaluation is
 * a {@linkcode KnnMetrics}.
 */

import { DataError } from "../errors.ts";
import { asWriteError, writeAll, writeFileAtomically } from "./atomic_file.ts";

/** A logged training step. A run with a single architecture has neither `lossMin` nor `lossRandom`. */
export interface StepMetrics {
  /** Steps done, counted from the start of the run. */
  readonly step: number;
  /** The epoch that the step belongs to, from 0. */
  readonly epoch: number;
  readonly loss: number;
  /** Loss of the largest, the smallest and the random architectures. */
  readonly lossMax?: number;
  readonly lossMin?: number;
  readonly lossRandom?: number;
  /** Where the loss is a weighted sum: each term without its weight, mean over all architectures, by name. */
  readonly lossTerms?: Readonly<Record<string, number>>;
  readonly lr: number;
  readonly imagesPerSecond: number;
  /** Processes that trained together; absent for one. */
  readonly ranks?: number;
}

/** The spread of features, as `evaluate/spread.ts` measures it. */
export interface SpreadMetrics {
  readonly images: number;
  readonly dimension: number;
  readonly effectiveRank: number;
  readonly meanCosine: number;
  readonly deadShare: number;
  /** Absent in runs of earlier versions, as is the next. */
  readonly collapsedShare?: number;
  readonly uniformity?: number;
}

/** How well features agree that should, over training images. */
export interface AgreementMetrics {
  readonly images: number;
  /**
   * Mean squared distance of the features of two augmented views of an image. Absent where views are not augmented; null
   * where features were not finite.
   */
  readonly alignment?: number | null;
  /**
   * Mean cosine of the smallest architecture's projections with those of the momentum encoder at the largest. Absent
   * where there is no momentum encoder or but one architecture; null where projections were not finite.
   */
  readonly smallest?: number | null;
}

/** An evaluation of the network, with or without labels. */
export interface EvaluationMetrics {
  readonly step: number;
  /** Epochs done; 0 is the untrained network. */
  readonly epoch: number;
  /** Null where features were not finite, or of a single image; absent in runs of earlier versions. */
  readonly spread?: SpreadMetrics | null;
  /** Absent where nothing of it can be measured, and in runs of earlier versions. */
  readonly agreement?: AgreementMetrics;
}

/** A kNN evaluation on held-out images. */
export interface KnnMetrics extends EvaluationMetrics {
  /** Accuracy, 0 to 1. */
  readonly knn: number;
  /**
   * Accuracy of the same classifier on raw pixels, 0 to 1, of images beyond 64x64 shrunk to at most 32x32; on the run's
   * first kNN line only.
   */
  readonly knnPixels?: number;
  /** Images that were classified, and images that they were compared with. */
  readonly images: number;
  readonly bank: number;
}

/** How a fine-tuned segmentation does on its test images. */
export interface PixelMetrics {
  readonly step: number;
  /** Epochs done. */
  readonly epoch: number;
  /** 0 to 1; null where no pixel counts. */
  readonly mIoU: number | null;
  readonly pixelAccuracy: number | null;
}

/** How a fine-tuned detector does on its test images: COCO's average precision, 0 to 1; null where no object counts. */
export interface ObjectMetrics {
  readonly step: number;
  /** Epochs done. */
  readonly epoch: number;
  readonly boxAP: number | null;
  readonly boxAP50: number | null;
  readonly boxAP75: number | null;
  /** Absent for boxes alone, as the next. */
  readonly maskAP?: number | null;
  readonly maskAP50?: number | null;
  readonly maskAP75?: number | null;
}

/** How a fine-tuned classifier does on its test images. */
export interface ClassMetrics {
  readonly step: number;
  /** Epochs done. */
  readonly epoch: number;
  /** 0 to 1. */
  readonly accuracy: number;
}

/** A line of `metrics.jsonl`. */
export type MetricsLine =
  | StepMetrics
  | EvaluationMetrics
  | KnnMetrics
  | PixelMetrics
  | ObjectMetrics
  | ClassMetrics;

/** Whether a line is a training step. */
export function isStep(line: MetricsLine): line is StepMetrics {
  return "loss" in line;
}

/** Whether a line is an evaluation of a pretraining. */
export function isEvaluation(line: MetricsLine): line is EvaluationMetrics | KnnMetrics {
  return !isStep(line) && !isPixels(line) && !isObjects(line) && !isClasses(line);
}

/** Whether a line is an evaluation of a segmentation. */
export function isPixels(line: MetricsLine): line is PixelMetrics {
  return "mIoU" in line;
}

/** Whether a line is an evaluation of a detector. */
export function isObjects(line: MetricsLine): line is ObjectMetrics {
  return "boxAP" in line;
}

/** Whether a line is an evaluation of a classifier. */
export function isClasses(line: MetricsLine): line is ClassMetrics {
  return "accuracy" in line;
}

/** Whether a line is an evaluation with labels. */
export function isKnn(line: MetricsLine): line is KnnMetrics {
  return "knn" in line;
}

/**
 * Reads a metrics file; one that does not exist yet is empty. A last line that a killed process left half written is
 * passed over.
 *
 * @throws {DataError} naming the line that is no metrics line.
 */
export async function readMetrics(path: string): Promise<MetricsLine[]> {
  return (await readLines(path)).map(({ value }) => value);
}

/**
 * Appends lines and forces them to the disk, so that they are there whenever a checkpoint written later is.
 *
 * @throws {DataError} when the file system refuses.
 */
export async function appendMetrics(path: string, lines: readonly MetricsLine[]): Promise<void> {
  const text = lines.map((line) => JSON.stringify(line) + "\n").join("");
  try {
    using file = await Deno.open(path, { append: true, create: true });
    await writeAll(file, new TextEncoder().encode(text));
    await file.sync();
  } catch (error) {
    throw asWriteError(path, error);
  }
}

/**
 * Drops the lines beyond `step` and a half-written last line, so that a run resumed there goes on as if it had never
 * been interrupted. Lines that stay keep their bytes.
 *
 * @throws {DataError} naming the line that is no metrics line, or when the file system refuses.
 */
export async function truncateMetrics(path: string, step: number): Promise<void> {
  const kept = (await readLines(path)).filter(({ value }) => value.step <= step);
  await writeFileAtomically(path, kept.map(({ text }) => text + "\n").join(""));
}

async function readLines(path: string): Promise<{ text: string; value: MetricsLine }[]> {
  const texts = (await readTextIfThere(path)).split("\n");
  // What follows the last line's end: nothing, or a line that was being written when the process died.
  const rest = texts.pop()!;
  const lines = texts.map((text, index) => {
    const value = parseLine(text);
    if (value !== undefined) return { text, value };
    throw new DataError(
      `${path}, line ${index + 1}, is no metrics line: ${JSON.stringify(text.slice(0, 80))}. ` +
        `Each must be a JSON object with step, epoch and one of loss, knn, spread, mIoU, boxAP and accuracy. Remove the line, or start another run.`,
    );
  });
  const last = parseLine(rest);
  if (last !== undefined) lines.push({ text: rest, value: last });
  return lines;
}

async function readTextIfThere(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    if (!(error instanceof Error)) throw error;
    throw new DataError(`Cannot read ${path}: ${error.message}.`, { cause: error });
  }
}

function parseLine(text: string): MetricsLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  const measured = typeof fields.loss === "number" || typeof fields.knn === "number" ||
    typeof fields.spread === "object" || typeof fields.mIoU === "number" || fields.mIoU === null ||
    typeof fields.boxAP === "number" || fields.boxAP === null || typeof fields.accuracy === "number";
  const placed = Number.isInteger(fields.step) && Number.isInteger(fields.epoch);
  return measured && placed ? value as MetricsLine : undefined;
}
