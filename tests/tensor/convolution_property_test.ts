/** Convolutions of random shapes against plain loops in float64, and the adjoint identity, for each kernel variant. */
import { assert, assertEquals } from "@std/assert";
import type { Gpu } from "../../src/gpu/device.ts";
import { linear } from "../../src/tensor/ops/linear.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, gpuTest, parameter, randomStreams, randomValues } from "../helpers.ts";
import { drawPair, fill, type Filled, layer, run } from "./convolution_cases.ts";
import {
  convolution,
  type ConvolutionCase,
  convolutionInputGradient,
  convolutionOutput,
  convolutionWeightGradient,
  isActiveWeight,
} from "./reference.ts";
import { variants } from "./variants.ts";

/** Runs a pair of convolutions on one input, the second with a bias; checks outputs, gradients, and what must stay as it was. */
async function compare(gpu: Gpu, pair: ConvolutionCase[], seed: number): Promise<void> {
  const filled = pair.map((one, index) => fill(gpu, one, seed + 10 * index + 1, index === 1));
  const { input, outputs, gradInput, gradWeights, gradBiases } = await run(gpu, filled, seed);
  const expectedGradInput = new Float64Array(input.length);
  filled.forEach(({ one, weight, gradWeightInitial, gradOutput, bias }, index) => {
    const what = JSON.stringify(one);
    const plane = outputs[index].length / one.images / one.outChannels;
    const channel = (at: number) => Math.floor(at / plane) % one.outChannels;
    const output = convolution(one, input, weight).map((sum, at) => sum + (bias?.values[channel(at)] ?? 0));
    assertClose(outputs[index], output, 1e-5, `output of ${what}`);
    if (bias) {
      const gradBias = Float64Array.from(bias.gradInitial);
      gradOutput.forEach((value, at) => gradBias[channel(at)] += value);
      assertClose(gradBiases[0], gradBias, 1e-5, `bias gradient of ${what}`);
      assertEquals(gradBiases[0].subarray(one.outChannels), bias.gradInitial.subarray(one.outChannels));
    }
    convolutionInputGradient(one, gradOutput, weight).forEach((value, at) => expectedGradInput[at] += value);
    const gradient = convolutionWeightGradient(one, input, gradOutput);
    const expected = gradient.map((value, at) => value + gradWeightInitial[at]);
    assertClose(gradWeights[index], expected, 1e-4, `weight gradient of ${what}`);
    const touched = gradWeights[index].findIndex((value, at) =>
      !isActiveWeight(one, at) && value !== gradWeightInitial[at]
    );
    assertEquals(touched, -1, `element outside the active slice of the weight gradient of ${what}`);
  });
  assertClose(gradInput, expectedGradInput, 1e-4, `sum of the input gradients of ${JSON.stringify(pair)}`);
}

/** A dilated 3x3 convolution that keeps the size. */
const dilated = (dilation: number, size: number) =>
  layer(3, 17, 19, size, { dilation, paddingY: dilation, paddingX: dilation });

/** What networks are made of, in widths that leave tiles unfilled, so that no variant is left to chance. */
const usual = [
  ...[12, 16].flatMap((size) => [layer(3, 17, 17, size), layer(3, 5, 3, size)]),
  ...[4, 16].flatMap((size) => [layer(1, 17, 17, size), layer(1, 8, 5, size)]),
  ...[5, 17].flatMap((size) => [layer(5, 17, 17, size), layer(5, 8, 5, size)]),
  layer(7, 3, 17, 16, { stride: 2 }),
  // Enough positions for blocks of 8 of them, of which the last of a row is half full.
  layer(3, 5, 17, 12, { images: 4 }),
  layer(3, 5, 17, 24, { images: 4, stride: 2 }),
  ...[2, 3, 4, 5].flatMap((dilation) => [dilated(dilation, 12), dilated(dilation, 16)]),
];

