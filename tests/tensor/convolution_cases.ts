/** Convolutions of random shape, and running them. */
import type { Gpu } from "../../src/gpu/device.ts";
import type { Random } from "../../src/random.ts";
import { convolution as runOperation } from "../../src/tensor/ops/convolution.ts";
import type { Parameter } from "../../src/tensor/parameter.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { Shape } from "../../src/shape.ts";
import { parameter, randomTensor, randomValues } from "../helpers.ts";
import { type ConvolutionCase, convolutionMacs, convolutionOutput } from "./reference.ts";

const channelCounts = [1, 3, 5, 8, 16, 17, 24];
const tileSizes = [4, 8, 16, 32];

/** An input shape with the geometry of one of a network's layers, or an odd one. */
function draw(
  random: Random,
  input?: Pick<ConvolutionCase, "images" | "inChannels" | "height" | "width">,
): ConvolutionCase {
  const size = () => random.chance(0.5) ? random.pick(tileSizes) : 1 + random.integer(13);
  const common = random.chance(0.5);
  const kernelY = common ? random.pick([1, 3, 3]) : random.pick([1, 3, 5, 7]);
  const kernelX = common || random.chance(0.7) ? kernelY : random.pick([1, 3, 5, 7]);
  const padding = common ? (kernelY - 1) / 2 : random.integer(4);
  const active = { in: input?.inChannels ?? random.pick(channelCounts), out: random.pick(channelCounts) };
  return {
    images: 1 + random.integer(5),
    height: size(),
    width: size(),
    ...input,
    inChannels: active.in,
    outChannels: active.out,
    storedIn: active.in + random.pick([0, 0, 1, 3, 8]),
    storedOut: active.out + random.pick([0, 0, 1, 3, 8]),
    kernelY,
    kernelX,
    stride: common ? random.pick([1, 1, 1, 2]) : random.pick([1, 2, 3]),
    paddingY: padding,
    paddingX: common || random.chance(0.7) ? padding : random.integer(4),
    dilation: common ? 1 : random.pick([1, 1, 2]),
  };
}

/** Two convolutions of one random input, whose windows fit and which the reference computes quickly. */
export function drawPair(random: Random): [ConvolutionCase, ConvolutionCase] {
  const fits = (one: ConvolutionCase) =>
    convolutionOutput(one).every((size) => size > 0) && convolutionMacs(one) < 1.2e6;
  let first = draw(random);
  while (!fits(first)) first = draw(random);
  const { images, inChannels, height, width } = first;
  const input = { images, inChannels, height, width };
  let second = draw(random, input);
  while (!fits(second)) second = draw(random, input);
  return [first, second];
}

/** A convolution that keeps the size, stored wider than active, of two square images; `more` changes what it names. */
export function layer(
  kernel: number,
  inChannels: number,
  outChannels: number,
  size: number,
  more: Partial<ConvolutionCase> = {},
): ConvolutionCase {
  const padding = (kernel - 1) / 2;
  return {
    images: 2,
    inChannels,
    outChannels,
    storedIn: inChannels + 2,
    storedOut: outChannels + 7,
    height: size,
    width: size,
    kernelY: kernel,
    kernelX: kernel,
    stride: 1,
    paddingY: padding,
    paddingX: padding,
    dilation: 1,
    ...more,
  };
}

/** A convolution with values on the device and on the host. */
export interface Filled {
  one: ConvolutionCase;
  weight: Float32Array<ArrayBuffer>;
  gradWeightInitial: Float32Array<ArrayBuffer>;
  gradOutput: Float32Array<ArrayBuffer>;
  parameter: Parameter;
  /** Absent for a convolution without bias. */
  bias?: { values: Float32Array<ArrayBuffer>; gradInitial: Float32Array<ArrayBuffer>; parameter: Parameter };
}

/** Random weights, initial weight gradients and output gradients for a convolution. */
export function fill(gpu: Gpu, one: ConvolutionCase, seed: number, biased = false): Filled {
  const shape: Shape = [one.storedOut, one.storedIn, one.kernelY, one.kernelX];
  const length = shape.reduce((product, size) => product * size, 1);
  const [outHeight, outWidth] = convolutionOutput(one);
  const weight = randomValues(length, seed);
  const gradWeightInitial = randomValues(length, seed + 1);
  return {
    one,
    weight,
    gradWeightInitial,
    gradOutput: randomValues(one.images * one.outChannels * outHeight * outWidth, seed + 2),
    parameter: parameter(gpu, "weight", { data: weight, shape }, gradWeightInitial),
    ...(biased ? { bias: fillBias(gpu, one.storedOut, seed + 3) } : {}),
  };
}

function fillBias(gpu: Gpu, channels: number, seed: number): Required<Filled>["bias"] {
  const [values, gradInitial] = [seed, seed + 1].map((one) => randomValues(channels, one));
  return {
    values,
    gradInitial,
    parameter: parameter(gpu, "bias", { data: values, shape: [channels] }, gradInitial),
  };
}

/** Records one convolution on a tape. */
export function record(tape: Tape, input: Tensor, { one, parameter: weight, bias }: Filled): Tensor {
  return runOperation(tape, input, weight, {
    outChannels: one.outChannels,
    stride: one.stride,
    padding: [one.paddingY, one.paddingX],
    dilation: one.dilation,
    bias: bias?.parameter,
  });
}

/** What running convolutions of one input gave. */
export interface Results {
  input: Float32Array;
  outputs: Float32Array[];
  gradInput: Float32Array;
  gradWeights: Float32Array[];
  /** Of those convolutions that have a bias, in order. */
  gradBiases: Float32Array[];
}

/** Runs convolutions of one random input forwards and backwards; the input's gradients add up on the device. */
export async function run(gpu: Gpu, filled: Filled[], seed: number): Promise<Results> {
  const { images, inChannels, height, width } = filled[0].one;
  const input = randomTensor(gpu, [images, inChannels, height, width], seed);
  const gradOutputs = filled.map(({ one, gradOutput }) =>
    Tensor.from(gpu, gradOutput, [images, one.outChannels, ...convolutionOutput(one)])
  );
  const tape = new Tape(gpu, true);
  tape.watch(input);
  const outputs = filled.map((one) => record(tape, input, one));
  const kept = outputs.map((output) => {
    const copy = Tensor.create(gpu, output.shape);
    gpu.stream.copy(output, copy);
    return copy;
  });
  tape.backward(...outputs.map((output, index): [Tensor, Tensor] => [output, gradOutputs[index]]));
  const gradInput = tape.take(input)!;
  const gradWeights = filled.map(({ parameter }) => parameter.gradient!);
  const biases = filled.flatMap(({ bias }) => bias ? [bias.parameter] : []);
  const gradBiases = biases.map(({ gradient }) => gradient!);
  const read = await gpu.read(input, gradInput, ...kept, ...gradWeights, ...gradBiases);
  const values = read.map((bytes) => new Float32Array(bytes));
  tape.release();
  const parameters = [...filled.map(({ parameter }) => parameter), ...biases].map(({ value }) => value);
  const gradients = [gradInput, ...gradWeights, ...gradBiases];
  for (const tensor of [input, ...kept, ...gradients, ...parameters, ...gradOutputs]) tensor.release();
  return {
    input: values[0],
    gradInput: values[1],
    outputs: values.slice(2, 2 + filled.length),
    gradWeights: values.slice(2 + filled.length, 2 + 2 * filled.length),
    gradBiases: values.slice(2 + 2 * filled.length),
  };
}
