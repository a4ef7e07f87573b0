/**
 * NaN and infinity in convolutions: each variant, forwards and backwards, against plain loops in float64. Zero padding
 * counts as zeros that are multiplied, as in PyTorch, but for the input's gradient; nothing else may touch a number that
 * the formula does not name, such as a load clamped at an edge, a neighbouring row, or an inactive channel.
 */
import { assertEquals } from "@std/assert";
import type { Gpu } from "../../src/gpu/device.ts";
import { purpose, Random } from "../../src/random.ts";
import { linear } from "../../src/tensor/ops/linear.ts";
import { convolution as runOperation } from "../../src/tensor/ops/convolution.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertSame, forwardBackward, gpuTest, parameter, randomValues } from "../helpers.ts";
import { drawPair, layer } from "./convolution_cases.ts";
import {
  convolution,
  type ConvolutionCase,
  convolutionInputGradient,
  convolutionOutput,
  convolutionWeightGradient,
} from "./reference.ts";
import { variants } from "./variants.ts";

const special = [NaN, Infinity, -Infinity];

/** The case over an input that holds its zero padding. */
function padded(one: ConvolutionCase, input: Float32Array): { one: ConvolutionCase; input: Float32Array } {
  const height = one.height + 2 * one.paddingY, width = one.width + 2 * one.paddingX;
  const planes = one.images * one.inChannels;
  const result = new Float32Array(planes * height * width);
  for (let plane = 0; plane < planes; plane++) {
    for (let y = 0; y < one.height; y++) {
      const row = (plane * one.height + y) * one.width;
      const to = (plane * height + y + one.paddingY) * width + one.paddingX;
      result.set(input.subarray(row, row + one.width), to);
    }
  }
  return { one: { ...one, height, width, paddingY: 0, paddingX: 0 }, input: result };
}

/** Puts special values into some elements: of the corners, the edges and the middle of one plane, or at random. */
function spoil(values: Float32Array, height: number, width: number, random: Random): void {
  const plane = height * width;
  const places = [0, width - 1, plane - width, plane - 1, Math.floor(plane / 2), random.integer(plane)];
  const start = random.integer(values.length / plane) * plane;
  values[start + random.pick(places)] = random.pick(special);
}

async function check(
  gpu: Gpu,
  one: ConvolutionCase,
  target: "input" | "gradOutput",
  seed: number,
): Promise<void> {
  const random = new Random(seed, purpose.test);
  const [outHeight, outWidth] = convolutionOutput(one);
  const input = randomValues(one.images * one.inChannels * one.height * one.width, seed);
  const gradOutput = randomValues(one.images * one.outChannels * outHeight * outWidth, seed + 1);
  if (target === "input") spoil(input, one.height, one.width, random);
  else spoil(gradOutput, outHeight, outWidth, random);
  const shape = [one.storedOut, one.storedIn, one.kernelY, one.kernelX];
  const data = randomValues(shape.reduce((product, size) => product * size, 1), seed + 2);
  // Weights that no subnet of this size uses.
  data.forEach((_, at) => {
    const plane = Math.floor(at / one.kernelY / one.kernelX);
    if (plane % one.storedIn >= one.inChannels || Math.floor(plane / one.storedIn) >= one.outChannels) {
      data[at] = NaN;
    }
  });
  const weight = parameter(gpu, "weight", { data, shape });
  const tensor = Tensor.from(gpu, input, [one.images, one.inChannels, one.height, one.width]);
  const { output, gradients } = await forwardBackward(
    gpu,
    [tensor],
    gradOutput,
    (tape) =>
      runOperation(tape, tensor, weight, {
        outChannels: one.outChannels,
        stride: one.stride,
        padding: [one.paddingY, one.paddingX],
        dilation: one.dilation,
      }),
  );
  const what = `${target} of ${JSON.stringify(one)}, seed ${seed}`;
  const whole = padded(one, input);
  assertSame(output, convolution(whole.one, whole.input, data), 1e-5, `output, ${what}`);
  assertSame(gradients[0], convolutionInputGradient(one, gradOutput, data), 1e-4, `input gradient, ${what}`);
  const gradWeight = convolutionWeightGradient(whole.one, whole.input, gradOutput);
  assertSame(await weight.gradient!.read(), gradWeight, 1e-4, `weight gradient, ${what}`);
  for (const used of [tensor, weight.value, weight.gradient!]) used.release();
}

/** Shapes that reach every kernel, with edges inside blocks and blocks at edges. */
const cases: ConvolutionCase[] = [
  layer(1, 8, 5, 4),
  layer(1, 17, 17, 5),
  layer(1, 8, 19, 1, { images: 13 }),
  layer(3, 5, 17, 16),
  layer(3, 3, 9, 8),
  layer(3, 4, 17, 12, { height: 5 }),
  layer(3, 5, 17, 16, { stride: 2 }),
  layer(3, 3, 5, 7, { dilation: 2, paddingY: 2, paddingX: 2 }),
  layer(3, 3, 5, 8, { dilation: 4, paddingY: 4, paddingX: 4 }),
  layer(5, 3, 17, 8, { images: 1 }),
  layer(7, 3, 17, 16, { stride: 2 }),
];

for (const assumed of [undefined, { software: false, subgroupLanes: 0 }] as const) {
  const where = assumed ? "other devices" : "this device";
  gpuTest(`NaN and infinity in convolutions, in every variant of ${where}`, async (gpu) => {
    for (let trial = 0; trial === 0 || trial < gpu.tuning.mostVariants; trial++) {
      gpu.tuning.trial = trial;
      for (const [index, one] of cases.entries()) {
        for (const target of ["input", "gradOutput"] as const) {
          for (const repeat of trial === 0 ? [0, 1, 2, 3] : [0, 1]) {
            await check(gpu, one, target, 1000 * trial + 10 * index + 3 * repeat);
          }
        }
      }
    }
    gpu.tuning.trial = 0;
    for (let seed = 0; seed < 12; seed++) {
      const [one] = drawPair(new Random(seed, purpose.test, 1));
      for (const target of ["input", "gradOutput"] as const) await check(gpu, one, target, 5000 + 10 * seed);
    }
    assertEquals(variants(gpu, "convolution_rows", "SCATTER"), ["false", "true"]);
  }, assumed);

  gpuTest(`NaN and infinity in linear layers, in every variant of ${where}`, async (gpu) => {
    const [rows, features, outputs] = [70, 20, 19];
    for (let trial = 0; trial === 0 || trial < gpu.tuning.mostVariants; trial++) {
      gpu.tuning.trial = trial;
      for (const row of [0, 33, rows - 1]) {
        const input = randomValues(rows * features, 1), data = randomValues(outputs * features, 2);
        input[row * features + (7 * row) % features] = special[trial % 3];
        const output = await linear(
          new Tape(gpu, false),
          Tensor.from(gpu, input, [rows, features]),
          parameter(gpu, "weight", { data, shape: [outputs, features] }),
          parameter(gpu, "bias", { data: new Float32Array(outputs), shape: [outputs] }),
        ).read();
        const wanted = Float64Array.from({ length: rows * outputs }, (_, at) => {
          let sum = 0;
          for (let i = 0; i < features; i++) {
            sum += input[Math.floor(at / outputs) * features + i] * data[at % outputs * features + i];
          }
          return sum;
        });
        assertSame(output, wanted, 1e-5, `linear layer, row ${row}`);
      }
    }
  }, assumed);
}
