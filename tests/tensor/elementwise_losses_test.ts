/** Losses element by element at random sizes against float64; masks, and nothing at all. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { GradientError, ShapeError } from "../../src/errors.ts";
import {
  type ElementwiseLossOptions,
  sigmoidCrossEntropy,
  smoothL1,
} from "../../src/tensor/ops/elementwise_losses.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import {
  assertClose,
  gpuTest,
  lossAndGradient,
  randomStreams,
  randomTensor,
  randomValues,
} from "../helpers.ts";
import { consumeTwice } from "./consume_twice.ts";

/** A loss of one element and its derivative. */
type Pointwise = (x: number, y: number) => [loss: number, derivative: number];

const sigmoid: Pointwise = (x, y) => [
  Math.max(x, 0) - x * y + Math.log1p(Math.exp(-Math.abs(x))),
  1 / (1 + Math.exp(-x)) - y,
];
const smooth = (beta: number): Pointwise => (x, y) => {
  const d = x - y;
  return Math.abs(d) < beta ? [d * d / 2 / beta, d / beta] : [Math.abs(d) - beta / 2, Math.sign(d)];
};

gpuTest("losses of random sizes", async (gpu) => {
  for (const [index, random] of randomStreams(37, 40).entries()) {
    const shape = random.chance(0.5)
      ? [1 + random.integer(9000)]
      : [1 + random.integer(5), 17, 1 + random.integer(20)];
    const length = shape.reduce((product, side) => product * side);
    const beta = random.pick([undefined, 0, 1 / 9, 1]);
    const reduction = random.pick(["mean", "sum"] as const);
    const values = randomValues(length, 10 * index).map((value) => 3 * value);
    const targets = randomValues(length, 10 * index + 1).map((value) => (value + 1) / 2);
    const factors = random.chance(0.5)
      ? randomValues(length, 10 * index + 2).map((value) => value < 0 ? 0 : value)
      : undefined;
    const input = Tensor.from(gpu, values, shape), target = Tensor.from(gpu, targets, shape);
    const options: ElementwiseLossOptions = {
      reduction,
      weights: factors && Tensor.from(gpu, factors, shape),
    };
    const scale = 1.5;
    const { output, gradients } = await consumeTwice(
      gpu,
      [input],
      () => Tensor.from(gpu, Float32Array.of(scale), []),
      (tape) =>
        beta === undefined
          ? sigmoidCrossEntropy(tape, input, target, options)
          : smoothL1(tape, input, target, { ...options, beta }),
    );
    const count = reduction === "mean" ? length : 1;
    const one = beta === undefined ? sigmoid : smooth(beta);
    let loss = 0;
    const gradient = Float64Array.from(values, (value, at) => {
      const weight = factors ? factors[at] : 1;
      const [term, derivative] = one(value, targets[at]);
      loss += weight * term / count;
      return scale * weight * derivative / count;
    });
    const what = `${shape}, beta ${beta}, ${reduction}${factors ? ", weighted" : ""}`;
    assertClose(output, [loss], 1e-5, `loss of ${what}`);
    gradients[0].forEach((value, at) => {
      assert(
        Math.abs(value - gradient[at]) <= 1e-5 * Math.abs(gradient[at]) + 3e-7,
        `gradient ${at} of ${what}`,
      );
    });
  }
});

gpuTest("what a mask leaves out does not matter, be it NaN", async (gpu) => {
  const input = Tensor.from(gpu, Float32Array.of(NaN, 2, Infinity, -1));
  const target = Tensor.from(gpu, Float32Array.of(0, 1, 1, NaN));
  const weights = Tensor.from(gpu, Float32Array.of(0, 1, 0, 0));
  for (const [compute, one] of [[sigmoidCrossEntropy, sigmoid], [smoothL1, smooth(1)]] as const) {
    const options = { weights, reduction: "sum" } as const;
    const { loss, gradient } = await lossAndGradient(
      gpu,
      input,
      (tape) => compute(tape, input, target, options),
    );
    const [term, derivative] = one(2, 1);
    assertClose(loss, [term], 1e-6, "loss");
    assertClose(gradient, [0, derivative, 0, 0], 1e-6, "gradient");
  }
});

gpuTest("small losses of sure sigmoids keep their digits", async (gpu) => {
  const values = Float32Array.of(10, 20, 50, -10, -20, -50);
  const target = Tensor.from(gpu, Float32Array.from(values, (value) => value > 0 ? 1 : 0));
  for (const [at, value] of values.entries()) {
    const weights = Tensor.from(gpu, Float32Array.from(values, (_, other) => other === at ? 1 : 0));
    const input = Tensor.from(gpu, values);
    const loss = await sigmoidCrossEntropy(new Tape(gpu, false), input, target, { weights, reduction: "sum" })
      .read();
    assertClose(loss, [Math.log1p(Math.exp(-Math.abs(value)))], 1e-6, `loss at ${value}`);
  }
});

gpuTest("of no elements the loss is 0; what cannot be is refused", async (gpu) => {
  const none = Tensor.create(gpu, [0, 4]);
  for (const reduction of ["mean", "sum"] as const) {
    const { loss } = await lossAndGradient(
      gpu,
      none,
      (tape) => smoothL1(tape, none, none.detach(), { reduction }),
    );
    assertEquals([...loss], [0]);
  }
  const input = randomTensor(gpu, [3], 1), other = randomTensor(gpu, [4], 2);
  using tape = new Tape(gpu, true);
  assertThrows(() => smoothL1(tape, input, other), ShapeError, "the target has shape");
  assertThrows(
    () => sigmoidCrossEntropy(tape, input, input, { weights: other }),
    ShapeError,
    "the weights has shape",
  );
  for (const beta of [-1, NaN, Infinity]) {
    assertThrows(() => smoothL1(tape, input, input, { beta }), ShapeError, "beta");
  }
  const target = randomTensor(gpu, [3], 3);
  tape.watch(target);
  assertThrows(() => smoothL1(tape, input, target), GradientError, "smoothL1 has no gradient");
});
