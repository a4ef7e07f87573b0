/** Dropout: the words of src/random.ts decide, the same ones in both directions. */
import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/errors.ts";
import { philox, purpose } from "../../src/random.ts";
import { elements, type Shape } from "../../src/shape.ts";
import { dropout, type DropoutOptions } from "../../src/tensor/ops/dropout.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import {
  assertClose,
  forwardBackward,
  gpuTest,
  randomStreams,
  randomTensor,
  randomValues,
} from "../helpers.ts";
import { consumeTwice } from "./consume_twice.ts";

/** Factors of the elements, in float64. */
function factors(shape: Shape, probability: number, options: DropoutOptions): Float64Array {
  const { seed, step, layer = 0, channels = false } = options;
  const plane = channels ? elements(shape.slice(2)) : 1;
  return Float64Array.from({ length: elements(shape) }, (_, at) => {
    const number = Math.floor(at / plane);
    const words = philox([Math.floor(number / 4), layer, step, 0], [seed, purpose.dropout]);
    return words[number % 4] < probability * 2 ** 32 ? 0 : 1 / (1 - probability);
  });
}

gpuTest("dropout of random shapes and its gradient", async (gpu) => {
  for (const [index, random] of randomStreams(38, 30).entries()) {
    const channels = random.chance(0.5);
    const side = () => random.pick([1, 3, 5, 7, 17, 24]);
    const shape = random.chance(0.3) ? [side(), side()] : [1 + random.integer(3), side(), side(), side()];
    const probability = random.pick([0, 0.1, 0.5, 0.9]);
    const options = { seed: random.word(), step: random.word(), layer: random.integer(5), channels };
    const values = randomValues(elements(shape), 10 * index);
    const gradOutput = randomValues(elements(shape), 10 * index + 1);
    const input = Tensor.from(gpu, values, shape);
    const { output, gradients } = await consumeTwice(
      gpu,
      [input],
      () => Tensor.from(gpu, gradOutput, shape),
      (tape) => dropout(tape, input, probability, options),
    );
    const factor = factors(shape, probability, options);
    const what = `${shape} by ${probability}${channels ? ", channels" : ""}`;
    assertClose(output, factor.map((value, at) => value * values[at]), 1e-6, `output of ${what}`);
    assertClose(gradients[0], factor.map((value, at) => value * gradOutput[at]), 1e-5, `gradient of ${what}`);
  }
});

gpuTest(
  "the same seed, step and layer give the same bits, others do not; the share is what was asked for",
  async (gpu) => {
    const input = Tensor.from(gpu, new Float32Array(100_003).fill(1));
    const kept = async (options: DropoutOptions) =>
      await dropout(new Tape(gpu, false), input, 0.1, options).read();
    const first = await kept({ seed: 1, step: 2 });
    assertEquals(await kept({ seed: 1, step: 2, layer: 0 }), first);
    for (const other of [{ seed: 2, step: 2 }, { seed: 1, step: 3 }, { seed: 1, step: 2, layer: 1 }]) {
      assertNotEquals(await kept(other), first);
    }
    // Five standard deviations of a binomial share.
    const share = first.filter((value) => value === 0).length / first.length;
    assert(Math.abs(share - 0.1) < 5 * Math.sqrt(0.09 / first.length), `${share}`);
    assert(first.every((value) => value === 0 || value === Math.fround(1 / 0.9)));
  },
);

gpuTest("NaN stays NaN where it is dropped, infinity becomes NaN, as in PyTorch", async (gpu) => {
  for (const channels of [false, true]) {
    const values = Float32Array.from({ length: 64 }, (_, at) => at % 2 ? NaN : Infinity);
    const input = Tensor.from(gpu, values, [1, 32, 1, 2]);
    const options = { seed: 5, step: 1, channels };
    const factor = factors(input.shape, 0.5, options);
    const { output, gradients } = await forwardBackward(
      gpu,
      [input],
      values,
      (tape) => dropout(tape, input, 0.5, options),
    );
    const expected = Float32Array.from(values, (value, at) => value * factor[at]);
    assert(expected.includes(Infinity) && expected.filter((value) => Number.isNaN(value)).length > 32);
    assertEquals(output, expected);
    assertEquals(gradients[0], expected);
  }
});

gpuTest("with probability 0 all stays, with 1 nothing", async (gpu) => {
  const values = randomValues(30, 1);
  const input = Tensor.from(gpu, values, [2, 3, 5]);
  for (const channels of [false, true]) {
    const options = { seed: 1, step: 1, channels };
    assertEquals(await dropout(new Tape(gpu, false), input, 0, options).read(), values);
    const none = await dropout(new Tape(gpu, false), input, 1, options).read();
    assert(none.every((value) => value === 0));
  }
});

gpuTest("what is no probability is refused", (gpu) => {
  using tape = new Tape(gpu, false);
  const input = randomTensor(gpu, [4], 1);
  for (const probability of [-0.1, 1.1, NaN]) {
    assertThrows(() => dropout(tape, input, probability, { seed: 1, step: 1 }), ShapeError, `${probability}`);
  }
  assertThrows(
    () => dropout(tape, input, 0.5, { seed: 1, step: 1, channels: true }),
    ShapeError,
    "no channels",
  );
  return Promise.resolve();
});
