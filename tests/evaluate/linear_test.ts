import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import type { LabelledFeatures } from "../../src/evaluate/knn.ts";
import { type Differentiable, minimise } from "../../src/evaluate/lbfgs.ts";
import { accuracyOf, linearDefaults, linearProbe } from "../../src/evaluate/linear.ts";
import { type ClassifiedRows, classify, logisticLoss, paddedLength } from "../../src/evaluate/logistic.ts";
import { purpose, Random } from "../../src/random.ts";
import { readSafetensors } from "../../src/store/safetensors.ts";
import { relativeError } from "../helpers.ts";

function rowsOf(values: ArrayLike<number>, labels: Int32Array, dimension: number): ClassifiedRows {
  const padded = new Float64Array(paddedLength(labels.length, dimension));
  padded.set(values);
  return { rows: labels.length, dimension, values: padded, labels };
}

function objective(data: ClassifiedRows, classes: number, regularisation: number): Differentiable {
  return (weights, gradient) => logisticLoss(data, classes, regularisation, weights, gradient);
}

/** Points around a centre a class; the last column is constant. */
function clusters(
  rows: number,
  classes: number,
  dimension: number,
  spread: number,
  seed: number,
): LabelledFeatures {
  const centres = new Random(7, purpose.test);
  const centre = Array.from({ length: classes * dimension }, () => centres.normal());
  const random = new Random(seed, purpose.test);
  const labels = Int32Array.from({ length: rows }, (_, row) => row % classes);
  const values = Float32Array.from({ length: rows * dimension }, (_, at) => {
    const column = at % dimension, row = Math.floor(at / dimension);
    if (column === dimension - 1) return 3.3;
    return 10 ** (column % 3) * (5 + centre[labels[row] * dimension + column] + spread * random.normal());
  });
  return { rows, dimension, values, labels };
}

/** Newton's method with the whole Hessian, damped: slow, plain, and nothing in common with the probe's minimisation. */
function newton(data: ClassifiedRows, classes: number, regularisation: number): Float64Array {
  const { rows, dimension, values, labels } = data;
  const length = (dimension + 1) * classes;
  let weights = new Float64Array(length);
  for (let round = 0; round < 60; round++) {
    const gradient = new Float64Array(length);
    // The bias of a classifier is known but for a constant: a trace of damping decides.
    const hessian = Array.from({ length }, (_, at) => {
      const row = new Float64Array(length);
      row[at] = (at < dimension * classes ? regularisation : 0) + 1e-10;
      return row;
    });
    for (let at = 0; at < dimension * classes; at++) gradient[at] = regularisation * weights[at];
    for (let row = 0; row < rows; row++) {
      const input = [...values.subarray(row * dimension, (row + 1) * dimension), 1];
      const logits = Array.from(
        { length: classes },
        (_, one) => input.reduce((sum, value, column) => sum + value * weights[column * classes + one], 0),
      );
      const most = Math.max(...logits);
      const powers = logits.map((logit) => Math.exp(logit - most));
      const sum = powers.reduce((a, b) => a + b);
      const shares = powers.map((power) => power / sum);
      for (let a = 0; a < length; a++) {
        const [columnA, classA] = [Math.floor(a / classes), a % classes];
        gradient[a] += input[columnA] * (shares[classA] - Number(labels[row] === classA)) / rows;
        for (let b = 0; b < length; b++) {
          const [columnB, classB] = [Math.floor(b / classes), b % classes];
          hessian[a][b] += input[columnA] * input[columnB] * shares[classA] *
            (Number(classA === classB) - shares[classB]) / rows;
        }
      }
    }
    const step = solve(hessian, gradient);
    weights = weights.map((weight, at) => weight - step[at]);
  }
  return weights;
}

/** Gaussian elimination with pivots. */
function solve(matrix: Float64Array[], right: Float64Array): Float64Array {
  const rows = matrix.map((row, at) => Float64Array.of(...row, right[at]));
  for (let column = 0; column < rows.length; column++) {
    const pivot = rows.slice(column).reduce(
      (best, row, at) => Math.abs(row[column]) > Math.abs(rows[best][column]) ? column + at : best,
      column,
    );
    [rows[column], rows[pivot]] = [rows[pivot], rows[column]];
    for (let row = 0; row < rows.length; row++) {
      if (row === column) continue;
      const factor = rows[row][column] / rows[column][column];
      for (let at = column; at <= rows.length; at++) rows[row][at] -= factor * rows[column][at];
    }
  }
  return Float64Array.from(rows, (row, at) => row[rows.length] / row[at]);
}

