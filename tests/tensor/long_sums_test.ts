/** Sums longer than the 65 535 turns after which Mesa's software driver ends a loop without a word. */
import { assertThrows } from "@std/assert";
import { ShapeError } from "../../src/errors.ts";
import { convolution } from "../../src/tensor/ops/convolution.ts";
import { l2Normalise } from "../../src/tensor/ops/l2_normalise.ts";
import { linear } from "../../src/tensor/ops/linear.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, gpuTest, parameter, randomValues } from "../helpers.ts";

gpuTest("a linear layer of 70 000 features", async (gpu) => {
  const features = 70_000;
  const input = randomValues(features, 1), weight = randomValues(features, 2), bias = new Float32Array([0.5]);
  const output = linear(
    new Tape(gpu, false),
    Tensor.from(gpu, input, [1, features]),
    parameter(gpu, "weight", { data: weight, shape: [1, features] }),
    parameter(gpu, "bias", { data: bias, shape: [1] }),
  );
  const expected = weight.reduce((sum, value, at) => sum + value * input[at], 0.5);
  assertClose(await output.read(), [expected], 1e-4, "output");
});

gpuTest("a weight gradient over a million positions", async (gpu) => {
  const size = 1024;
  const image = randomValues(size * size, 1), gradOutput = randomValues(size * size, 2);
  const weight = parameter(gpu, "weight", { data: new Float32Array([1]), shape: [1, 1, 1, 1] });
  const tape = new Tape(gpu, true);
  const output = convolution(tape, Tensor.from(gpu, image, [1, 1, size, size]), weight);
  tape.backward([output, Tensor.from(gpu, gradOutput, output.shape)]);
  const expected = image.reduce((sum, value, at) => sum + value * gradOutput[at], 0);
  assertClose(await weight.gradient!.read(), [expected], 1e-3, "gradient");
});

gpuTest("rows too long to normalise are refused", (gpu) => {
  const rows = Tensor.zeros(gpu, [1, 40_000]);
  assertThrows(() => l2Normalise(new Tape(gpu, false), rows), ShapeError, "at most 32000");
  return Promise.resolve();
});
