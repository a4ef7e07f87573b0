/** Clipping gradients by their norm. */
import type { Gpu } from "../../gpu/device.ts";
import { kernel } from "../../gpu/kernel.ts";
import clipFactorSource from "../../../kernels/clip_factor.wgsl" with { type: "text" };
import not_a_number from "../../../kernels/include/not_a_number.wgsl" with { type: "text" };
import { Tensor } from "../tensor.ts";
import { rowProducts } from "./row_products.ts";
import { launchMean } from "./softmax_parts.ts";

const clipFactorKernel = kernel("clip_factor", clipFactorSource, { not_a_number });

/** Elements whose squares one invocation sums; arenas are multiples of it. */
const rowLength = 64;

/**
 * The factor that brings the norm of all gradients together down to a limit, and 1 where it is below.
 * @param gradients each a multiple of 64 elements
 * @returns [1]; the caller owns it
 */
export function gradientScale(gpu: Gpu, gradients: readonly Tensor[], limit: number): Tensor {
  const rows = gradients.map(({ length }) => length / rowLength);
  const count = rows.reduce((sum, length) => sum + length, 0);
  using squares = Tensor.create(gpu, [count]);
  let first = 0;
  gradients.forEach((gradient, index) => {
    const matrix = gradient.view([rows[index], rowLength]);
    using own = rowProducts(gpu, matrix, matrix);
    gpu.stream.copy(own, squares.slice(first, [rows[index]]));
    first += rows[index];
  });
  using mean = Tensor.create(gpu, [1]);
  launchMean(gpu, squares, mean);
  const factor = Tensor.create(gpu, [1]);
  gpu.stream.dispatch({
    kernel: clipFactorKernel,
    buffers: { mean, factor },
    params: { count, limit },
    grid: [1, 1, 1],
    turns: 0,
  });
  return factor;
}
