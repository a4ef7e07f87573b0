/** 2-D convolution over the leading channels of a stored weight, with its gradients. */
import { ShapeError } from "../../errors.ts";
import type { Parameter } from "../parameter.ts";
import type { Tape } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { launchBiasGradient } from "./bias.ts";
import {
  type ConvolutionShape,
  forwardParams,
  inputGradientParams,
  outputSize,
} from "./convolution_geometry.ts";
import { launchConvolution, launchWeightGradient } from "./convolution_launch.ts";

/** How a convolution moves over its input. */
export interface ConvolutionOptions {
  /** Active output channels: the first so many of the stored weight. Default: all. */
  outChannels?: number;
  stride?: number;
  /** Zeros around the input, one number or [rows, columns]. */
  padding?: number | readonly [number, number];
  dilation?: number;
  /** Stored [>= outChannels]; added to each channel. */
  bias?: Parameter;
}

/**
 * Cross-correlation, as `torch.nn.functional.conv2d`.
 *
 * @param input [N, C, H, W]; its C active channels are the first C input channels of the weight
 * @param weight stored [O, I, kernelY, kernelX] with O >= outChannels and I >= C
 * @returns [N, outChannels, outHeight, outWidth]
 */
export function convolution(
  tape: Tape,
  input: Tensor,
  weight: Parameter,
  options: ConvolutionOptions = {},
): Tensor {
  const shape = convolutionShape(input, weight, options);
  const { bias } = options;
  const { gpu } = tape;
  const output = tape.create([shape.images, shape.outChannels, shape.outHeight, shape.outWidth]);
  launchConvolution(gpu, input, weight.value, output, forwardParams(shape), bias?.value);
  const backward = (gradOutput: Tensor) => {
    const weightTarget = tape.gradientOf(weight);
    if (weightTarget) launchWeightGradient(gpu, input, gradOutput, weightTarget.tensor, shape);
    const biasTarget = bias && tape.gradientOf(bias);
    if (biasTarget) launchBiasGradient(gpu, gradOutput, biasTarget.tensor);
    const target = tape.gradientOf(input);
    if (!target) return;
    for (const params of inputGradientParams(shape, target.accumulate)) {
      launchConvolution(gpu, gradOutput, weight.value, target.tensor, params);
    }
  };
  tape.record({
    operation: `convolution ${weight.name}`,
    result: output,
    inputs: [input, weight, bias],
    backward,
  });
  return output;
}

function convolutionShape(input: Tensor, weight: Parameter, options: ConvolutionOptions): ConvolutionShape {
  const [images, inChannels, inHeight, inWidth] = input.shape;
  const [storedOut, storedInChannels, kernelY, kernelX] = weight.value.shape;
  const { outChannels = storedOut, stride = 1, padding = 0, dilation = 1 } = options;
  const [paddingY, paddingX] = typeof padding === "number" ? [padding, padding] : padding;
  if (inChannels > storedInChannels || outChannels > storedOut) {
    throw new ShapeError(
      `convolution ${weight.name}: ${inChannels} -> ${outChannels} channels do not fit the stored ` +
        `[${weight.value.shape.join(", ")}]`,
    );
  }
  if (options.bias && outChannels > options.bias.value.length) {
    throw new ShapeError(
      `convolution ${options.bias.name}: ${outChannels} channels; the bias has ${options.bias.value.length}`,
    );
  }
  const outHeight = outputSize(inHeight, kernelY, stride, paddingY, dilation);
  const outWidth = outputSize(inWidth, kernelX, stride, paddingX, dilation);
  return {
    images,
    inChannels,
    inHeight,
    inWidth,
    outChannels,
    outHeight,
    outWidth,
    storedInChannels,
    kernelY,
    kernelX,
    stride,
    paddingY,
    paddingX,
    dilation,
  };
}
