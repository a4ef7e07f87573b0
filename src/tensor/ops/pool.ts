/** Max-pooling and global average pooling. */
import { blockedSum, loop, sumBlock } from "../../gpu/limits.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import type { Tape } from "../tape.ts";
import { Tensor } from "../tensor.ts";
import { outputSize } from "./convolution_geometry.ts";
import { kernel } from "../../gpu/kernel.ts";
import maxPoolSource from "../../../kernels/max_pool.wgsl" with { type: "text" };
import maxPoolPlacesSource from "../../../kernels/max_pool_places.wgsl" with { type: "text" };
import maxPoolGradientSource from "../../../kernels/max_pool_gradient.wgsl" with { type: "text" };
import globalAveragePoolSource from "../../../kernels/global_average_pool.wgsl" with { type: "text" };
import globalAveragePoolGradientSource from "../../../kernels/global_average_pool_gradient.wgsl" with {
  type: "text",
};
import pool_params from "../../../kernels/include/pool_params.wgsl" with { type: "text" };
import order from "../../../kernels/include/order.wgsl" with { type: "text" };
import pool_window from "../../../kernels/include/pool_window.wgsl" with { type: "text" };

const maxPoolKernel = kernel("max_pool", maxPoolSource, { pool_params, order, pool_window });
const maxPoolPlacesKernel = kernel("max_pool_places", maxPoolPlacesSource, {
  pool_params,
  order,
  pool_window,
});
const maxPoolGradientKernel = kernel("max_pool_gradient", maxPoolGradientSource, { pool_params });
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
  const windowTurns = { rounds: window, each: 1 + loop(Math.min(window, inWidth)) };
  // Windows that cover an input, along one axis.
  const covering = Math.ceil(window / stride);
  const output = tape.create([images, channels, outHeight, outWidth]);
  stream.dispatch({
    kernel: maxPoolKernel,
    buffers: { input, output },
    params,
    grid: linearGrid(output.length, 64),
    turns: windowTurns,
    work: { bytes: input.byteLength + output.byteLength },
  });
  const backward = (gradOutput: Tensor) => {
    const target = tape.gradientOf(input);
    if (!target) return;
    using places = Tensor.create(tape.gpu, output.shape);
    stream.dispatch({
      kernel: maxPoolPlacesKernel,
      buffers: { input, places },
      params,
      grid: linearGrid(output.length, 64),
      turns: windowTurns,
      work: { bytes: input.byteLength + output.byteLength },
    });
    stream.dispatch({
      kernel: maxPoolGradientKernel,
      buffers: { places, gradOutput, gradInput: target.tensor },
      params: { ...params, accumulate: target.accumulate ? 1 : 0 },
      grid: linearGrid(input.length, 64),
      turns: { rounds: Math.min(covering, outHeight), each: 1 + loop(Math.min(covering, outWidth)) },
      work: { bytes: input.byteLength + 2 * output.byteLength },
    });
  };
  tape.record({ operation: "maxPool", result: output, inputs: [input], backward });
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
    constants: { BLOCK: sumBlock },
    buffers: { input, output },
    params,
    grid: linearGrid(params.rows, 64),
    turns: blockedSum(params.plane),
    work: { bytes: input.byteLength + output.byteLength },
  });
  const backward = (gradOutput: Tensor) => {
    const target = tape.gradientOf(input);
    if (!target) return;
    stream.dispatch({
      kernel: globalAveragePoolGradientKernel,
      buffers: { gradOutput, gradInput: target.tensor },
      params: { ...params, accumulate: target.accumulate ? 1 : 0 },
      grid: linearGrid(input.length, 64),
      turns: 0,
      work: { bytes: input.byteLength + output.byteLength },
    });
  };
  tape.record({ operation: "globalAveragePool", result: output, inputs: [input], backward });
  return output;
}
