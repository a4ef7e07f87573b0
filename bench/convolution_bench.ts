/** Convolutions: forward pass and both gradients, of whole networks and of sliced weights. */
import type { Gpu } from "../src/gpu/device.ts";
import { convolution } from "../src/tensor/ops/convolution.ts";
import { outputSize } from "../src/tensor/ops/convolution_geometry.ts";
import { type ConvolutionLayer, convolutionLayers, networks } from "./networks.ts";
import { filledParameter, filledTensor } from "./operands.ts";
import { backwardCase, forwardCase } from "./operation.ts";
import { type KernelCase, type PreparedCase, registerCases } from "./report.ts";

const passes = ["forward", "input gradient", "weight gradient"] as const;

type Pass = typeof passes[number];

function describe({ inChannels, outChannels, kernel, stride, size }: ConvolutionLayer): string {
  return `${kernel}x${kernel}${stride > 1 ? `/${stride}` : ""} ${inChannels}→${outChannels} ${size}x${size}`;
}

/** @param stored the weight's output and input channels, of which the layer uses the first */
function prepare(
  gpu: Gpu,
  batch: number,
  layer: ConvolutionLayer,
  pass: Pass,
  stored: readonly [number, number],
): PreparedCase {
  const { inChannels, outChannels, kernel, stride, size } = layer;
  const input = filledTensor(gpu, [batch, inChannels, size, size]);
  const weight = filledParameter(gpu, [...stored, kernel, kernel], pass === "weight gradient");
  const options = { outChannels, stride, padding: (kernel - 1) / 2 };
  const operation = {
    inputs: pass === "input gradient" ? [input] : [],
    operands: [input, weight],
    apply: (tape: Parameters<typeof convolution>[0]) => convolution(tape, input, weight, options),
  };
  return pass === "forward" ? forwardCase(gpu, operation) : backwardCase(gpu, operation);
}

function cases(
  subject: string,
  batch: number,
  layer: ConvolutionLayer,
  chosen: readonly Pass[],
  stored?: readonly [number, number],
  dense?: string,
): KernelCase[] {
  const { inChannels, outChannels, kernel, stride, size } = layer;
  const outPixels = batch * outputSize(size, kernel, stride, (kernel - 1) / 2) ** 2;
  const weights = outChannels * inChannels * kernel ** 2;
  const work = {
    flops: 2 * outPixels * weights,
    bytes: 4 * (batch * inChannels * size ** 2 + outPixels * outChannels + weights),
  };
  return chosen.map((pass) => ({
    name: `${subject} ${describe(layer)} ${pass}`,
    work,
    dense: dense && `${dense} ${describe(layer)} ${pass}`,
    prepare: (gpu) => prepare(gpu, batch, layer, pass, stored ?? [outChannels, inChannels]),
  }));
}

/** Nobody asks for the gradient of the images. */
function passesOf(layer: ConvolutionLayer): readonly Pass[] {
  return layer.inChannels === 3 ? ["forward", "weight gradient"] : passes;
}

const sliced: readonly { layer: ConvolutionLayer; stored: readonly [number, number] }[] = [
  { layer: { inChannels: 48, outChannels: 48, kernel: 3, stride: 1, size: 56 }, stored: [80, 80] },
  { layer: { inChannels: 48, outChannels: 192, kernel: 1, stride: 1, size: 56 }, stored: [320, 80] },
  { layer: { inChannels: 192, outChannels: 48, kernel: 1, stride: 1, size: 56 }, stored: [80, 320] },
  { layer: { inChannels: 96, outChannels: 96, kernel: 3, stride: 2, size: 56 }, stored: [160, 160] },
];

registerCases([
  ...networks.flatMap((network) =>
    convolutionLayers(network).flatMap((layer) => cases(network.name, network.batch, layer, passesOf(layer)))
  ),
  ...sliced.flatMap(({ layer, stored }) => [
    ...cases("dense", 4, layer, passes),
    ...cases(`slice of ${stored[1]}→${stored[0]}:`, 4, layer, passes, stored, "dense"),
  ]),
]);
