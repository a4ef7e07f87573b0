/**
 * Transposed convolution, by the kernels of convolutions: what it computes is the input gradient of the convolution with the
 * same weight from its output to its input, and so its own gradients are that convolution and its weight gradient.
 */
import { ShapeError } from "../../errors.ts";
import type { Parameter } from "../parameter.ts";
import type { Tape } from "../tape.ts";
import { expectShape, type Tensor } from "../tensor.ts";
import { launchBiasGradient } from "./bias.ts";
import { type ConvolutionShape, forwardParams, inputGradientParams } from "./convolution_geometry.ts";
import { launchConvolution, launchWeightGradient } from "./convolution_launch.ts";

/** How a transposed convolution spreads its input. */
export interface TransposedConvolutionOptions {
  /** Active output channels: the first so many of the stored weight. Default: all. */
  readonly outChannels?: number;
  /** Rows and columns of the output between the windows of neighbouring inputs. Default 1. */
  readonly stride?: number;
  /** Rows and columns that are cut off at each side of the output. Default 0. */
  readonly padding?: number;
  /** Stored [>= outChannels]; added to each channel. */
  readonly bias?: Parameter;
}

/**
 * Adds a window, the weight times the pixel, for every pixel of the input, as `torch.nn.functional.conv_transpose2d`.
 *
 * @param input [N, C, H, W]; its C active channels are the first C input channels of the weight
 * @param weight stored [I, O, kernelY, kernelX] with I >= C and O >= outChannels
 * @returns [N, outChannels, (H - 1) * stride - 2 * padding + kernelY, (W - 1) * stride - 2 * padding + kernelX]
 * @throws {ShapeError} where channels do not fit what is stored, or nothing is left of the output
 */
export function transposedConvolution(
  tape: Tape,
  input: Tensor,
  weight: Parameter,
  options: TransposedConvolutionOptions = {},
): Tensor {
  const { bias } = options;
  const shape = shapeOf(input, weight, options);
  const { gpu } = tape;
  const output = tape.create([shape.images, shape.inChannels, shape.inHeight, shape.inWidth]);
  for (const params of inputGradientParams(shape, false)) {
    launchConvolution(gpu, input, weight.value, output, params, bias?.value);
  }
  const backward = (gradOutput: Tensor) => {
    const weightTarget = tape.gradientOf(weight);
    if (weightTarget) launchWeightGradient(gpu, gradOutput, input, weightTarget.tensor, shape);
    const biasTarget = bias && tape.gradientOf(bias);
    if (biasTarget) launchBiasGradient(gpu, gradOutput, biasTarget.tensor);
    const target = tape.gradientOf(input);
    if (!target) return;
    const params = { ...forwardParams(shape), accumulate: target.accumulate ? 1 : 0 };
    launchConvolution(gpu, gradOutput, weight.value, target.tensor, params);
  };
  tape.record({
    operation: `transposedConvolution ${weight.name}`,
    result: output,
    inputs: [input, weight, bias],
    backward,
  });
  return output;
}

/** The convolution whose input gradient this is. */
function shapeOf(input: Tensor, weight: Parameter, options: TransposedConvolutionOptions): ConvolutionShape {
  const what = `transposedConvolution ${weight.name}`;
  expectShape(what, "the input", input.shape, [-1, -1, -1, -1]);
  const [images, channels, height, width] = input.shape;
  const [storedIn, storedOut, kernelY, kernelX] = weight.value.shape;
  const { outChannels = storedOut, stride = 1, padding = 0, bias } = options;
  if (channels > storedIn || outChannels > storedOut) {
    throw new ShapeError(
      `${what}: ${channels} -> ${outChannels} channels do not fit the stored [${
        weight.value.shape.join(", ")
      }]`,
    );
  }
  if (bias && outChannels > bias.value.length) {
    throw new ShapeError(`${what}: ${outChannels} channels; the bias ${bias.name} has ${bias.value.length}`);
  }
  const outHeight = (height - 1) * stride - 2 * padding + kernelY;
  const outWidth = (width - 1) * stride - 2 * padding + kernelX;
  if (outHeight < 1 || outWidth < 1) {
    throw new ShapeError(`${what}: nothing is left of ${height}x${width} pixels with padding ${padding}`);
  }
  return {
    images,
    inChannels: outChannels,
    inHeight: outHeight,
    inWidth: outWidth,
    outChannels: channels,
    outHeight: height,
    outWidth: width,
    storedInChannels: storedOut,
    kernelY,
    kernelX,
    stride,
    paddingY: padding,
    paddingX: padding,
    dilation: 1,
  };
}
