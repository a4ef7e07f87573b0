/** Max-pooling and global average pooling. */
import { linearGrid } from "../../gpu/stream.ts";
import type { Tape } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { outputSize } from "./convolution_geometry.ts";
import maxPoolSource from "../../../kernels/max_pool.wgsl" with { type: "text" };
import poolParamsInclude from "../../../kernels/include/pool_params.wgsl" with { type: "text" };
import maxPoolGradientSource from "../../../kernels/max_pool_gradient.wgsl" with { type: "text" };
import globalAveragePoolSource from "../../../kernels/global_average_pool.wgsl" with { type: "text" };
import globalAveragePoolGradientSource from "../../../kernels/global_average_pool_gradient.wgsl" with {
  type: "text",
};
import { kernel } from "../../gpu/kernel.ts";

const maxPoolKernel = kernel("max_pool", maxPoolSource, { pool_params: poolParamsInclude });
const maxPoolGradientKernel = kernel("max_pool_gradient", maxPoolGradientSource, {
  pool_params: poolParamsInclude,
});
const globalAveragePoolKernel = kernel("global_average_pool", globalAveragePoolSource);
const globalAveragePoolGradientKernel = kernel(
  "global_average_pool_gradient",
  globalAveragePoolGradientSource,
);

/**
 * Largest value of each window, as `torch.nn.functional.max_pool2d`.
 * @param input [N, C, H, W]
 * @returns [N, C, outHeight, outWidth]
 */
export function maxPool(tape: Tape, input: Tensor, window: number, stride: number, padding: number): Tensor {
  const [images, channels, inHeight, inWidth] = input.shape;
  const outHeight = outputSize(inHeight, window, stride, padding);
  const outWidth = outputSize(inWidth, window, stride, padding);
  const { stream } = tape.gpu;
  const params = {
    planes: images * channels,
    inHeight,
    inWidth,
    outHeight,
    outWidth,
    window,
    stride,
    padding,
    accumulate: 0,
  };
  const output = tape.create([images, channels, outHeight, outWidth]);
  stream.dispatch({
    kernel: maxPoolKernel,
    buffers: { input, output },
    params,
    grid: linearGrid(output.length, 64),
    work: { bytes: input.byteLength + output.byteLength },
  });
  tape.record(output, (gradOutput) => {
    const target = tape.gradientOf(input);
    if (!target) return;
    stream.dispatch({
      kernel: maxPoolGradientKernel,
      buffers: { input, gradOutput, gradInput: target.tensor },
      params: { ...params, accumulate: target.accumulate ? 1 : 0 },
      grid: linearGrid(input.length, 64),
      work: { bytes: 2 * input.byteLength + output.byteLength },
    });
  });
  return output;
}

/**
 * Mean of each channel over its positions.
 * @param input [N, C, H, W]
 * @returns [N, C]
 */
export function globalAveragePool(tape: Tape, input: Tensor): Tensor {
  const [images, channels, height, width] = input.shape;
  const { stream } = tape.gpu;
  const params = { rows: images * channels, plane: height * width };
  const output = tape.create([images, channels]);
  stream.dispatch({
    kernel: globalAveragePoolKernel,
    buffers: { input, output },
    params,
    grid: linearGrid(params.rows, 64),
    work: { bytes: input.byteLength + output.byteLength },
  });
  tape.record(output, (gradOutput) => {
    const target = tape.gradientOf(input);
    if (!target) return;
    stream.dispatch({
      kernel: globalAveragePoolGradientKernel,
      buffers: { gradOutput, gradInput: target.tensor },
      params: { ...params, accumulate: target.accumulate ? 1 : 0 },
      grid: linearGrid(input.length, 64),
      work: { bytes: input.byteLength + output.byteLength },
    });
  });
  return output;
}
