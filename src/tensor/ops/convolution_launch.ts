/** Launching the convolution kernels. */
import type { Gpu } from "../../gpu/device.ts";
import { loop, mostLoopTurns, mostRounds } from "../../gpu/limits.ts";
import { shapeBucket } from "../../gpu/tuning.ts";
import { Tensor } from "../tensor.ts";
import {
  type ConvolutionParams,
  type ConvolutionShape,
  convolutionTurns,
  splitSums,
} from "./convolution_geometry.ts";
import { convolutionVariants, weightGradientVariants } from "./convolution_variants.ts";
import { launchSumPartials } from "./sum_partials.ts";

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
  splitSums(params).forEach((part, index) => {
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
      turns: convolutionTurns(part),
      work: {
        flops: 2 * pixels * params.outChannels * part.inChannels * part.tapsY * part.tapsX,
        tag,
      },
    });
  });
}

/** What decides about the variants of a launch beside sizes, e.g. `convolution 3x3/1`. */
function describeKind(params: ConvolutionParams, bias: boolean): string {
  const { tapsY, tapsX, inStride, inStepX, outColumn, weightOut, weightIn } = params;
  return [
    `convolution ${tapsY}x${tapsX}/${inStride}`,
    ...dilatedBy(inStepX),
    ...(weightOut < weightIn ? ["transposed"] : []),
    ...(outColumn > 1 ? ["scattered"] : []),
    ...(bias ? ["with bias"] : []),
  ].join(" ");
}

function dilatedBy(dilation: number): string[] {
  return dilation === 1 ? [] : [`dilated ${dilation}`];
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
        [`weight gradient ${shape.kernelY}x${shape.kernelX}/${shape.stride}`, ...dilatedBy(shape.dilation)]
          .join(" "),
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
  const splits = weightGradientSplits(gpu, groupsX * groupsY, rows, shape);
  const rowsPerSplit = Math.ceil(rows / splits);
  using partial = Tensor.create(gpu, [Math.ceil(rows / rowsPerSplit), shape.outChannels, depth]);
  gpu.stream.dispatch({
    ...variant,
    buffers: { input, gradOutput, partial },
    params: { ...shape, rowsPerSplit },
    grid: [groupsX, groupsY, partial.shape[0]],
    turns: loop(rowsPerSplit, rowTurns(shape)),
    work: { flops: 2 * rows * shape.outWidth * shape.outChannels * depth, tag },
  });
  // Part of the variant's cost: it decides about the number of splits.
  launchSumPartials(partial, { tensor: gradient, accumulate: true }, {
    storedRow: shape.storedInChannels * taps,
    tag,
  });
}

/** A 1x1 convolution with stride 1 sees each plane as one long row, which spares the kernel the turns of many short ones. */
function asRows(shape: ConvolutionShape): ConvolutionShape {
  const { kernelY, kernelX, stride, paddingY, paddingX, inHeight, inWidth } = shape;
  if (kernelY * kernelX !== 1 || stride !== 1 || paddingY !== 0 || paddingX !== 0) return shape;
  const positions = inHeight * inWidth;
  if (positions > mostLoopTurns / 4) return shape;
  return { ...shape, inHeight: 1, inWidth: positions, outHeight: 1, outWidth: positions };
}

/** Turns along one row of the output's gradient, at most. */
function rowTurns({ outWidth, dilation }: ConvolutionShape): number {
  return dilation === 1 ? loop(outWidth) : loop(dilation, loop(Math.ceil(outWidth / dilation)));
}

/**
 * Enough workgroups to fill the device, but at least 64 positions a split, or the parts cost more than the sum; and more
 * where a split's loop would become too long.
 */
function weightGradientSplits(gpu: Gpu, groups: number, rows: number, shape: ConvolutionShape): number {
  const wantedGroups = gpu.facts.software ? 16 : 1024;
  const splits = Math.ceil(wantedGroups / groups);
  const least = Math.ceil(rows / Math.max(1, mostRounds(1 + rowTurns(shape))));
  return Math.max(least, Math.min(splits, Math.floor(rows * shape.outWidth / 64), rows, 1024));
}
