/**
 * A linear probe: multinomial logistic regression on frozen features, by preconditioned L-BFGS in float64. Features are
 * standardised with mean and deviation of the training rows. The strength of the L2 regularisation is chosen by the
 * cross-entropy of a validation split of the training rows, never by test rows; then all training rows are used. No learning
 * rate, nothing random but the split, which the seed decides.
 */
import { DataError } from "../errors.ts";
import { splitByClass } from "./class_split.ts";
import { FeatureCurvature } from "./curvature.ts";
import type { LabelledFeatures } from "./knn.ts";
import { minimise } from "./lbfgs.ts";
import { type ClassifiedRows, classify, logisticLoss, paddedLength } from "./logistic.ts";

/** Settings of the probe. */
export interface LinearSettings {
  /**
   * Strengths to choose from: the loss is the mean cross-entropy + strength / 2 · sum of the squared weights. In the
   * convention of scikit-learn, C = 1 / (rows · strength).
   */
  readonly regularisations: readonly number[];
  /** Part of each class's training rows, 0 to 1, that the choice is made on. */
  readonly validation: number;
  readonly seed: number;
}

/** Used where nothing else is asked for. */
export const linearDefaults: LinearSettings = {
  regularisations: [10, 1, 0.1, 0.01, 1e-3, 1e-4, 1e-5],
  validation: 0.2,
  seed: 1,
};

/** How one strength did on the validation split. */
export interface ValidatedRegularisation {
  readonly regularisation: number;
  readonly accuracy: number;
  /** Mean cross-entropy. */
  readonly loss: number;
}

/** What a probe found. */
export interface LinearResult {
  /** Part of the test rows, 0 to 1, whose class is right. */
  readonly accuracy: number;
  /** Class of each test row. */
  readonly predictions: Int32Array<ArrayBuffer>;
  /** Probability of that class, by softmax. */
  readonly confidences: Float64Array<ArrayBuffer>;
  /** The strength that was chosen. */
  readonly regularisation: number;
  /** The strengths that were tried, the strongest first: weaker ones than two that did worse and worse are not. */
  readonly validated: readonly ValidatedRegularisation[];
  /** Whether the last fit's gradient came to zero. */
  readonly converged: boolean;
}

/** Gradients that count as zero, and most iterations, while choosing and at the end. */
const choosing = { tolerance: 1e-3, iterations: 100 };
const final = { tolerance: 1e-5, iterations: 500 };
/**
 * With fewer rows than so many times the columns, the curvature takes longer to invert than it saves, and its bound is far
 * from what few rows curve: measured at 400 to 10 000 rows of 256 and 512 columns.
 */
const rowsPerColumn = 6;
/** So long the host computes before other work may run, e.g. an interrupt's. */
const sliceMilliseconds = 100;

/**
 * Trains the probe and classifies the test rows.
 *
 * @param signal ends the work with its reason
 * @throws {DataError} for fewer than two classes, a class of a single row, or features that are not finite
 */
export async function linearProbe(
  train: LabelledFeatures,
  test: LabelledFeatures,
  settings: LinearSettings = linearDefaults,
  signal?: AbortSignal,
): Promise<LinearResult> {
  const classes = train.labels.reduce((most, label) => Math.max(most, label + 1), 0);
  const { fitting, validating } = splitByClass(train.labels, settings);
  expectFiniteFeatures(train, test);
  const work = { classes, afterIteration: pacer(signal) };

  const split = new Standardised(train, fitting);
  const held = split.apply(train, validating);
  const curvature = fitting.length >= rowsPerColumn * train.dimension
    ? await FeatureCurvature.of(split.rows, work.afterIteration)
    : undefined;
  const validated: ValidatedRegularisation[] = [];
  let weights = new Float64Array((train.dimension + 1) * classes);
  let chosen = { weights, loss: Infinity, regularisation: 0 };
  for (const regularisation of settings.regularisations.toSorted((a, b) => b - a)) {
    // The solution with more regularisation is near.
    ({ point: weights } = await fit(split.rows, curvature, regularisation, weights, {
      ...choosing,
      ...work,
    }));
    const { predictions, loss } = classify(held, classes, weights);
    const accuracy = accuracyOf(predictions, held.labels);
    validated.push({ regularisation, accuracy, loss });
    // Accuracies of a few hundred rows tie by chance; the cross-entropy tells strengths apart.
    if (loss < chosen.loss) chosen = { weights, loss, regularisation };
    const [before, last, now] = validated.slice(-3);
    if (now && before.loss < last.loss && last.loss < now.loss) break;
  }

  const whole = new Standardised(train, Uint32Array.from(train.labels.keys()));
  const { regularisation } = chosen;
  // The curvature of most rows is near that of all.
  const { point, converged } = await fit(whole.rows, curvature, regularisation, chosen.weights, {
    ...final,
    ...work,
  });
  const tested = whole.apply(test, Uint32Array.from(test.labels.keys()));
  const { predictions, confidences } = classify(tested, classes, point);
  return {
    accuracy: accuracyOf(predictions, test.labels),
    predictions,
    confidences,
    regularisation,
    validated,
    converged,
  };
}

