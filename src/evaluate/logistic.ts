/** Multinomial logistic regression in float64: the loss of a linear classifier, its gradient, and its decisions. */

/** Rows with a class each, padded to a multiple of four rows. */
export interface ClassifiedRows {
  readonly rows: number;
  readonly dimension: number;
  /** [rows rounded up to a multiple of 4, dimension]; zeros in the rows that pad. */
  readonly values: Float64Array;
  /** [rows], classes from 0. */
  readonly labels: Int32Array;
}

/** Rows that are multiplied with the weights together: each weight is loaded once for all of them. */
const together = 4;

/** Length of values for so many rows. */
export function paddedLength(rows: number, dimension: number): number {
  return Math.ceil(rows / together) * together * dimension;
}

/** Adds four rows, times the weights [dimension, classes], to `logits` [4, classes]. */
function multiplyRows(
  values: Float64Array,
  first: number,
  dimension: number,
  weights: Float64Array,
  classes: number,
  logits: Float64Array,
): void {
  const row0 = first * dimension, row1 = row0 + dimension, row2 = row1 + dimension, row3 = row2 + dimension;
  const second = classes, third = 2 * classes, fourth = 3 * classes;
  for (let column = 0; column < dimension; column++) {
    const a = values[row0 + column], b = values[row1 + column];
    const c = values[row2 + column], d = values[row3 + column];
    const base = column * classes;
    for (let at = 0; at < classes; at++) {
      const weight = weights[base + at];
      logits[at] += a * weight;
      logits[second + at] += b * weight;
      logits[third + at] += c * weight;
      logits[fourth + at] += d * weight;
    }
  }
}

/** Adds the product of four rows' values and residuals [4, classes] to the gradient [dimension, classes]. */
function addGradient(
  values: Float64Array,
  first: number,
  dimension: number,
  residuals: Float64Array,
  classes: number,
  gradient: Float64Array,
): void {
  const row0 = first * dimension, row1 = row0 + dimension, row2 = row1 + dimension, row3 = row2 + dimension;
  const second = classes, third = 2 * classes, fourth = 3 * classes;
  for (let column = 0; column < dimension; column++) {
    const a = values[row0 + column], b = values[row1 + column];
    const c = values[row2 + column], d = values[row3 + column];
    const base = column * classes;
    for (let at = 0; at < classes; at++) {
      gradient[base + at] += a * residuals[at] + b * residuals[second + at] +
        c * residuals[third + at] + d * residuals[fourth + at];
    }
  }
}

/** Calls back with the logits [4, classes] of each four rows. */
function forLogits(
  { rows, dimension, values }: ClassifiedRows,
  weights: Float64Array,
  classes: number,
  use: (logits: Float64Array, first: number, count: number) => void,
): void {
  const logits = new Float64Array(together * classes);
  const bias = weights.subarray(dimension * classes);
  for (let first = 0; first < rows; first += together) {
    for (let row = 0; row < together; row++) logits.set(bias, row * classes);
    multiplyRows(values, first, dimension, weights, classes, logits);
    use(logits, first, Math.min(together, rows - first));
  }
}

/** Turns a row of logits into the gradient of its cross-entropy by them; the cross-entropy. */
function crossEntropy(logits: Float64Array, offset: number, classes: number, label: number): number {
  let most = -Infinity, sum = 0;
  for (let at = 0; at < classes; at++) most = Math.max(most, logits[offset + at]);
  const ofLabel = logits[offset + label] - most;
  for (let at = 0; at < classes; at++) sum += logits[offset + at] = Math.exp(logits[offset + at] - most);
  for (let at = 0; at < classes; at++) logits[offset + at] /= sum;
  logits[offset + label] -= 1;
  return Math.log(sum) - ofLabel;
}

/**
 * Mean cross-entropy over the rows + regularisation / 2 · sum of the squared weights, the bias left out.
 *
 * @param weights [dimension + 1, classes], the bias last
 * @param gradient is overwritten; the same shape
 */
export function logisticLoss(
  data: ClassifiedRows,
  classes: number,
  regularisation: number,
  weights: Float64Array,
  gradient: Float64Array,
): number {
  const { rows, dimension, values, labels } = data;
  const biasAt = dimension * classes;
  gradient.fill(0);
  let loss = 0;
  forLogits(data, weights, classes, (logits, first, count) => {
    for (let row = 0; row < count; row++) {
      loss += crossEntropy(logits, row * classes, classes, labels[first + row]);
      for (let at = 0; at < classes; at++) gradient[biasAt + at] += logits[row * classes + at];
    }
    logits.fill(0, count * classes);
    addGradient(values, first, dimension, logits, classes, gradient);
  });
  let squares = 0;
  for (let at = 0; at < gradient.length; at++) {
    gradient[at] /= rows;
    if (at >= biasAt) continue;
    squares += weights[at] * weights[at];
    gradient[at] += regularisation * weights[at];
  }
  return loss / rows + regularisation / 2 * squares;
}

/** What a classifier makes of rows. */
export interface Classified {
  /** The class with the largest logit of each row. */
  readonly predictions: Int32Array<ArrayBuffer>;
  /** Its probability by softmax. */
  readonly confidences: Float64Array<ArrayBuffer>;
  /** Mean cross-entropy of the labels; infinite where a label is of no class. */
  readonly loss: number;
}

/** Classifies rows. */
export function classify(data: ClassifiedRows, classes: number, weights: Float64Array): Classified {
  const predictions = new Int32Array(data.rows);
  const confidences = new Float64Array(data.rows);
  let loss = 0;
  forLogits(data, weights, classes, (logits, first, count) => {
    for (let row = 0; row < count; row++) {
      const own = logits.subarray(row * classes, (row + 1) * classes);
      const most = own.reduce((most, logit) => Math.max(most, logit));
      predictions[first + row] = own.indexOf(most);
      confidences[first + row] = 1 / own.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
      const label = data.labels[first + row];
      loss += label < classes ? crossEntropy(logits, row * classes, classes, label) : Infinity;
    }
  });
  return { predictions, confidences, loss: loss / data.rows };
}
