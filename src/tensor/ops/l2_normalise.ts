/** Rows scaled to length one. */
import { linearGrid } from "../../gpu/dispatch.ts";
import type { Tape } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { rowProducts } from "./row_products.ts";
import { kernel } from "../../gpu/kernel.ts";
import l2NormaliseSource from "../../../kernels/l2_normalise.wgsl" with { type: "text" };
import l2NormaliseGradientSource from "../../../kernels/l2_normalise_gradient.wgsl" with { type: "text" };
import norm from "../../../kernels/include/norm.wgsl" with { type: "text" };
import not_a_number from "../../../kernels/include/not_a_number.wgsl" with { type: "text" };

const l2NormaliseKernel = kernel("l2_normalise", l2NormaliseSource, { norm, not_a_number });
const l2NormaliseGradientKernel = kernel("l2_normalise_gradient", l2NormaliseGradientSource, {
  norm,
  not_a_number,
});

/**
 * output[r] = input[r] / max(|input[r]|, epsilon), as `torch.nn.functional.normalize`. The gradient is that of the
 * first case; a row shorter than epsilon has no direction.
 * @param input [N, D]
 */
export function l2Normalise(tape: Tape, input: Tensor, epsilon = 1e-12): Tensor {
  const { gpu } = tape;
  const [rows, columns] = input.shape;
  const output = tape.create(input.shape);
  const squares = rowProducts(gpu, input, input);
  gpu.stream.dispatch({
    kernel: l2NormaliseKernel,
    buffers: { input, squares, output },
    params: { rows, columns, epsilon },
    grid: linearGrid(input.length, 64),
    turns: 0,
    work: { bytes: 2 * input.byteLength },
  });
  const backward = (gradOutput: Tensor) => {
    const target = tape.gradientOf(input);
    if (!target) return;
    using products = rowProducts(gpu, output, gradOutput);
    gpu.stream.dispatch({
      kernel: l2NormaliseGradientKernel,
      buffers: { output, gradOutput, squares, products, gradInput: target.tensor },
      params: { rows, columns, epsilon, accumulate: target.accumulate ? 1 : 0 },
      grid: linearGrid(input.length, 64),
      turns: 0,
      work: { bytes: 3 * input.byteLength },
    });
  };
  tape.record({ operation: "l2Normalise", result: output, inputs: [input], saved: [squares], backward });
  return output;
}