gpuTest("convolutions of random shapes", async (gpu) => {
  for (const [index, random] of randomStreams(1, 40).entries()) {
    await compare(gpu, drawPair(random), 1000 * index);
  }
  for (const [index, one] of usual.entries()) await compare(gpu, [one, one], index);
  if (gpu.facts.subgroupLanes !== 8) return;
  const tiles = ["16 4", "16 8", "8 4", "8 8"];
  for (const kernel of ["convolution", "convolution_pointwise", "convolution_rows"]) {
    assertEquals(variants(gpu, kernel, "TILE", "PIXELS"), tiles);
  }
  assertEquals(variants(gpu, "convolution_rows", "SCATTER"), ["false", "true"]);
  // Farther apart than four columns, taps are left to the general kernel.
  assertEquals(variants(gpu, "convolution_rows", "KERNEL", "STEP").filter((one) => one.startsWith("3 ")), [
    ...["3 1", "3 2", "3 3", "3 4"],
  ]);
  assertEquals(variants(gpu, "convolution_rows", "PARTIAL", "SCATTER"), [
    ...["false false", "false true", "true false", "true true"],
  ]);
  assertEquals(variants(gpu, "convolution_pointwise", "DEPTH", "WEIGHT_VECTOR"), [
    "1 false",
    "4 false",
    "4 true",
  ]);
  assertEquals(variants(gpu, "convolution_weight_gradient", "TILE"), ["16", "8"]);
  assertEquals(variants(gpu, "convolution_weight_gradient_rows", "TILE"), ["16", "8"]);
  assertEquals(variants(gpu, "convolution_weight_gradient_rows", "DILATED"), ["false", "true"]);
});

gpuTest("convolutions of random shapes, in the variants for other devices", async (gpu) => {
  for (const [index, random] of randomStreams(2, 40).entries()) {
    await compare(gpu, drawPair(random), 1000 * index);
  }
  for (const [index, one] of usual.entries()) await compare(gpu, [one, one], index);
  assertEquals(variants(gpu, "convolution_rows", "SUBGROUP"), ["false"]);
  assertEquals(variants(gpu, "convolution", "SUBGROUP"), ["false"]);
  assertEquals(variants(gpu, "convolution_pointwise", "SUBGROUP"), ["false"]);
  assertEquals(variants(gpu, "convolution_weight_gradient", "SUBGROUP", "WORKGROUP"), ["false 64"]);
}, { software: false, subgroupLanes: 0 });

/** Few shapes that together reach every kernel, over more than one tile and more than one chunk of the largest tiles. */
const odd = [
  layer(1, 1, 3, 5),
  layer(1, 20, 17, 12),
  layer(1, 24, 35, 1, { images: 133 }),
  layer(3, 17, 5, 16),
  layer(3, 5, 130, 9),
  layer(3, 17, 35, 7, { stride: 2, images: 3 }),
  layer(3, 20, 17, 7, { dilation: 2, paddingY: 2, paddingX: 1 }),
  dilated(4, 12),
  layer(7, 3, 17, 12, { stride: 2 }),
];

/** A linear layer with bias, 20 features to 35, of 70 images. */
async function compareLinear(gpu: Gpu): Promise<void> {
  const [images, features, outputs] = [70, 20, 35];
  const [input, weight, bias] = [images * features, outputs * features, outputs].map(randomValues);
  const output = linear(
    new Tape(gpu, false),
    Tensor.from(gpu, input, [images, features]),
    parameter(gpu, "weight", { data: weight, shape: [outputs, features] }),
    parameter(gpu, "bias", { data: bias, shape: [outputs] }),
  );
  const expected = Float64Array.from({ length: images * outputs }, (_, at) => {
    const row = Math.floor(at / outputs) * features, column = at % outputs * features;
    let sum = bias[at % outputs];
    for (let i = 0; i < features; i++) sum += input[row + i] * weight[column + i];
    return sum;
  });
  assertClose(await output.read(), expected, 1e-5, "linear layer");
}

