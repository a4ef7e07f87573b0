/** Transposed convolutions of random shapes against plain loops in float64; their gradients as adjoints. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/errors.ts";
import { transposedConvolution } from "../../src/tensor/ops/transposed_convolution.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, gpuTest, parameter, randomStreams, randomValues } from "../helpers.ts";
import { consumeTwice } from "./consume_twice.ts";
import { product } from "./dense_reference.ts";

const otherDevices = { software: false, subgroupLanes: 0 } as const;

for (const assumed of [undefined, otherDevices]) {
  const devices = assumed ? ", in the variants for other devices" : "";
  gpuTest(`transposed convolutions of random shapes${devices}`, async (gpu) => {
    for (const [index, random] of randomStreams(34, 25).entries()) {
      const channels = [1, 3, 5, 8, 17];
      const images = 1 + random.integer(2), inputs = random.pick(channels), outputs = random.pick(channels);
      const [height, width] = [random.pick([1, 3, 4, 7, 8, 14]), random.pick([1, 2, 5, 8, 14])];
      const [kernel, stride, padding] = random.pick([[2, 2, 0], [2, 2, 0], [3, 1, 1], [4, 2, 1], [3, 2, 0], [
        2,
        3,
        0,
      ]]);
      const [outHeight, outWidth] = [height, width].map((side) => (side - 1) * stride - 2 * padding + kernel);
      const stored = [inputs + random.pick([0, 1, 3]), outputs + random.pick([0, 2])];
      const taps = kernel * kernel, outPlane = outHeight * outWidth;
      const seed = 100 * index;
      const values = randomValues(images * inputs * height * width, seed);
      const weights = randomValues(stored[0] * stored[1] * taps, seed + 1);
      const biases = randomValues(stored[1], seed + 2);
      const initial = randomValues(weights.length, seed + 3);
      const gradOutput = randomValues(images * outputs * outPlane, seed + 4);
      const shape = [images, inputs, height, width], outShape = [images, outputs, outHeight, outWidth];
      const input = Tensor.from(gpu, values, shape);
      const weight = parameter(gpu, "weight", { data: weights, shape: [...stored, kernel, kernel] }, initial);
      const bias = parameter(gpu, "bias", { data: biases, shape: [stored[1]] });
      const found = await consumeTwice(
        gpu,
        [input],
        () => Tensor.from(gpu, gradOutput, outShape),
        (tape) => transposedConvolution(tape, input, weight, { outChannels: outputs, stride, padding, bias }),
      );
      const output = new Float64Array(gradOutput.length);
      const gradInput = new Float64Array(values.length);
      const gradWeight = Float64Array.from(initial), gradBias = new Float64Array(stored[1]);
      output.forEach((_, at) => {
        const channel = Math.floor(at / outPlane) % outputs;
        output[at] = biases[channel];
        gradBias[channel] += gradOutput[at];
      });
      for (let from = 0; from < values.length; from++) {
        const x = from % width, y = Math.floor(from / width) % height;
        const channel = Math.floor(from / width / height) % inputs,
          image = Math.floor(from / width / height / inputs);
        for (let out = 0; out < outputs; out++) {
          for (let tap = 0; tap < taps; tap++) {
            const row = y * stride + Math.floor(tap / kernel) - padding,
              column = x * stride + tap % kernel - padding;
            if (row < 0 || row >= outHeight || column < 0 || column >= outWidth) continue;
            const to = ((image * outputs + out) * outHeight + row) * outWidth + column;
            const weightAt = (channel * stored[1] + out) * taps + tap;
            output[to] += values[from] * weights[weightAt];
            gradInput[from] += gradOutput[to] * weights[weightAt];
            gradWeight[weightAt] += gradOutput[to] * values[from];
          }
        }
      }
      const what = JSON.stringify({ shape, outShape, kernel, stride, padding, stored });
      assertClose(found.output, output, 1e-5, `output of ${what}`);
      assertClose(found.gradients[0], gradInput, 1e-4, `gradient of ${what}`);
      const stores = await weight.gradient!.read();
      assertClose(stores, gradWeight, 1e-4, `weight gradient of ${what}`);
      const touched = stores.findIndex((value, at) => {
        const plane = Math.floor(at / taps);
        const active = plane % stored[1] < outputs && Math.floor(plane / stored[1]) < inputs;
        return !active && value !== initial[at];
      });
      assertEquals(touched, -1, `element outside the active slice of ${what}`);
      assertClose(await bias.gradient!.read(), gradBias, 1e-4, `bias gradient of ${what}`);
      const withoutBias = found.output.map((value, at) =>
        value - biases[Math.floor(at / outPlane) % outputs]
      );
      const [one, other] = [product(withoutBias, gradOutput), product(values, found.gradients[0])];
      assert(
        Math.abs(one - other) <= 1e-5 * Math.sqrt(values.length * gradOutput.length),
        `not adjoint: ${what}`,
      );
    }
  }, assumed);
}

gpuTest("transposed convolutions that cannot be are refused", (gpu) => {
  using tape = new Tape(gpu, false);
  const weight = parameter(gpu, "up", { data: new Float32Array(2 * 3 * 4), shape: [2, 3, 2, 2] });
  const bias = parameter(gpu, "bias", { data: new Float32Array(2), shape: [2] });
  using input = Tensor.zeros(gpu, [1, 3, 1, 1]);
  using fitting = Tensor.zeros(gpu, [1, 2, 1, 1]);
  assertThrows(() => transposedConvolution(tape, input, weight), ShapeError, "3 -> 3 channels do not fit");
  assertThrows(() => transposedConvolution(tape, fitting, weight, { outChannels: 4 }), ShapeError, "2 -> 4");
  assertThrows(() => transposedConvolution(tape, fitting, weight, { bias }), ShapeError, "bias has 2");
  assertThrows(
    () => transposedConvolution(tape, fitting, weight, { padding: 1 }),
    ShapeError,
    "nothing is left",
  );
  return Promise.resolve();
});