Deno.test("L-BFGS finds the minimum of Rosenbrock's valley, and says when it has not", async () => {
  const valley: Differentiable = ([x, y], gradient) => {
    gradient[0] = -2 * (1 - x) - 400 * x * (y - x * x);
    gradient[1] = 200 * (y - x * x);
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2;
  };
  const start = Float64Array.of(-1.2, 1);
  const found = await minimise(valley, start, { tolerance: 1e-10, iterations: 200 });
  assert(found.converged && found.gradient <= 1e-10 && found.iterations < 60, JSON.stringify(found));
  assertAlmostEquals(found.point[0], 1, 1e-9);
  assertAlmostEquals(found.point[1], 1, 1e-9);
  assertEquals([...start], [-1.2, 1]);
  const early = await minimise(valley, start, { tolerance: 1e-10, iterations: 3 });
  assertEquals([early.converged, early.iterations], [false, 3]);
});

Deno.test("the regression's gradient is that of its loss, at rows that four does not divide", () => {
  const { values, labels } = clusters(7, 3, 4, 1, 1);
  const data = rowsOf(values, labels, 4);
  const random = new Random(2, purpose.test);
  const weights = Float64Array.from({ length: 15 }, () => 0.02 * random.normal());
  const gradient = new Float64Array(15), ignored = new Float64Array(15);
  logisticLoss(data, 3, 0.3, weights, gradient);
  const numeric = weights.map((_, at) => {
    const moved = (by: number) => logisticLoss(data, 3, 0.3, weights.with(at, weights[at] + by), ignored);
    return (moved(1e-6) - moved(-1e-6)) / 2e-6;
  });
  assert(relativeError(gradient, numeric) < 1e-7, `${gradient}\n${numeric}`);
});

Deno.test("minima are those of PyTorch's LBFGS", async () => {
  const path = new URL("../golden/linear.safetensors", import.meta.url).pathname;
  const { tensors, metadata } = await readSafetensors(path);
  const cases: { name: string; classes: number; regularisation: number; loss: number }[] = JSON.parse(
    metadata.cases,
  );
  assertEquals(cases.length, 4);
  for (const { name, classes, regularisation, loss } of cases) {
    const features = tensors.get(`${name}.features`)!, labels = tensors.get(`${name}.labels`)!;
    const data = rowsOf(features.data as Float32Array, labels.data as Int32Array, features.shape[1]);
    const start = new Float64Array((features.shape[1] + 1) * classes);
    const options = { tolerance: 1e-9, iterations: 5000 };
    const found = await minimise(objective(data, classes, regularisation), start, options);
    assert(found.converged, `${name}: gradient ${found.gradient} after ${found.iterations}`);
    assertAlmostEquals(found.value, loss, 1e-12 + 1e-9 * loss, name);
    const expected = tensors.get(`${name}.weights`)!.data as Float32Array;
    assert(relativeError(found.point, expected) < 2e-4, `${name}: ${relativeError(found.point, expected)}`);
  }
});

Deno.test("minima are those of Newton's method", async () => {
  for (const [rows, classes, dimension, regularisation] of [[30, 3, 4, 0.05], [17, 2, 5, 1e-3]]) {
    const { values, labels } = clusters(rows, classes, dimension, 2, 3);
    const scaled = values.map((value, at) => value / 10 ** (at % dimension % 3) / 5);
    const data = rowsOf(scaled, labels, dimension);
    const start = new Float64Array((dimension + 1) * classes);
    const options = { tolerance: 1e-10, iterations: 5000 };
    const found = await minimise(objective(data, classes, regularisation), start, options);
    const expected = newton(data, classes, regularisation);
    const loss = logisticLoss(data, classes, regularisation, expected, new Float64Array(expected.length));
    assertAlmostEquals(found.value, loss, 1e-9);
    const weights = dimension * classes;
    assert(relativeError(found.point.slice(0, weights), expected.slice(0, weights)) < 1e-5);
  }
});

