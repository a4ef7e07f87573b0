/**
 * An upper bound of the curvature of multinomial logistic regression, whatever the weights: 1/2 (I - 1/C) ⊗ XᵀX / n + the
 * regularisation (Böhning 1992). Its inverse brings correlated features to equal terms, so that a minimisation takes some
 * tens of steps where it would take hundreds.
 */
import { CholeskyDecomposition, Matrix } from "ml-matrix";
import type { ClassifiedRows } from "./logistic.ts";

/** Keeps the inverse finite where columns say the same and nothing is regularised. */
const least = 1e-9;

/** XᵀX / n of columns with mean 0. */
export class FeatureCurvature {
  readonly #gram: Float64Array;
  readonly #dimension: number;

  private constructor(gram: Float64Array, dimension: number) {
    this.#gram = gram;
    this.#dimension = dimension;
  }

  /** @param pause called from time to time, to let other work run */
  static async of(
    { rows, dimension, values }: ClassifiedRows,
    pause: () => Promise<void>,
  ): Promise<FeatureCurvature> {
    const gram = new Float64Array(dimension * dimension);
    // Four rows at a time; those that pad are zeros.
    for (let first = 0; first < rows; first += 4) {
      const row0 = first * dimension,
        row1 = row0 + dimension,
        row2 = row1 + dimension,
        row3 = row2 + dimension;
      for (let column = 0; column < dimension; column++) {
        const a = values[row0 + column], b = values[row1 + column];
        const c = values[row2 + column], d = values[row3 + column];
        const base = column * dimension;
        for (let at = 0; at <= column; at++) {
          gram[base + at] += a * values[row0 + at] + b * values[row1 + at] +
            c * values[row2 + at] + d * values[row3 + at];
        }
      }
      if (first % 64 === 0) await pause();
    }
    for (let column = 0; column < dimension; column++) {
      for (let at = 0; at <= column; at++) {
        gram[at * dimension + column] = gram[column * dimension + at] /= rows;
      }
    }
    return new FeatureCurvature(gram, dimension);
  }

  /** Multiplies weights [dimension + 1, classes], the bias last, with the inverse of the bound. */
  inverse(classes: number, regularisation: number): (weights: Float64Array) => Float64Array<ArrayBuffer> {
    const dimension = this.#dimension;
    const bound = new Matrix(dimension, dimension);
    for (let row = 0; row < dimension; row++) {
      for (let column = 0; column < dimension; column++) {
        const curvature = this.#gram[row * dimension + column] / 2;
        bound.set(row, column, row === column ? curvature + Math.max(least, regularisation) : curvature);
      }
    }
    const factors = new CholeskyDecomposition(bound);
    return (weights) => {
      const solved = factors.solve(
        Matrix.from1DArray(dimension, classes, weights.subarray(0, dimension * classes)),
      );
      const product = Float64Array.from(weights, (weight) => 2 * weight);
      for (let row = 0; row < dimension; row++) {
        for (let one = 0; one < classes; one++) product[row * classes + one] = solved.get(row, one);
      }
      return product;
    };
  }
}