/** @throws {DataError} for features that are not finite */
export function expectFiniteFeatures(...features: readonly LabelledFeatures[]): void {
  if (features.every(({ values }) => values.every(Number.isFinite))) return;
  throw new DataError(
    "The features hold values that are not finite, so no classifier can be trained on them.",
  );
}

function fit(
  rows: ClassifiedRows,
  curvature: FeatureCurvature | undefined,
  regularisation: number,
  start: Float64Array<ArrayBuffer>,
  { classes, ...options }: {
    classes: number;
    tolerance: number;
    iterations: number;
    afterIteration: () => Promise<void>;
  },
) {
  return minimise(
    (weights, gradient) => logisticLoss(rows, classes, regularisation, weights, gradient),
    start,
    { ...options, precondition: curvature?.inverse(classes, regularisation) },
  );
}

/** Part of the predictions, 0 to 1, that are the label. */
export function accuracyOf(predictions: Int32Array, labels: Int32Array): number {
  return predictions.reduce((right, prediction, row) => right + Number(prediction === labels[row]), 0) /
    predictions.length;
}

/** Rows brought to mean 0 and deviation 1 in each column; a column without deviation becomes 0. */
class Standardised {
  readonly rows: ClassifiedRows;
  readonly #mean: Float64Array;
  readonly #scale: Float64Array;

  constructor(features: LabelledFeatures, chosen: Uint32Array) {
    const { dimension, values } = features;
    const mean = this.#mean = new Float64Array(dimension), scale = this.#scale = new Float64Array(dimension);
    for (let column = 0; column < dimension; column++) {
      let sum = 0, squares = 0;
      for (const row of chosen) sum += values[row * dimension + column];
      mean[column] = sum / chosen.length;
      for (const row of chosen) squares += (values[row * dimension + column] - mean[column]) ** 2;
      const deviation = Math.sqrt(squares / chosen.length);
      // What is left of a constant column is rounding.
      scale[column] = deviation > 1e-12 * Math.abs(mean[column]) ? 1 / deviation : 0;
    }
    this.rows = this.apply(features, chosen);
  }

  /** Other rows, with the same mean and deviation. */
  apply({ dimension, values, labels }: LabelledFeatures, chosen: Uint32Array): ClassifiedRows {
    const standardised = new Float64Array(paddedLength(chosen.length, dimension));
    chosen.forEach((row, place) => {
      for (let column = 0; column < dimension; column++) {
        const value = values[row * dimension + column];
        standardised[place * dimension + column] = (value - this.#mean[column]) * this.#scale[column];
      }
    });
    return {
      rows: chosen.length,
      dimension,
      values: standardised,
      labels: Int32Array.from(chosen, (row) => labels[row]),
    };
  }
}

/**
 * Lets other work run from time to time, where it is called; nothing that is computed depends on when.
 *
 * @param signal ends the work with its reason
 */
export function pacer(signal: AbortSignal | undefined): () => Promise<void> {
  let last = performance.now();
  return async () => {
    signal?.throwIfAborted();
    if (performance.now() - last < sliceMilliseconds) return;
    await new Promise((resolve) => setTimeout(resolve));
    last = performance.now();
    signal?.throwIfAborted();
  };
}
