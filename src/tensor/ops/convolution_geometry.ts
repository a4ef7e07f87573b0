/** Where a convolution and its gradients read and write: the numbers behind kernels/include/convolution_params.wgsl. */
import { ShapeError } from "../../errors.ts";
import { loop, mostLoopTurns, mostRounds } from "../../gpu/limits.ts";

/** Shapes of one convolution; channels are the active ones, `stored…` those of the weight tensor. */
export interface ConvolutionShape {
  images: number;
  inChannels: number;
  inHeight: number;
  inWidth: number;
  outChannels: number;
  outHeight: number;
  outWidth: number;
  storedInChannels: number;
  kernelY: number;
  kernelX: number;
  stride: number;
  paddingY: number;
  paddingX: number;
  dilation: number;
}

/** Output size along one axis: floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1. */
export function outputSize(
  size: number,
  kernel: number,
  stride: number,
  padding: number,
  dilation = 1,
): number {
  const output = Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
  if (output < 1) {
    throw new ShapeError(
      `a window of ${dilation * (kernel - 1) + 1} does not fit into ${size} + 2 x ${padding}`,
    );
  }
  return output;
}

/** Parameters of one launch of `convolution` or `convolution_rows`. */
export type ConvolutionParams = Record<
  | "images"
  | "inChannels"
  | "inHeight"
  | "inWidth"
  | "inBase"
  | "inImage"
  | "outChannels"
  | "outHeight"
  | "outWidth"
  | "tapsY"
  | "tapsX"
  | "inStride"
  | "inOffsetY"
  | "inOffsetX"
  | "inStepY"
  | "inStepX"
  | "weightBase"
  | "weightOut"
  | "weightIn"
  | "weightTapY"
  | "weightTapX"
  | "outBase"
  | "outPlane"
  | "outRow"
  | "outColumn"
  | "accumulate",
  number
>;

/** The forward pass. */
export function forwardParams(shape: ConvolutionShape): ConvolutionParams {
  const taps = shape.kernelY * shape.kernelX;
  return {
    images: shape.images,
    inChannels: shape.inChannels,
    inHeight: shape.inHeight,
    inWidth: shape.inWidth,
    inBase: 0,
    inImage: shape.inChannels * shape.inHeight * shape.inWidth,
    outChannels: shape.outChannels,
    outHeight: shape.outHeight,
    outWidth: shape.outWidth,
    tapsY: shape.kernelY,
    tapsX: shape.kernelX,
    inStride: shape.stride,
    inOffsetY: -shape.paddingY,
    inOffsetX: -shape.paddingX,
    inStepY: shape.dilation,
    inStepX: shape.dilation,
    weightBase: 0,
    weightOut: shape.storedInChannels * taps,
    weightIn: taps,
    weightTapY: shape.kernelX,
    weightTapX: 1,
    outBase: 0,
    outPlane: shape.outHeight * shape.outWidth,
    outRow: shape.outWidth,
    outColumn: 1,
    accumulate: 0,
  };
}

interface AxisPhase {
  taps: number;
  offset: number;
  step: number;
  lastTap: number;
  tapStep: number;
  outputs: number;
}

/**
 * One axis of one phase of the input gradient. Positions y = phase + stride * j receive gradients through those taps
 * for which (y + padding - tap * dilation) is a multiple of the stride; they are every `tapStep`-th tap. Walking them
 * from the last to the first makes the rows of the output gradient ascend.
 */
function axisPhase(
  size: number,
  kernel: number,
  stride: number,
  padding: number,
  dilation: number,
  phase: number,
): AxisPhase {
  const taps = Array.from({ length: kernel }, (_, tap) => tap)
    .filter((tap) => (phase + padding - tap * dilation) % stride === 0);
  const lastTap = taps.at(-1) ?? 0;
  const tapStep = taps.length > 1 ? taps[1] - taps[0] : 1;
  return {
    taps: taps.length,
    offset: taps.length > 0 ? (phase + padding - lastTap * dilation) / stride : 0,
    // Of a single tap nothing is a step away.
    step: taps.length > 1 ? tapStep * dilation / stride : 1,
    lastTap,
    tapStep,
    outputs: Math.ceil((size - phase) / stride),
  };
}

