import { assert, assertAlmostEquals } from "@std/assert";
import { FeatureCurvature } from "../../src/evaluate/curvature.ts";
import { minimise } from "../../src/evaluate/lbfgs.ts";
import { type ClassifiedRows, logisticLoss, paddedLength } from "../../src/evaluate/logistic.ts";
import { purpose, Random } from "../../src/random.ts";
import { relativeError } from "../helpers.ts";

const noPause = () => Promise.resolve();

/** Strongly correlated columns with mean 0, the last one constant. */
function correlated(rows: number, dimension: number, classes: number): ClassifiedRows {
  const random = new Random(3, purpose.test);
  const labels = Int32Array.from({ length: rows }, (_, row) => row % classes);
  const values = new Float64Array(paddedLength(rows, dimension));
  for (let row = 0; row < rows; row++) {
    const common = random.normal() + labels[row] / 2;
    for (let column = 0; column < dimension - 1; column++) {
      values[row * dimension + column] = common + 0.05 * (column + 1) * random.normal();
    }
  }
  for (let column = 0; column < dimension; column++) {
    let mean = 0;
    for (let row = 0; row < rows; row++) mean += values[row * dimension + column] / rows;
    for (let row = 0; row < rows; row++) values[row * dimension + column] -= mean;
  }
  return { rows, dimension, values, labels };
}

Deno.test("the bound is above the loss's curvature, and its inverse inverts it", async () => {
  const [rows, dimension, classes, regularisation] = [30, 5, 3, 0.02];
  const data = correlated(rows, dimension, classes);
  const inverse = (await FeatureCurvature.of(data, noPause)).inverse(classes, regularisation);
  const random = new Random(4, purpose.test);
  const normal = () => Float64Array.from({ length: (dimension + 1) * classes }, () => random.normal());
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, at) => sum + value * b[at], 0);
  for (let trial = 0; trial < 20; trial++) {
    const weights = normal(), direction = normal();
    // The bound times the direction, written out.
    const product = direction.map((value, at) => {
      const [column, one] = [Math.floor(at / classes), at % classes];
      if (column === dimension) return value / 2;
      let sum = regularisation * value;
      for (let row = 0; row < rows; row++) {
        for (let other = 0; other < dimension; other++) {
          sum += data.values[row * dimension + column] * data.values[row * dimension + other] / rows / 2 *
            direction[other * classes + one];
        }
      }
      return sum;
    });
    assert(relativeError(inverse(product), direction) < 1e-9);
    const slope = (at: number) => {
      const gradient = new Float64Array(weights.length);
      logisticLoss(
        data,
        classes,
        regularisation,
        weights.map((value, place) => value + at * direction[place]),
        gradient,
      );
      return dot(gradient, direction);
    };
    const curvature = (slope(1e-5) - slope(-1e-5)) / 2e-5;
    assert(curvature > 0 && curvature <= dot(direction, product) + 1e-6, `${curvature}`);
  }
});

Deno.test("with it, L-BFGS finds the same minimum of correlated features in far fewer evaluations", async () => {
  const data = correlated(200, 12, 4);
  const inverse = (await FeatureCurvature.of(data, noPause)).inverse(4, 1e-4);
  const solve = async (precondition?: typeof inverse) => {
    let evaluations = 0;
    const found = await minimise(
      (weights, gradient) => {
        evaluations++;
        return logisticLoss(data, 4, 1e-4, weights, gradient);
      },
      new Float64Array(13 * 4),
      { tolerance: 1e-8, iterations: 2000, precondition },
    );
    assert(found.converged);
    return { evaluations, value: found.value };
  };
  const [plain, preconditioned] = [await solve(), await solve(inverse)];
  assertAlmostEquals(preconditioned.value, plain.value, 1e-9);
  assert(
    2 * preconditioned.evaluations < plain.evaluations,
    `${preconditioned.evaluations}, ${plain.evaluations}`,
  );
});