for (const assumed of [undefined, { software: false, subgroupLanes: 0 }] as const) {
  const where = assumed ? "other devices" : "this device";
  gpuTest(`convolutions in every variant of ${where}`, async (gpu) => {
    for (let trial = 0; trial === 0 || trial < gpu.tuning.mostVariants; trial++) {
      gpu.tuning.trial = trial;
      for (const [index, one] of odd.entries()) await compare(gpu, [one, one], 50 * index);
      await compareLinear(gpu);
    }
    if (gpu.facts.software) return;
    const tiles = ["4 4", "4 8", "8 4", "8 8"];
    const sides = ["false", "true"].flatMap((fastest) => tiles.map((tile) => `${fastest} ${tile}`));
    assertEquals(variants(gpu, "convolution_tiled", "OUTPUT_FASTEST", "TILE", "PIXELS"), sides);
    assertEquals(variants(gpu, "convolution_tiled", "BIAS"), ["false", "true"]);
    assertEquals(variants(gpu, "convolution_weight_gradient_tiled", "TILE", "ACROSS"), tiles);
  }, assumed);
}

/** Layers of a network's size, where sums are long and split; too many products for the plain loops. */
const layers: [name: string, one: ConvolutionCase][] = [
  ["3x3", layer(3, 48, 64, 32, { images: 4 })],
  ["3x3, odd width", layer(3, 64, 48, 16, { width: 7 })],
  ["3x3, stride 2", layer(3, 40, 72, 16, { stride: 2 })],
  ["3x3, dilation 2", layer(3, 40, 24, 16, { dilation: 2, paddingY: 2, paddingX: 2 })],
  ["3x3, dilation 4", layer(3, 40, 24, 28, { dilation: 4, paddingY: 4, paddingX: 4 })],
  ["1x1", layer(1, 128, 96, 16)],
  ["1x1, stride 2", layer(1, 96, 64, 16, { stride: 2 })],
  ["5x5, stride 3", layer(5, 20, 30, 16, { stride: 3 })],
  ["stem", layer(7, 3, 48, 64, { stride: 2, storedIn: 3 })],
];

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += a[index] * b[index];
  return sum;
}

/** Checks <conv(x, w), y> = <x, inputGradient(y, w)> = <w, weightGradient(x, y)>, which needs no reference. */
async function checkAdjoint(gpu: Gpu, name: string, one: ConvolutionCase, seed: number): Promise<void> {
  const filled: Filled = fill(gpu, one, seed);
  const { input, outputs, gradInput, gradWeights } = await run(gpu, [filled], seed + 5);
  const { weight, gradOutput, gradWeightInitial } = filled;
  const [outHeight, outWidth] = convolutionOutput(one);
  assertEquals(outputs[0].length, one.images * one.outChannels * outHeight * outWidth);
  const forward = dot(outputs[0], gradOutput);
  const scale = Math.sqrt(dot(outputs[0], outputs[0]) * dot(gradOutput, gradOutput));
  const gradWeight = gradWeights[0].map((value, index) => value - gradWeightInitial[index]);
  for (
    const [what, product] of [["input", dot(input, gradInput)], ["weight", dot(weight, gradWeight)]] as const
  ) {
    const error = Math.abs(product - forward) / scale;
    assert(error < 1e-6, `${name}: <${what}, its gradient> is ${product}, <output, y> is ${forward}`);
  }
}

for (const assumed of [undefined, { software: false, subgroupLanes: 0 }] as const) {
  const where = assumed ? ", in the variants for other devices" : "";
  gpuTest(`adjoint identity of convolutions of a network's size${where}`, async (gpu) => {
    for (const [index, [name, one]] of layers.entries()) await checkAdjoint(gpu, name, one, 100 * index);
    for (const [index, random] of randomStreams(3, 12).entries()) {
      const [one] = drawPair(random);
      await checkAdjoint(gpu, JSON.stringify(one), one, 5000 + 100 * index);
    }
  }, assumed);
}
