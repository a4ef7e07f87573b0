/**
 * The linear probe as MoCo and its successors published it: multinomial logistic regression on the features as they are, by
 * stochastic gradient descent with a learning rate of 30, momentum 0.9, no weight decay, 100 epochs, the rate divided by ten
 * after 60 and after 80 (He et al. 2020, section 4.1; initial weights from N(0, 0.01²), as in their code). In float64;
 * weights and order of the rows follow from the seed.
 */
import { DataError } from "../errors.ts";
import { purpose, Random } from "../random.ts";
import type { LabelledFeatures } from "./knn.ts";
import { accuracyOf, expectFiniteFeatures, type LinearResult, pacer } from "./linear.ts";
import { type ClassifiedRows, classify, logisticLoss, paddedLength } from "./logistic.ts";

/** Settings of the descent. */
export interface SgdProbeSettings {
  readonly learningRate: number;
  readonly momentum: number;
  /** Of the loss: mean cross-entropy + decay / 2 · sum of the squared weights, the bias left out. */
  readonly weightDecay: number;
  readonly epochs: number;
  /** Epochs after which the rate is divided by ten. */
  readonly milestones: readonly number[];
  /** Rows of a step; the last step of an epoch has what is left. */
  readonly batch: number;
  readonly seed: number;
}

/** As published. */
export const sgdProbeDefaults: SgdProbeSettings = {
  learningRate: 30,
  momentum: 0.9,
  weightDecay: 0,
  epochs: 100,
  milestones: [60, 80],
  batch: 256,
  seed: 1,
};

/** Deviation of the initial weights. */
const initialDeviation = 0.01;
/** The largest absolute value in the gradient that counts as zero. */
const tolerance = 1e-3;

/**
 * Trains the probe and classifies the test rows. Nothing is chosen, so `validated` is empty; `converged` says whether the
 * gradient over all training rows is near zero in the end, which a published schedule need not reach.
 *
 * @param signal ends the work with its reason
 * @throws {DataError} for fewer than two classes, or features that are not finite
 */
export async function sgdProbe(
  train: LabelledFeatures,
  test: LabelledFeatures,
  settings: SgdProbeSettings = sgdProbeDefaults,
  signal?: AbortSignal,
): Promise<LinearResult> {
  const { learningRate, momentum, weightDecay, epochs, milestones, seed } = settings;
  const known = new Set(train.labels).size;
  if (known < 2) {
    throw new DataError(`A linear probe needs images of at least 2 classes; these have ${known}.`);
  }
  expectFiniteFeatures(train, test);
  const { dimension, rows } = train;
  const classes = train.labels.reduce((most, label) => Math.max(most, label + 1), 0);
  const pause = pacer(signal);

  const random = new Random(seed, purpose.linearProbe);
  const weights = Float64Array.from(
    { length: (dimension + 1) * classes },
    (_, at) => at < dimension * classes ? initialDeviation * random.normal() : 0,
  );
  const velocity = new Float64Array(weights.length), gradient = new Float64Array(weights.length);
  const batch = Math.min(settings.batch, rows);
  for (let epoch = 0; epoch < epochs; epoch++) {
    const rate = learningRate / 10 ** milestones.filter((milestone) => milestone <= epoch).length;
    const order = new Random(seed, purpose.linearProbe, 1 + epoch).permutation(rows);
    for (let first = 0; first < rows; first += batch) {
      const chosen = gather(train, order.subarray(first, first + batch));
      logisticLoss(chosen, classes, weightDecay, weights, gradient);
      for (let at = 0; at < weights.length; at++) {
        velocity[at] = momentum * velocity[at] + gradient[at];
        weights[at] -= rate * velocity[at];
      }
      await pause();
    }
  }

  logisticLoss(gather(train, train.labels.keys()), classes, weightDecay, weights, gradient);
  const { predictions, confidences } = classify(gather(test, test.labels.keys()), classes, weights);
  return {
    accuracy: accuracyOf(predictions, test.labels),
    predictions,
    confidences,
    regularisation: weightDecay,
    validated: [],
    converged: gradient.every((value) => Math.abs(value) <= tolerance),
  };
}

/** Some rows as they are, in the order given. */
function gather({ dimension, values, labels }: LabelledFeatures, chosen: Iterable<number>): ClassifiedRows {
  const places = Uint32Array.from(chosen);
  const gathered = new Float64Array(paddedLength(places.length, dimension));
  places.forEach((row, place) =>
    gathered.set(values.subarray(row * dimension, (row + 1) * dimension), place * dimension)
  );
  return {
    rows: places.length,
    dimension,
    values: gathered,
    labels: Int32Array.from(places, (row) => labels[row]),
  };
}
