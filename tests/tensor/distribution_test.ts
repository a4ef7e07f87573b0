/** Distributions as targets against plain sums in float64: ordinary logits, large offsets, long rows, a weight on the loss. */
import { assert, assertThrows } from "@std/assert";
import { GradientError } from "../../src/errors.ts";
import { distributionCrossEntropy, softmaxTargets } from "../../src/tensor/ops/distribution.ts";
import { scale } from "../../src/tensor/ops/elementwise.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, gpuTest, lossAndGradient, randomValues } from "../helpers.ts";

/** Softmax of each row of logits / temperature. */
function softmax(logits: ArrayLike<number>, columns: number, temperature: number): Float64Array {
  const result = new Float64Array(logits.length);
  for (let start = 0; start < logits.length; start += columns) {
    const row = Array.from({ length: columns }, (_, at) => logits[start + at] / temperature);
    const highest = row.reduce((most, value) => Math.max(most, value));
    const terms = row.map((value) => Math.exp(value - highest));
    const total = terms.reduce((sum, term) => sum + term);
    terms.forEach((term, at) => result[start + at] = term / total);
  }
  return result;
}

gpuTest("softmax and cross-entropy of distributions", async (gpu) => {
  for (const [rows, columns] of [[1, 1], [3, 5], [5, 17], [16, 64], [7, 300], [2, 5000]]) {
    for (const temperature of [1, 0.2]) {
      for (const offset of [0, 1000]) {
        const what = `${rows} x ${columns}, temperature ${temperature}, offset ${offset}`;
        const own = randomValues(rows * columns, 1).map((value) => value + offset);
        const others = randomValues(rows * columns, 2).map((value) => 3 * value - offset);
        using logits = Tensor.from(gpu, own, [rows, columns]);
        using teacher = Tensor.from(gpu, others, [rows, columns]);
        using targetTape = new Tape(gpu, false);
        const targets = softmaxTargets(targetTape, teacher, temperature);
        const wanted = softmax(others, columns, temperature);
        // What rounding the divided logits costs.
        const rounding = offset * 2 ** -24 / temperature;
        assertClose(await targets.read(), wanted, 1e-6 + 2 * rounding, `softmax, ${what}`);

        const { loss, gradient } = await lossAndGradient(
          gpu,
          logits,
          (tape) => scale(tape, distributionCrossEntropy(tape, logits, targets, temperature), 0.5),
        );
        const probabilities = softmax(own, columns, temperature);
        const expected = wanted.reduce((sum, p, at) => sum - p * Math.log(probabilities[at]), 0) / rows / 2;
        const error = Math.abs(loss[0] - expected);
        assert(error <= 1e-6 * Math.max(1, expected) + 4 * rounding, `loss, ${what}: off by ${error}`);
        const wantedGradient = wanted.map((p, at) => 0.5 * (probabilities[at] - p) / temperature / rows);
        const largest = wantedGradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        if (largest > 0) {
          assertClose(gradient, wantedGradient, (2e-6 + 4 * rounding) / Math.min(1, largest * rows), what);
        }
      }
    }
  }
});

gpuTest("no gradient flows into targets", (gpu) => {
  using tape = new Tape(gpu, true);
  using logits = Tensor.zeros(gpu, [2, 3]);
  tape.watch(logits);
  const result = scale(tape, logits, 2);
  assertThrows(() => softmaxTargets(tape, result), GradientError, "softmaxTargets has no gradient for");
  const targets = softmaxTargets(tape, result.detach());
  distributionCrossEntropy(tape, result, targets);
  assertThrows(() => distributionCrossEntropy(tape, result, result), GradientError, "detach it");
  return Promise.resolve();
});
