/** Rows in another order. */
import { linearGrid } from "../../gpu/dispatch.ts";
import type { Tape } from "../tape.ts";
import { expectShape, type Tensor } from "../tensor.ts";
import { kernel } from "../../gpu/kernel.ts";
import gatherRowsSource from "../../../kernels/gather_rows.wgsl" with { type: "text" };
import gatherRowsGradientSource from "../../../kernels/gather_rows_gradient.wgsl" with { type: "text" };

const gatherRowsKernel = kernel("gather_rows", gatherRowsSource);
const gatherRowsGradientKernel = kernel("gather_rows_gradient", gatherRowsGradientSource);

/**
 * output[r] = input[order[r]], as `torch.index_select`; a row may be taken several times.
 *
 * @param input [N, ...]
 * @param order [R] as unsigned integers below N
 * @returns [R, ...]
 */
export function gatherRows(tape: Tape, input: Tensor, order: Tensor): Tensor {
  expectShape("gatherRows", "the order", order.shape, [-1]);
  const { stream } = tape.gpu;
  const [inputRows, ...rest] = input.shape;
  const [rows] = order.shape;
  const columns = input.length / inputRows;
  const output = tape.create([rows, ...rest]);
  stream.dispatch({
    kernel: gatherRowsKernel,
    buffers: { input, order, output },
    params: { rows, columns },
    grid: linearGrid(output.length, 64),
    turns: 0,
    work: { bytes: 2 * output.byteLength },
  });
  const backward = (gradOutput: Tensor) => {
    const target = tape.gradientOf(input);
    if (!target) return;
    stream.dispatch({
      kernel: gatherRowsGradientKernel,
      buffers: { gradOutput, order, gradInput: target.tensor },
      params: { inputRows, columns, accumulate: target.accumulate ? 1 : 0 },
      grid: linearGrid(input.length, 64),
      turns: { rounds: rows, each: 1 },
      work: { bytes: input.byteLength + output.byteLength },
    });
  };
  tape.record({ operation: "gatherRows", result: output, inputs: [input], backward });
  return output;
}
