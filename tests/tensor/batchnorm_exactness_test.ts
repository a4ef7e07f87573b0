/**
 * How exact batchnorm's statistics and gradients are: at any offset, with outliers where a pivot might be taken, with
 * numbers whose squares overflow, and over more elements than a driver can loop over.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { batchnorm } from "../../src/tensor/ops/batchnorm.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { Shape } from "../../src/shape.ts";
import { assertClose, gpuTest, parameter, randomValues } from "../helpers.ts";
import * as reference from "./reference.ts";

interface Found {
  output: Float32Array;
  mean: Float32Array;
  variance: Float32Array;
  gradInput: Float32Array;
  gradWeight: Float32Array;
}

function ones(gpu: Gpu, channels: number) {
  return parameter(gpu, "bn", { data: new Float32Array(channels).fill(1), shape: [channels] });
}

/** Batchnorm in training mode with weight 1, bias 0 and running statistics that are replaced by the batch's. */
async function train(
  gpu: Gpu,
  values: Float32Array<ArrayBuffer>,
  shape: Shape,
  groups: number,
  gradOutput: Float32Array<ArrayBuffer>,
): Promise<Found> {
  const channels = shape[1];
  const weight = ones(gpu, channels);
  const bias = parameter(gpu, "bias", { data: new Float32Array(channels), shape: [channels] });
  const running = { mean: Tensor.zeros(gpu, [channels]), variance: Tensor.zeros(gpu, [channels]) };
  const tape = new Tape(gpu, true);
  const input = Tensor.from(gpu, values, shape);
  tape.watch(input);
  const result = batchnorm(tape, input, weight, bias, running, { training: true, groups, momentum: 1 });
  const output = await result.read();
  tape.backward([result, Tensor.from(gpu, gradOutput, shape)]);
  const gradient = tape.take(input)!;
  const read = await gpu.read(running.mean, running.variance, gradient, weight.gradient!);
  const [mean, variance, gradInput, gradWeight] = read.map((bytes) => new Float32Array(bytes));
  for (const tensor of [input, gradient, weight.value, weight.gradient!]) tensor.release();
  tape.release();
  return { output, mean, variance, gradInput, gradWeight };
}

/** Compares with float64 from the same numbers. */
async function check(
  gpu: Gpu,
  values: Float32Array<ArrayBuffer>,
  shape: Shape,
  groups: number,
  tolerance: number,
  what: string,
): Promise<void> {
  const [images, channels, height = 1, width = 1] = shape;
  const one = { images, channels, plane: height * width, groups, epsilon: 1e-5, momentum: 1, training: true };
  const gradOutput = randomValues(values.length, 77);
  const found = await train(gpu, values, shape, groups, gradOutput);
  const weight = new Float32Array(channels).fill(1), zeros = new Float32Array(channels);
  const wanted = reference.batchnorm(
    one,
    { input: values, weight, bias: zeros, runningMean: zeros, runningVariance: zeros },
    false,
  );
  const gradients = reference.batchnormGradient(one, wanted, values, weight, gradOutput);
  // What rounding the mean to float32 costs, in standard deviations: PyTorch pays it, too.
  const rounding = Math.max(
    ...wanted.mean.map((mean, slot) => Math.abs(mean) * 2 ** -24 / wanted.deviation[slot]),
  );
  wanted.runningVariance.forEach((variance, channel) =>
    assertClose([found.variance[channel]], [variance], tolerance, `${what}: variance of channel ${channel}`)
  );
  wanted.runningMean.forEach((mean, channel) => {
    const error = Math.abs(found.mean[channel] - mean);
    const allowed = Math.abs(mean) * 2 ** -23 + 1e-6 * Math.sqrt(wanted.runningVariance[channel]);
    assert(error <= allowed, `${what}: mean of channel ${channel} off by ${error}; allowed ${allowed}`);
  });
  assertClose(found.output, wanted.output, 2e-6 + 2 * rounding, `${what}: output`);
  assertClose(found.gradInput, gradients.input, 1e-5 + 4 * rounding, `${what}: gradient`);
  assertClose(
    found.gradWeight,
    gradients.weight,
    1e-5 + 4 * rounding * Math.sqrt(values.length),
    `${what}: weight gradient`,
  );
}

const shapes: [shape: Shape, groups: number][] = [
  [[16, 3, 32, 32], 1],
  [[16, 3, 32, 32], 4],
  [[24, 2, 17, 15], 2],
  [[64, 5], 1],
  [[32, 40, 4, 4], 1],
];

/** Roughly normal numbers. */
function normal(length: number, seed: number): Float32Array<ArrayBuffer> {
  const parts = Array.from({ length: 6 }, (_, index) => randomValues(length, 100 * seed + index));
  return Float32Array.from(
    { length },
    (_, at) => parts.reduce((sum, part) => sum + part[at], 0) / Math.SQRT2,
  );
}

/** Changes some elements of every image of every channel, or of the first image alone. */
function at(
  values: Float32Array<ArrayBuffer>,
  shape: Shape,
  images: number,
  places: number[],
  value: number,
) {
  const [, channels, height = 1, width = 1] = shape;
  const plane = height * width;
  for (let row = 0; row < images * channels; row++) {
    for (const place of places) values[row * plane + (place + plane) % plane] = value;
  }
}

