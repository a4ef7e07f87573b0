/** Gradients through views, slices and other rearrangements of memory. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { GradientError } from "../../src/errors.ts";
import { batchnorm } from "../../src/tensor/ops/batchnorm.ts";
import { convolution } from "../../src/tensor/ops/convolution.ts";
import { add, relu, scale } from "../../src/tensor/ops/elementwise.ts";
import { gatherRows } from "../../src/tensor/ops/gather_rows.ts";
import { linear } from "../../src/tensor/ops/linear.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, gpuTest, randomTensor, randomValues } from "../helpers.ts";
import { frozen, gradients, ones, randomParameter } from "./tape_helpers.ts";

gpuTest("gradients pass through views: convolution, view, linear", async (gpu) => {
  const kernel = randomParameter(gpu, "kernel", [4, 1, 3, 3], 1);
  const weight = randomParameter(gpu, "weight", [2, 64], 2);
  const bias = randomParameter(gpu, "bias", [2], 3);
  using images = randomTensor(gpu, [3, 1, 4, 4], 4);
  using start = randomTensor(gpu, [3, 2], 5);
  const train = async (between: (maps: Tensor) => Tensor) => {
    for (const { gradient } of [kernel, weight, bias]) gpu.stream.clear(gradient!);
    using tape = new Tape(gpu, true);
    const maps = convolution(tape, images, kernel, { padding: 1 });
    tape.backward([linear(tape, between(maps), weight, bias), start]);
    return await kernel.gradient!.read();
  };
  // A linear layer over 64 features is a convolution with a window of 4 x 4.
  const window = {
    ...weight,
    value: weight.value.view([2, 4, 4, 4]),
    gradient: weight.gradient!.view([2, 4, 4, 4]),
  };
  gpu.stream.clear(kernel.gradient!);
  using tape = new Tape(gpu, true);
  const result = convolution(tape, convolution(tape, images, kernel, { padding: 1 }), window, { bias });
  tape.backward([result.view([3, 2]), start]);
  const expected = await kernel.gradient!.read();
  assert(expected.some((value) => value !== 0));
  for (const view of [(x: Tensor) => x.view([3, 64]), (x: Tensor) => x.view([12, 16]).view([3, 64])]) {
    assertClose(await train(view), expected, 1e-5, "the convolution's gradient");
  }
});

gpuTest("the gradient of a slice lies in that of the whole, and overlapping views add up", async (gpu) => {
  using whole = randomTensor(gpu, [4, 64], 1);
  const values = randomValues(256, 1);
  const [found] = await gradients(gpu, [whole], (tape) => {
    const middle = scale(tape, whole.slice(64, [2, 64]), 2);
    const last = scale(tape, whole.view([256]).slice(128, [128]), 10);
    const all = scale(tape, whole.view([64, 4]), 100);
    return [middle, last, all].map((result) => [result, ones(gpu, result.shape)] as const);
  });
  assertEquals(
    [...found],
    [...values].map((_, at) => 100 + (at >= 128 ? 10 : 0) + (at >= 64 && at < 192 ? 2 : 0)),
  );
  // Through a view of a result, with a slice as what backward starts from.
  const [rectified] = await gradients(gpu, [whole], (tape) => {
    const part = relu(tape, whole).slice(128, [64]);
    return [[part, ones(gpu, [64])]];
  });
  assertEquals([...rectified], [...values].map((value, at) => at >= 128 && at < 192 && value > 0 ? 1 : 0));
});

gpuTest("a watched view has a gradient of its own; one memory is watched once", async (gpu) => {
  using whole = randomTensor(gpu, [128], 1);
  const part = whole.slice(64, [64]);
  const [found] = await gradients(
    gpu,
    [part],
    (tape) => [[scale(tape, part.view([8, 8]), 3), ones(gpu, [8, 8])]],
  );
  assertEquals([...found], new Array(64).fill(3));
  using tape = new Tape(gpu, true);
  tape.watch(part);
  for (const again of [part, whole, whole.slice(0, [64])]) {
    assertThrows(() => tape.watch(again), GradientError);
  }
});

gpuTest("batchnorm of a tensor that is its own residual", async (gpu) => {
  using whole = randomTensor(gpu, [8, 4, 4, 4], 1);
  using start = randomTensor(gpu, [8, 4, 4, 4], 2);
  using half = randomTensor(gpu, [4, 4, 4, 4], 3);
  const [weight, bias] = [4, 5].map((seed) => frozen(randomParameter(gpu, "parameter", [4], seed)));
  const running = { mean: Tensor.zeros(gpu, [4]), variance: Tensor.zeros(gpu, [4]) };
  const normalise = (tape: Tape, input: Tensor, residual?: Tensor) =>
    batchnorm(tape, input, weight, bias, running, { training: true, residual });
  const [own] = await gradients(gpu, [whole], (tape) => [[normalise(tape, whole, whole), start]]);
  const [sum] = await gradients(gpu, [whole], (tape) => [[add(tape, normalise(tape, whole), whole), start]]);
  assertClose(own, sum, 1e-6, "one tensor");
  const parts = [whole.slice(0, half.shape), whole.slice(256, half.shape)];
  const [fused] = await gradients(gpu, [whole], (tape) => [[normalise(tape, parts[0], parts[1]), half]]);
  const [apart] = await gradients(
    gpu,
    [whole],
    (tape) => [[add(tape, normalise(tape, parts[0]), parts[1]), half]],
  );
  assertClose(fused, apart, 1e-6, "two parts of one tensor");
});

gpuTest("rows gathered in another order give their gradients back", async (gpu) => {
  using input = randomTensor(gpu, [5, 3, 2], 1);
  using order = Tensor.from(gpu, Uint32Array.of(4, 0, 0, 2));
  const values = randomValues(30, 1), start = randomValues(24, 2);
  using given = Tensor.from(gpu, start, [4, 3, 2]);
  let gathered: Promise<Float32Array> | undefined;
  const [found] = await gradients(gpu, [input], (tape) => {
    const rows = gatherRows(tape, input, order);
    gathered = rows.read();
    return [[rows, given], [scale(tape, input, 1), ones(gpu, input.shape)]];
  });
  const rows = [4, 0, 0, 2];
  assertEquals([...await gathered!], rows.flatMap((row) => [...values.subarray(6 * row, 6 * row + 6)]));
  const expected = new Float32Array(30).fill(1);
  rows.forEach((row, at) => {
    for (let column = 0; column < 6; column++) expected[6 * row + column] += start[6 * at + column];
  });
  assertClose(found, expected, 1e-6, "the gradient");
});
