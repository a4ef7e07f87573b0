/** Operations element by element. */
import { linearGrid } from "../../gpu/stream.ts";
import type { Tape } from "../tape.ts";
import { expectShape, type Tensor } from "../tensor.ts";
import reluSource from "../../../kernels/relu.wgsl" with { type: "text" };
import reluGradientSource from "../../../kernels/relu_gradient.wgsl" with { type: "text" };
import scaledSumSource from "../../../kernels/scaled_sum.wgsl" with { type: "text" };
import { kernel } from "../../gpu/kernel.ts";

const reluKernel = kernel("relu", reluSource);
const reluGradientKernel = kernel("relu_gradient", reluGradientSource);
const scaledSumKernel = kernel("scaled_sum", scaledSumSource);

/** max(input, 0), for an input of any shape. */
export function relu(tape: Tape, input: Tensor): Tensor {
  const { stream } = tape.gpu;
  const count = input.length;
  const output = tape.create(input.shape);
  stream.dispatch({
    kernel: reluKernel,
    buffers: { input, output },
    params: { count },
    grid: linearGrid(count, 64),
    work: { bytes: 2 * input.byteLength },
  });
  tape.record(output, (gradOutput) => {
    const target = tape.gradientOf(input);
    if (!target) return;
    stream.dispatch({
      kernel: reluGradientKernel,
      buffers: { output, gradOutput, gradInput: target.tensor },
      params: { count, accumulate: target.accumulate ? 1 : 0 },
      grid: linearGrid(count, 64),
      work: { bytes: 3 * input.byteLength },
    });
  });
  return output;
}

/** a + b, two tensors of one shape. */
export function add(tape: Tape, a: Tensor, b: Tensor): Tensor {
  expectShape("add", "the second tensor", b.shape, a.shape);
  const { stream } = tape.gpu;
  const count = a.length;
  const output = tape.create(a.shape);
  stream.dispatch({
    kernel: scaledSumKernel,
    constants: { ACCUMULATE: false },
    buffers: { a, b, output },
    params: { count, scale: 1 },
    grid: linearGrid(count, 64),
    work: { bytes: 3 * a.byteLength },
  });
  tape.record(output, (gradOutput) => {
    for (const input of [a, b]) {
      const target = tape.gradientOf(input);
      if (!target) continue;
      if (!target.accumulate) stream.copy(gradOutput, target.tensor);
      else {
        stream.dispatch({
          kernel: scaledSumKernel,
          constants: { ACCUMULATE: true },
          buffers: { b: gradOutput, output: target.tensor },
          params: { count, scale: 1 },
          grid: linearGrid(count, 64),
          work: { bytes: 3 * a.byteLength },
        });
      }
    }
  });
  return output;
}