for (const assumed of [undefined, { software: false, subgroupLanes: 0 }] as const) {
  const where = assumed ? ", split as for other devices" : "";
  gpuTest(`batchnorm at any offset${where}`, async (gpu) => {
    for (const [shape, groups] of shapes) {
      const length = shape.reduce((product, size) => product * size, 1);
      for (const offset of [0, 30, -100, 1000, 1e5]) {
        const values = normal(length, 3).map((value) => value + offset);
        await check(gpu, values, shape, groups, 1e-6, `[${shape}] in ${groups} groups, offset ${offset}`);
      }
    }
  }, assumed);

  gpuTest(`batchnorm with outliers${where}`, async (gpu) => {
    for (const [shape, groups] of shapes) {
      const [images] = shape;
      const length = shape.reduce((product, size) => product * size, 1);
      for (const outlier of [30, 100, 1e4, -1e6]) {
        for (const offset of [0, 100]) {
          const what = `[${shape}] in ${groups} groups, offset ${offset}, outlier ${outlier}`;
          const values = normal(length, 4).map((value) => value + offset);
          const first = values.slice();
          at(first, shape, 1, [0], outlier);
          await check(gpu, first, shape, groups, 3e-6, `${what}, first`);
          if (shape.length === 2) continue;
          const corners = values.slice();
          at(corners, shape, images, [0, -1], outlier);
          await check(gpu, corners, shape, groups, 3e-6, `${what}, corners`);
          const image = values.slice();
          at(image, shape, 1, Array.from({ length: shape[2] * shape[3] }, (_, place) => place), outlier);
          await check(gpu, image, shape, groups, 3e-6, `${what}, first image`);
        }
      }
    }
  }, assumed);
}

gpuTest(
  "a constant channel has variance 0; squares that overflow an infinite one, as in PyTorch",
  async (gpu) => {
    const shape = [4, 2, 8, 8];
    const gradOutput = randomValues(512, 1);
    const constant = await train(gpu, new Float32Array(512).fill(1234.5678), shape, 1, gradOutput);
    assertEquals([...constant.variance], [0, 0]);
    assertEquals([...constant.mean], [Math.fround(1234.5678), Math.fround(1234.5678)]);
    assert(constant.output.every((value) => value === 0));
    // Without variation what is left is the gradient's own mean.
    assert(constant.gradInput.every(Number.isFinite));

    for (
      const values of [
        normal(512, 5).map((value) => 1e20 * value),
        normal(512, 6).map((v, at) => at < 128 ? v * 1e25 : v),
      ]
    ) {
      const { mean, variance, output, gradInput } = await train(gpu, values, shape, 1, gradOutput);
      const overflows = [0, 1].map((channel) =>
        values.some((value, at) => Math.floor(at / 64) % 2 === channel && Math.abs(value) > 1e19)
      );
      assertEquals([...variance].map((value) => value === Infinity), overflows);
      for (const channel of [0, 1]) {
        const own = values.filter((_, at) => Math.floor(at / 64) % 2 === channel);
        const wanted = own.reduce((sum, value) => sum + value, 0) / own.length;
        const scale = Math.max(...own.map(Math.abs));
        assert(Math.abs(mean[channel] - wanted) < 1e-6 * scale, `mean ${mean[channel]}, expected ${wanted}`);
      }
      if (overflows.every(Boolean)) {
        assert(
          output.every((value) => value === 0) && gradInput.every((value) => value === 0),
        );
      }
    }
  },
);

gpuTest("batchnorm over more elements than one invocation may loop over", async (gpu) => {
  // 33 images of 127 x 127 are read one by one: 33 ceil(16129 / 8) turns, where the channels already fill the device.
  for (
    const [shape, groups] of [[[33, 32, 127, 127], 1], [[1, 1, 1201, 1201], 1], [[70_000, 1], 1]] as [
      Shape,
      number,
    ][]
  ) {
    const [images, channels, height = 1, width = 1] = shape;
    const plane = height * width;
    const values = randomValues(images * channels * plane, 9);
    // The last images differ, so that leaving them out shows.
    for (let index = Math.floor(values.length * 0.8); index < values.length; index++) values[index] += 0.5;
    const gradOutput = values.map((value, index) => index % 3 === 0 ? value : 0.25);
    const found = await train(gpu, values, shape, groups, gradOutput);
    for (const channel of [0, channels - 1]) {
      let sum = 0, squares = 0, products = 0;
      const rows = Array.from({ length: images }, (_, image) => (image * channels + channel) * plane);
      for (const row of rows) for (let place = 0; place < plane; place++) sum += values[row + place];
      const mean = sum / images / plane;
      for (const row of rows) {
        for (let place = 0; place < plane; place++) {
          const above = values[row + place] - mean;
          squares += above ** 2;
          products += gradOutput[row + place] * above;
        }
      }
      const count = images * plane;
      const what = `channel ${channel} of [${shape}]`;
      assertClose([found.mean[channel]], [mean], 1e-5, `mean of ${what}`);
      assertClose([found.variance[channel]], [squares / (count - 1)], 1e-6, `variance of ${what}`);
      assertClose(
        [found.gradWeight[channel]],
        [products / Math.sqrt(squares / count + 1e-5)],
        1e-5,
        `weight gradient of ${what}`,
      );
    }
  }
});

gpuTest("one value a channel is refused in training, not in evaluation", (gpu) => {
  const weight = ones(gpu, 3);
  const running = { mean: Tensor.zeros(gpu, [3]), variance: Tensor.from(gpu, new Float32Array([1, 1, 1])) };
  const run = (shape: Shape, training: boolean, groups = 1) =>
    batchnorm(new Tape(gpu, false), Tensor.zeros(gpu, shape), weight, weight, running, { training, groups });
  for (
    const [shape, groups] of [[[1, 3], 1], [[1, 3, 1, 1], 1], [[4, 3], 4], [[2, 3, 1, 1], 2]] as [
      Shape,
      number,
    ][]
  ) {
    assertThrows(() => run(shape, true, groups), ShapeError, "one value a channel");
  }
  run([1, 3], false);
  run([2, 3], true);
  run([1, 3, 1, 2], true);
  return Promise.resolve();
});