Deno.test("the probe chooses on a split of the training rows, and the same way each time", async () => {
  const train = clusters(200, 4, 12, 1.6, 4), test = clusters(120, 4, 12, 1.6, 5);
  const result = await linearProbe(train, test);
  assert(result.accuracy > 0.8 && result.accuracy < 1, `${result.accuracy}`);
  assert(result.converged);
  assertEquals(result.accuracy, accuracyOf(result.predictions, test.labels));
  const tried = result.validated.map(({ regularisation }) => regularisation);
  assertEquals(tried, linearDefaults.regularisations.slice(0, tried.length));
  const losses = result.validated.map(({ loss }) => loss);
  if (tried.length < linearDefaults.regularisations.length) {
    const [before, last, now] = losses.slice(-3);
    assert(before < last && last < now, "only what gets worse is left out");
  }
  const chosen = result.validated.find(({ regularisation }) => regularisation === result.regularisation)!;
  assertEquals(chosen.loss, Math.min(...losses));

  assertEquals(await linearProbe(train, test), result);
  const others = { ...test, labels: test.labels.map((label) => (label + 1) % 4) };
  const { validated, predictions } = await linearProbe(train, others);
  assertEquals(
    [validated, predictions],
    [result.validated, result.predictions],
    "test labels decide nothing",
  );
  const seeded = await linearProbe(train, test, { ...linearDefaults, seed: 2 });
  assert(JSON.stringify(seeded.validated) !== JSON.stringify(result.validated));
});

Deno.test("the probe does not depend on the units of the features", async () => {
  const train = clusters(60, 3, 6, 1, 4), test = clusters(60, 3, 6, 1, 5);
  const scale = ({ values, ...rest }: LabelledFeatures) => ({
    ...rest,
    values: values.map((value, at) => value * 2 ** (at % 6)),
  });
  const [plain, scaled] = [await linearProbe(train, test), await linearProbe(scale(train), scale(test))];
  assertEquals(scaled.predictions, plain.predictions);
});

Deno.test("few rows of many columns are learned from, too", async () => {
  const train = clusters(80, 4, 120, 1.5, 4), test = clusters(80, 4, 120, 1.5, 5);
  const { accuracy, converged } = await linearProbe(train, test);
  assert(converged && accuracy > 0.9, `${accuracy}`);
});

Deno.test("a class of the test rows that training has not is never right", async () => {
  const train = clusters(60, 3, 6, 0.1, 4), test = clusters(80, 4, 6, 0.1, 5);
  const { accuracy, predictions } = await linearProbe(train, test);
  assertEquals(accuracy, 0.75);
  assert(predictions.every((prediction) => prediction < 3));
});

Deno.test("classify names the class and the loss of plain rows", () => {
  const data = rowsOf([1, 0, 0, 2, 3, 0], Int32Array.of(0, 1, 1), 2);
  const { predictions, loss } = classify(data, 2, Float64Array.of(1, 0, 0, 1, 0, 0));
  assertEquals([...predictions], [0, 1, 0]);
  const entropy = (own: number, other: number) => Math.log(1 + Math.exp(other - own));
  assertAlmostEquals(loss, (entropy(1, 0) + entropy(2, 0) + entropy(0, 3)) / 3, 1e-12);
});

Deno.test("the probe refuses what it cannot learn from, and stops when it is told to", async () => {
  const train = clusters(40, 2, 4, 1, 4);
  const one = { ...train, labels: train.labels.map(() => 0) };
  await assertRejects(() => linearProbe(one, train), DataError, "at least 2 classes; these have 1");
  const single = { ...train, labels: train.labels.with(0, 2) };
  await assertRejects(() => linearProbe(single, train), DataError, "Class 2 has a single image");
  const broken = { ...train, values: train.values.with(3, NaN) };
  await assertRejects(() => linearProbe(broken, train), DataError, "not finite");
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => linearProbe(train, train, linearDefaults, signal), Error, "enough");
});
