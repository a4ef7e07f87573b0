/** How exact the losses over a softmax are: at any offset of the logits, where they are small, over long rows. */
import { assert } from "@std/assert";
import type { Gpu } from "../../src/gpu/device.ts";
import { infoNce, softmaxCrossEntropy } from "../../src/tensor/ops/softmax.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, gpuTest, lossAndGradient, randomValues } from "../helpers.ts";
import * as reference from "./reference.ts";

async function entropy(gpu: Gpu, logits: Float32Array<ArrayBuffer>, columns: number, labels: number[]) {
  using input = Tensor.from(gpu, logits, [labels.length, columns]);
  using labelled = Tensor.from(gpu, Uint32Array.from(labels));
  const { loss, gradient } = await lossAndGradient(
    gpu,
    input,
    (tape) => softmaxCrossEntropy(tape, input, labelled),
  );
  return { loss: loss[0], gradient };
}

/** Cross-entropy in float64 whose small losses are not rounded away: log(1 + sum over the others). */
function exactLoss(logits: ArrayLike<number>, columns: number, labels: number[]): number {
  return labels.reduce((sum, label, row) => {
    let others = 0;
    for (let column = 0; column < columns; column++) {
      const at = row * columns + column;
      if (column !== label) others += Math.exp(logits[at] - logits[row * columns + label]);
    }
    return sum + Math.log1p(others) / labels.length;
  }, 0);
}

gpuTest("cross-entropy of logits at any offset", async (gpu) => {
  for (const offset of [0, -1e5, 1e5, 3e6, -3e37]) {
    const equal = await entropy(gpu, new Float32Array(3).fill(offset), 3, [1]);
    assertClose([equal.loss], [Math.log(3)], 2e-7, `three logits of ${offset}`);
    assertClose(equal.gradient, [1 / 3, -2 / 3, 1 / 3], 5e-7, `gradient of three logits of ${offset}`);
    if (Math.abs(offset) > 1e6) continue;
    const columns = 70;
    const logits = randomValues(4 * columns, 5).map((value) => 8 * value + offset);
    const labels = [0, 17, 64, 69];
    const found = await entropy(gpu, logits, columns, labels);
    assertClose([found.loss], [exactLoss(logits, columns, labels)], 3e-7, `loss at ${offset}`);
    const wanted = reference.crossEntropy(logits, columns, labels).gradient;
    assertClose(found.gradient, wanted, 1e-6, `gradient at ${offset}`);
  }
});

gpuTest("small cross-entropies keep their digits", async (gpu) => {
  for (const lead of [1, 5, 10, 15, 30, 60, 80]) {
    for (const columns of [2, 10, 300]) {
      const logits = randomValues(2 * columns, columns);
      logits[1] += lead;
      logits[2 * columns - 1] += lead;
      const labels = [1, columns - 1];
      const { loss } = await entropy(gpu, logits, columns, labels);
      const wanted = exactLoss(logits, columns, labels);
      // The difference of two logits is rounded, as PyTorch's is.
      assertClose([loss], [wanted], 1e-6 + lead * 2 ** -24, `${columns} columns, the label ahead by ${lead}`);
    }
  }
});

gpuTest("small InfoNCE losses keep their digits, and so do their gradients", async (gpu) => {
  const dimension = 32, rows = 16;
  for (const temperature of [0.05, 0.07, 0.2]) {
    for (const closeness of [1, 0.6, 0.2]) {
      for (const columns of [3, 64, 1000]) {
        const unit = (values: ArrayLike<number>) =>
          Float32Array.from(reference.normaliseRows(values, dimension).output);
        const query = unit(randomValues(rows * dimension, 1));
        const noise = randomValues(rows * dimension, 2);
        const keys = unit(query.map((value, at) => closeness * value + (1 - closeness) * 0.3 * noise[at]));
        const queue = unit(randomValues(columns * dimension, 3));
        using queries = Tensor.from(gpu, query, [rows, dimension]);
        using own = Tensor.from(gpu, keys, [rows, dimension]);
        using others = Tensor.from(gpu, queue, [columns, dimension]);
        const { loss, gradient } = await lossAndGradient(
          gpu,
          queries,
          (tape) => infoNce(tape, queries, own, others, temperature),
        );
        const products = (a: number, other: Float32Array, b: number) => {
          let sum = 0;
          for (let at = 0; at < dimension; at++) sum += query[a * dimension + at] * other[b * dimension + at];
          return sum;
        };
        let wanted = 0;
        const wantedGradient = new Float64Array(rows * dimension);
        for (let row = 0; row < rows; row++) {
          const positive = products(row, keys, row);
          const terms = Array.from(
            { length: columns },
            (_, at) => Math.exp((products(row, queue, at) - positive) / temperature),
          );
          const others = terms.reduce((sum, term) => sum + term, 0);
          wanted += Math.log1p(others) / rows;
          const factor = 1 / (1 + others) / temperature / rows;
          for (let at = 0; at < dimension; at++) {
            let sum = -others * keys[row * dimension + at];
            terms.forEach((term, other) => sum += term * queue[other * dimension + at]);
            wantedGradient[row * dimension + at] = factor * sum;
          }
        }
        const what = `${columns} columns, temperature ${temperature}, closeness ${closeness}, loss ${wanted}`;
        // A product of unit vectors is off by some 2^-24, which the temperature magnifies.
        const allowed = 1e-6 + 3 * 2 ** -24 / temperature;
        assertClose(loss, [wanted], allowed, `infoNce, ${what}`);
        assertClose(gradient, wantedGradient, 2 * allowed, `gradient of infoNce, ${what}`);
      }
    }
  }
});

gpuTest("a row of more logits than 64 segments of an invocation's loop hold", async (gpu) => {
  const columns = 64 * 65_535 + 70_000;
  const logits = new Float32Array(columns).fill(1);
  // What a loop that ended early would leave out.
  logits.fill(2, columns - 60_000);
  const others = columns - 60_000 + 60_000 * Math.E - Math.E;
  const { loss, gradient } = await entropy(gpu, logits, columns, [columns - 1]);
  const wanted = Math.log(Math.E + others) - 1;
  assert(Math.abs(loss - wanted) < 2e-6 * wanted, `loss ${loss}, expected ${wanted}`);
  assertClose(gradient.subarray(0, 1), [1 / (Math.E + others)], 1e-5, "gradient");
});
