/** The distance to a teacher's directions: PyTorch's values, plain sums in float64 at odd shapes, a weight, constants. */
import { assert, assertThrows } from "@std/assert";
import { GradientError, ShapeError } from "../../src/errors.ts";
import { cosineLoss } from "../../src/tensor/ops/cosine_loss.ts";
import { scale } from "../../src/tensor/ops/elementwise.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, assertSame, goldenCases, gpuTest, lossAndGradient, randomValues } from "../helpers.ts";

gpuTest("cosine loss as PyTorch has it, NaN and infinity too", async (gpu) => {
  const cases = await goldenCases("cosine_loss");
  assert(cases.length >= 10);
  for (const one of cases) {
    const [input, directions] = ["input", "directions"].map((name) => {
      const { data, shape } = one.get(name);
      return Tensor.from(gpu, data, shape);
    });
    const { loss, gradient } = await lossAndGradient(
      gpu,
      input,
      (tape) => cosineLoss(tape, input, directions),
    );
    assertSame(loss, one.get("loss").data, one.tolerance.forward, `${one.name}, loss`);
    assertSame(gradient, one.get("gradInput").data, one.tolerance.backward, `${one.name}, gradient`);
  }
});

gpuTest("cosine loss at odd shapes against float64, with a weight", async (gpu) => {
  for (const [rows, columns] of [[1, 1], [1, 5], [3, 1], [5, 17], [17, 3], [64, 130], [2, 5000]]) {
    const values = randomValues(rows * columns, rows);
    const others = Float64Array.from(randomValues(rows * columns, columns + 1));
    const wanted = new Float64Array(values.length);
    let expected = 0;
    for (let row = 0; row < rows; row++) {
      const part = (of: ArrayLike<number>) =>
        Array.from({ length: columns }, (_, at) => of[row * columns + at]);
      const size = Math.hypot(...part(others));
      for (let at = 0; at < columns; at++) others[row * columns + at] /= size;
      const [x, d] = [part(values), part(Float32Array.from(others))];
      const norm = Math.hypot(...x);
      const cosine = x.reduce((sum, value, at) => sum + value * d[at], 0) / norm;
      expected += (1 - cosine) / rows;
      x.forEach((value, at) =>
        wanted[row * columns + at] = -0.3 / rows * (d[at] - cosine * value / norm) / norm
      );
    }
    using input = Tensor.from(gpu, values, [rows, columns]);
    using directions = Tensor.from(gpu, Float32Array.from(others), [rows, columns]);
    const { loss, gradient } = await lossAndGradient(
      gpu,
      input,
      (tape) => scale(tape, cosineLoss(tape, input, directions), 0.3),
    );
    const what = `${rows} x ${columns}`;
    assert(
      Math.abs(loss[0] - 0.3 * expected) < 1e-6,
      `loss, ${what}: ${loss[0]} in place of ${0.3 * expected}`,
    );
    // Of one column there is no direction to turn to: the gradient is nothing but rounding.
    if (columns > 1) assertClose(gradient, wanted, 1e-5, `gradient, ${what}`);
    else assert(gradient.every((value) => Math.abs(value) < 1e-5), `gradient, ${what}: ${gradient}`);
  }
});

gpuTest("directions are constants of the input's shape", (gpu) => {
  using tape = new Tape(gpu, true);
  using input = Tensor.zeros(gpu, [2, 3]);
  using other = Tensor.zeros(gpu, [3, 2]);
  tape.watch(input);
  const result = scale(tape, input, 2);
  assertThrows(() => cosineLoss(tape, result, result), GradientError, "detach it");
  assertThrows(() => cosineLoss(tape, result, other), ShapeError, "the directions");
  return Promise.resolve();
});
