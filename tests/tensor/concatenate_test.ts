/** Concatenation of random numbers of channels, to the bit; views and repeated inputs. */
import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/errors.ts";
import { add } from "../../src/tensor/ops/elementwise.ts";
import { concatenate } from "../../src/tensor/ops/concatenate.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { forwardBackward, gpuTest, randomStreams, randomTensor, randomValues } from "../helpers.ts";

/** Where element `at` of part `part` lies in the whole. */
function place(at: number, part: number, channels: readonly number[], plane: number): number {
  const image = Math.floor(at / channels[part] / plane);
  const total = channels.reduce((sum, count) => sum + count);
  const first = channels.slice(0, part).reduce((sum, count) => sum + count, 0);
  return (image * total + first) * plane + at % (channels[part] * plane);
}

gpuTest("concatenation of random channels, and its gradient", async (gpu) => {
  for (const [index, random] of randomStreams(39, 30).entries()) {
    const channels = Array.from({ length: 1 + random.integer(4) }, () => random.pick([1, 3, 5, 17]));
    const images = 1 + random.integer(3);
    const rest = random.pick([[], [1, 1], [3, 5], [7]]);
    const plane = rest.reduce((product, side) => product * side, 1);
    const inputs = channels.map((count, at) => randomTensor(gpu, [images, count, ...rest], 10 * index + at));
    const total = channels.reduce((sum, count) => sum + count);
    const gradOutput = randomValues(images * total * plane, 10 * index + 9);
    const { output, gradients } = await forwardBackward(
      gpu,
      inputs,
      gradOutput,
      (tape) => concatenate(tape, inputs),
    );
    for (const [part, count] of channels.entries()) {
      const length = images * count * plane;
      const at = Array.from({ length }, (_, element) => place(element, part, channels, plane));
      assertEquals(Float32Array.from(at, (from) => output[from]), randomValues(length, 10 * index + part));
      assertEquals(gradients[part], Float32Array.from(at, (from) => gradOutput[from]));
    }
  }
});

gpuTest("an input twice, and one with another consumer, get the sum of their gradients", async (gpu) => {
  const input = randomTensor(gpu, [2, 3, 2], 1), other = randomTensor(gpu, [2, 3, 2], 2);
  const gradOutput = randomValues(24, 3);
  const { gradients } = await forwardBackward(
    gpu,
    [input, other],
    gradOutput,
    (tape) => concatenate(tape, [input, add(tape, input, other)]),
  );
  const [first, second] = [0, 1].map((part) =>
    Float32Array.from({ length: 12 }, (_, at) => gradOutput[place(at, part, [3, 3], 2)])
  );
  assertEquals(gradients[1], second);
  assertEquals(gradients[0], first.map((value, at) => value + second[at]));
  const twice = await forwardBackward(gpu, [input], gradOutput, (tape) => concatenate(tape, [input, input]));
  assertEquals(twice.gradients[0], gradients[0]);
});

gpuTest("of no images there is nothing to join", (gpu) => {
  using tape = new Tape(gpu, false);
  const none = Tensor.create(gpu, [0, 3, 2, 2]);
  assertEquals(concatenate(tape, [none, none]).shape, [0, 6, 2, 2]);
  return Promise.resolve();
});

gpuTest("what does not fit together is refused", (gpu) => {
  using tape = new Tape(gpu, false);
  const input = Tensor.zeros(gpu, [2, 3, 4, 4]);
  assertThrows(() => concatenate(tape, []), ShapeError, "at least one");
  assertThrows(
    () => concatenate(tape, [input, Tensor.zeros(gpu, [2, 3, 4, 5])]),
    ShapeError,
    "an input has shape",
  );
  assertThrows(
    () => concatenate(tape, [input, Tensor.zeros(gpu, [1, 3, 4, 4])]),
    ShapeError,
    "an input has shape",
  );
  return Promise.resolve();
});
