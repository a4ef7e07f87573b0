/** Launching the convolution kernels: which variant, which tile, which grid. */
import type { Gpu } from "../../gpu/device.ts";
import { linearGrid } from "../../gpu/stream.ts";
import { Tensor } from "../tensor.ts";
import { type ConvolutionParams, type ConvolutionShape, splitChannels } from "./convolution_geometry.ts";

/**
 * Turns of all its loops that an invocation may make: Mesa's software driver silently ends a loop after 65 535. It is kept
 * on every device, so that all add up in the same order; only a gradient through a very long queue is ever split.
 */
const loopIterations = 60_000;

/**
 * Launches `convolution_rows` where it applies, else `convolution`.
 * @param bias added to each channel; only for launches that write every output once
 */
export function launchConvolution(
  gpu: Gpu,
  input: Tensor,
  weight: Tensor,
  output: Tensor,
  params: ConvolutionParams,
  bias?: Tensor,
): void {
  const subgroup = gpu.facts.subgroupLanes === 8;
  const tile = subgroup && params.outChannels > 8 ? 16 : 8;
  const pixels = params.images * params.outHeight * params.outWidth;
  const inPlane = params.inHeight * params.inWidth;
  const sameSize = params.inStride === 1 && params.outColumn === 1 && params.outBase === 0 &&
    params.inHeight === params.outHeight && params.inWidth === params.outWidth;
  const rows = sameSize && !bias && params.tapsY === 3 && params.tapsX === 3 && params.inStepY === 1 &&
    params.inStepX === 1 && params.inOffsetY === -1 && params.inOffsetX === -1 && params.outWidth % 4 === 0;
  const vector = sameSize && params.tapsY === 1 && params.tapsX === 1 && params.inOffsetY === 0 &&
    params.inOffsetX === 0 && inPlane % 4 === 0;
  const wide = subgroup && (rows ? params.outWidth % 8 === 0 : pixels >= 512);
  const across = wide ? 8 : 4;
  const constants = { TILE: tile, PIXELS: across, SUBGROUP: subgroup };
  const taps = params.tapsY * params.tapsX;
  splitChannels(params, loopIterations).forEach((part, index) => {
    const partBias = index === 0 ? bias : undefined;
    gpu.stream.dispatch({
      kernel: rows ? "convolution_rows" : "convolution",
      constants: rows ? constants : { ...constants, VECTOR: vector, BIAS: partBias !== undefined },
      buffers: { input, weight, output, bias: partBias },
      params: part,
      grid: [Math.ceil(params.outChannels / tile), Math.ceil(pixels / across / 64), 1],
      work: { flops: 2 * pixels * params.outChannels * part.inChannels * taps },
    });
  });
}

/** Adds the gradient of the weights to the leading slice of `gradient`, which is stored like the weights. */
export function launchWeightGradient(
  gpu: Gpu,
  input: Tensor,
  gradOutput: Tensor,
  gradient: Tensor,
  shape: ConvolutionShape,
): void {
  const subgroup = gpu.facts.subgroupLanes === 8;
  const taps = shape.kernelY * shape.kernelX;
  const depth = shape.inChannels * taps;
  const tile = subgroup && shape.outChannels > 8 ? 16 : 8;
  const across = 4;
  const workgroup = gpu.facts.software ? 8 : 64;
  const groupsX = Math.ceil(depth / across / workgroup);
  const groupsY = Math.ceil(shape.outChannels / tile);
  const rows = shape.images * shape.outHeight;
  const splits = weightGradientSplits(gpu, groupsX * groupsY, rows, shape.outWidth);
  const rowsPerSplit = Math.ceil(rows / splits);
  const partial = Tensor.create(gpu, [Math.ceil(rows / rowsPerSplit), shape.outChannels, depth]);
  gpu.stream.dispatch({
    kernel: "convolution_weight_gradient",
    constants: { TILE: tile, ACROSS: across, SUBGROUP: subgroup, WORKGROUP: workgroup },
    buffers: { input, gradOutput, partial },
    params: { ...shape, rowsPerSplit },
    grid: [groupsX, groupsY, partial.shape[0]],
    work: { flops: 2 * rows * shape.outWidth * shape.outChannels * depth },
  });
  gpu.stream.dispatch({
    kernel: "sum_partials",
    buffers: { partial, gradient },
    params: {
      splits: partial.shape[0],
      rows: shape.outChannels,
      columns: depth,
      storedRow: shape.storedInChannels * taps,
    },
    grid: linearGrid(shape.outChannels * depth, 64),
    work: { bytes: 4 * (partial.length + 2 * shape.outChannels * depth) },
  });
  partial.release();
}

/**
 * Enough workgroups to fill the device, but at least 64 positions a split, or the parts cost more than the sum; and more
 * where a split's loop would become too long.
 */
function weightGradientSplits(gpu: Gpu, groups: number, rows: number, width: number): number {
  const wantedGroups = gpu.facts.software ? 16 : 1024;
  const splits = Math.ceil(wantedGroups / groups);
  const least = Math.ceil(rows / Math.max(1, Math.floor(loopIterations / (width + 1))));
  return Math.max(least, Math.min(splits, Math.floor(rows * width / 64), rows, 1024));
}