/**
 * The gradient of the input: for each of the stride x stride phases of input positions one dense convolution over the
 * output's gradient, with the weights transposed and the taps reversed. Phases that hold no position are left out.
 */
export function inputGradientParams(shape: ConvolutionShape, accumulate: boolean): ConvolutionParams[] {
  const { stride, dilation, kernelY, kernelX, inHeight, inWidth } = shape;
  const taps = kernelY * kernelX;
  const launches: ConvolutionParams[] = [];
  for (let phaseY = 0; phaseY < Math.min(stride, inHeight); phaseY++) {
    for (let phaseX = 0; phaseX < Math.min(stride, inWidth); phaseX++) {
      const y = axisPhase(inHeight, kernelY, stride, shape.paddingY, dilation, phaseY);
      const x = axisPhase(inWidth, kernelX, stride, shape.paddingX, dilation, phaseX);
      if (accumulate && y.taps * x.taps === 0) continue;
      launches.push({
        images: shape.images,
        inChannels: shape.outChannels,
        inHeight: shape.outHeight,
        inWidth: shape.outWidth,
        inBase: 0,
        inImage: shape.outChannels * shape.outHeight * shape.outWidth,
        outChannels: shape.inChannels,
        outHeight: y.outputs,
        outWidth: x.outputs,
        tapsY: y.taps,
        tapsX: x.taps,
        inStride: 1,
        inOffsetY: y.offset,
        inOffsetX: x.offset,
        inStepY: y.step,
        inStepX: x.step,
        weightBase: y.lastTap * kernelX + x.lastTap,
        weightOut: taps,
        weightIn: shape.storedInChannels * taps,
        weightTapY: -y.tapStep * kernelX,
        weightTapX: -x.tapStep,
        outBase: phaseY * inWidth + phaseX,
        outPlane: inHeight * inWidth,
        outRow: stride * inWidth,
        outColumn: stride,
        accumulate: accumulate ? 1 : 0,
      });
    }
  }
  return launches;
}

/** Turns of the loops of a launch, at most: what variants walk several channels at a time take fewer. */
export function convolutionTurns({ tapsY, tapsX, inChannels }: ConvolutionParams): number {
  return loop(tapsY, loop(tapsX, loop(inChannels)));
}

/**
 * The same work in launches that each sum over so few input channels, and of filters with very many taps over so few of
 * their rows, that no loop becomes too long; the second and later ones add to the output.
 */
export function splitSums(params: ConvolutionParams): ConvolutionParams[] {
  const { inChannels, tapsY, tapsX, inHeight, inWidth } = params;
  const mostRows = Math.max(1, Math.min(tapsY, mostRounds(1 + loop(tapsX, loop(1)))));
  let most = inChannels;
  if (loop(mostRows, loop(tapsX, loop(most))) > mostLoopTurns) {
    most = Math.max(1, Math.floor((Math.floor((mostLoopTurns - 1) / mostRows) - 2) / tapsX) - 2);
    // Parts of four channels, which the fast kernels load at once.
    if (most > 4) most -= most % 4;
  }
  const launches: ConvolutionParams[] = [];
  for (let firstRow = 0; firstRow < Math.max(1, tapsY); firstRow += mostRows) {
    for (let first = 0; first < inChannels; first += most) {
      launches.push({
        ...params,
        tapsY: Math.min(mostRows, tapsY - firstRow),
        inChannels: Math.min(most, inChannels - first),
        inOffsetY: params.inOffsetY + firstRow * params.inStepY,
        inBase: params.inBase + first * inHeight * inWidth,
        weightBase: params.weightBase + firstRow * params.weightTapY + first * params.weightIn,
        accumulate: launches.length === 0 ? params.accumulate : 1,
      });
    }
  }
  return launches;
}
