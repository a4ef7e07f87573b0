/** Launching the convolution kernels. */
import type { Gpu } from "../../gpu/device.ts";
import { linearGrid } from "../../gpu/stream.ts";
import { shapeBucket } from "../../gpu/tuning.ts";
import { Tensor } from "../tensor.ts";
import { type ConvolutionParams, type ConvolutionShape, splitChannels } from "./convolution_geometry.ts";
import { convolutionVariants, weightGradientVariants } from "./convolution_variants.ts";
import sumPartialsSource from "../../../kernels/sum_partials.wgsl" with { type: "text" };
import { kernel } from "../../gpu/kernel.ts";

const sumPartialsKernel = kernel("sum_partials", sumPartialsSource);

/**
 * Turns of all its loops that an invocation may make: Mesa's software driver silently ends a loop after 65 535. It is kept
 * on every device, so that all add up in the same order; only a gradient through a very long queue is ever split.
 */
const loopIterations = 60_000;

/**
 * Launches a convolution with the variant that the device's tuning takes.
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
  const pixels = params.images * params.outHeight * params.outWidth;
  const taps = params.tapsY * params.tapsX;
  splitChannels(params, loopIterations).forEach((part, index) => {
    const partBias = index === 0 ? bias : undefined;
    const { variant, tag } = gpu.tuning.choose(
      () =>
        shapeBucket(describeKind(part, partBias !== undefined), [
          part.inChannels,
          part.outChannels,
          pixels,
          part.outWidth,
        ]),
      convolutionVariants(gpu.facts, part, partBias !== undefined),
    );
    gpu.stream.dispatch({
      ...variant,
      buffers: { input, weight, output, bias: partBias },
      params: part,
      work: { flops: 2 * pixels * params.outChannels * part.inChannels * taps, tag },
    });
  });
}

/** What decides about the variants of a launch beside sizes, e.g. `convolution 3x3/1`. */
function describeKind(params: ConvolutionParams, bias: boolean): string {
  const { tapsY, tapsX, inStride, outColumn, weightOut, weightIn } = params;
  return [
    `convolution ${tapsY}x${tapsX}/${inStride}`,
    ...(weightOut < weightIn ? ["transposed"] : []),
    ...(outColumn > 1 ? ["scattered"] : []),
    ...(bias ? ["with bias"] : []),
  ].join(" ");
}

/** Adds the gradient of the weights to the leading slice of `gradient`, which is stored like the weights. */
export function launchWeightGradient(
  gpu: Gpu,
  input: Tensor,
  gradOutput: Tensor,
  gradient: Tensor,
  convolutionShape: ConvolutionShape,
): void {
  const shape = asRows(convolutionShape);
  const taps = shape.kernelY * shape.kernelX;
  const depth = shape.inChannels * taps;
  const { variant, tag } = gpu.tuning.choose(
    () =>
      shapeBucket(
        `weight gradient ${shape.kernelY}x${shape.kernelX}/${shape.stride}`,
        [
          shape.inChannels,
          shape.outChannels,
          shape.images * shape.outHeight * shape.outWidth,
          shape.outWidth,
        ],
      ),
    weightGradientVariants(gpu.facts, shape),
  );
  const rows = shape.images * shape.outHeight;
  const [groupsX, groupsY] = variant.grid;
  const splits = weightGradientSplits(gpu, groupsX * groupsY, rows, shape.outWidth);
  const rowsPerSplit = Math.ceil(rows / splits);
  const partial = Tensor.create(gpu, [Math.ceil(rows / rowsPerSplit), shape.outChannels, depth]);
  gpu.stream.dispatch({
    ...variant,
    buffers: { input, gradOutput, partial },
    params: { ...shape, rowsPerSplit },
    grid: [groupsX, groupsY, partial.shape[0]],
    work: { flops: 2 * rows * shape.outWidth * shape.outChannels * depth, tag },
  });
  gpu.stream.dispatch({
    kernel: sumPartialsKernel,
    buffers: { partial, gradient },
    params: {
      splits: partial.shape[0],
      rows: shape.outChannels,
      columns: depth,
      storedRow: shape.storedInChannels * taps,
    },
    grid: linearGrid(shape.outChannels * depth, 64),
    // Part of the variant's cost: it decides about the number of splits.
    work: { bytes: 4 * (partial.length + 2 * shape.outChannels * depth), tag },
  });
  partial.release();
}

/** A 1x1 convolution with stride 1 sees each plane as one long row, which spares the kernel the turns of many short ones. */
function asRows(shape: ConvolutionShape): ConvolutionShape {
  const { kernelY, kernelX, stride, paddingY, paddingX, inHeight, inWidth } = shape;
  if (kernelY * kernelX !== 1 || stride !== 1 || paddingY !== 0 || paddingX !== 0) return shape;
  const positions = inHeight * inWidth;
  if (positions > loopIterations / 4) return shape;
  return { ...shape, inHeight: 1, inWidth: positions, outHeight: 1, outWidth: positions };
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
