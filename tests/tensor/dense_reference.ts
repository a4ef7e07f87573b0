/**
 * What resizes and pools maps, as matrices in float64: along an axis each is a matrix [outputs][inputs], and a map is
 * multiplied from both sides. Nothing is shared with `src/`.
 */
import type { Values } from "./reference.ts";

/** Weights of the inputs in each output. */
export type Matrix = readonly Float64Array[];

function matrix(outputs: number, inputs: number, fill: (row: Float64Array, output: number) => void): Matrix {
  return Array.from({ length: outputs }, (_, output) => {
    const row = new Float64Array(inputs);
    fill(row, output);
    return row;
  });
}

/** Linear interpolation, with the centres of the outermost inputs and outputs together, or their outer edges. */
export function linearMatrix(inputs: number, outputs: number, alignCorners: boolean): Matrix {
  return matrix(outputs, inputs, (row, output) => {
    const place = alignCorners
      ? outputs === 1 ? 0 : output * (inputs - 1) / (outputs - 1)
      : Math.max(0, (output + 0.5) * inputs / outputs - 0.5);
    const low = Math.min(Math.floor(place), inputs - 1);
    row[low] += 1 - (place - low);
    row[Math.min(low + 1, inputs - 1)] += place - low;
  });
}

/** Repeating the nearest input to the left, whose place is a product in single precision. */
export function nearestMatrix(inputs: number, outputs: number): Matrix {
  const scale = Math.fround(inputs / outputs);
  return matrix(outputs, inputs, (row, output) => {
    row[Math.min(Math.floor(Math.fround(output * scale)), inputs - 1)] = 1;
  });
}

/** Means of the cells of a grid. */
export function poolMatrix(inputs: number, cells: number): Matrix {
  return matrix(cells, inputs, (row, cell) => {
    const first = Math.floor(cell * inputs / cells), end = Math.ceil((cell + 1) * inputs / cells);
    row.fill(1 / (end - first), first, end);
  });
}

/** [planes, outputs of y, outputs of x] from [planes, inputs of y, inputs of x]. */
export function applyMatrices(values: Values, y: Matrix, x: Matrix): Float64Array {
  const height = y[0].length, width = x[0].length;
  const planes = values.length / height / width;
  const output = new Float64Array(planes * y.length * x.length);
  let at = 0;
  for (let plane = 0; plane < planes; plane++) {
    for (const rowWeights of y) {
      for (const columnWeights of x) {
        for (let i = 0; i < height; i++) {
          if (rowWeights[i] === 0) continue;
          for (let j = 0; j < width; j++) {
            output[at] += rowWeights[i] * columnWeights[j] * values[(plane * height + i) * width + j];
          }
        }
        at++;
      }
    }
  }
  return output;
}

/** The matrix with rows and columns exchanged: that of the gradient. */
export function transpose(of: Matrix): Matrix {
  return matrix(of[0].length, of.length, (row, output) => of.forEach((from, at) => row[at] = from[output]));
}

/** Sum of products. */
export function product(a: Values, b: Values): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += a[at] * b[at];
  return sum;
}
