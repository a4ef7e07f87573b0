/** A linear layer over the leading input features of a stored weight. */
import { ShapeError } from "../../errors.ts";
import type { Parameter } from "../parameter.ts";
import type { Tape } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { type ConvolutionShape, forwardParams, inputGradientParams } from "./convolution_geometry.ts";
import { launchConvolution, launchWeightGradient } from "./convolution_launch.ts";
import sumRowsSource from "../../../kernels/sum_rows.wgsl" with { type: "text" };
import { kernel } from "../../gpu/kernel.ts";

const sumRowsKernel = kernel("sum_rows", sumRowsSource);

/** A matrix product [rows, inner] x [outer, inner]^T as a 1x1 convolution over images of one pixel. */
export function productShape(
  rows: number,
  inner: number,
  outer: number,
  storedInner: number,
): ConvolutionShape {
  return {
    images: rows,
    inChannels: inner,
    inHeight: 1,
    inWidth: 1,
    outChannels: outer,
    outHeight: 1,
    outWidth: 1,
    storedInChannels: storedInner,
    kernelY: 1,
    kernelX: 1,
    stride: 1,
    paddingY: 0,
    paddingX: 0,
    dilation: 1,
  };
}

/**
 * output = input weight^T + bias, as `torch.nn.functional.linear`.
 *
 * @param input [N, F]; its F features are the first F columns of the weight
 * @param weight stored [O, >= F]
 * @param bias [O]
 * @returns [N, O]
 */
export function linear(tape: Tape, input: Tensor, weight: Parameter, bias: Parameter): Tensor {
  const [rows, features] = input.shape;
  const [outputs, stored] = weight.value.shape;
  if (features > stored) {
    throw new ShapeError(`linear ${weight.name}: ${features} features; the stored weight has ${stored}`);
  }
  const { gpu } = tape;
  const shape = productShape(rows, features, outputs, stored);
  const output = tape.create([rows, outputs]);
  launchConvolution(gpu, input, weight.value, output, forwardParams(shape), bias.value);
  tape.record(output, (gradOutput) => {
    if (weight.gradient) launchWeightGradient(gpu, input, gradOutput, weight.gradient, shape);
    if (bias.gradient) {
      gpu.stream.dispatch({
        kernel: sumRowsKernel,
        buffers: { input: gradOutput, sums: bias.gradient },
        params: { rows, columns: outputs },
        grid: [Math.ceil(outputs / 64), 1, 1],
        work: { bytes: gradOutput.byteLength + 8 * outputs },
      });
    }
    const target = tape.gradientOf(input);
    if (!target) return;
    for (const params of inputGradientParams(shape, target.accumulate)) {
      launchConvolution(gpu, gradOutput, weight.value, target.tensor, params);
    }
  });
  return output;
}
