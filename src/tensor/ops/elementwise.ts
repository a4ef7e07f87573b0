/** Operations element by element; on scalars, the arithmetic of losses. */
import { ShapeError } from "../../errors.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { addGradient } from "../gradient_target.ts";
import type { Tape } from "../tape.ts";
import { expectShape, type Tensor } from "../tensor.ts";
import { scaleKernel } from "../gradient_target.ts";
import { kernel } from "../../gpu/kernel.ts";
import reluSource from "../../../kernels/relu.wgsl" with { type: "text" };
import reluGradientSource from "../../../kernels/relu_gradient.wgsl" with { type: "text" };
import addSource from "../../../kernels/add.wgsl" with { type: "text" };
import rectifier from "../../../kernels/include/rectifier.wgsl" with { type: "text" };

const reluKernel = kernel("relu", reluSource, { rectifier });
const reluGradientKernel = kernel("relu_gradient", reluGradientSource, { rectifier });
const addKernel = kernel("add", addSource);

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
    turns: 0,
    work: { bytes: 2 * input.byteLength },
  });
  const backward = (gradOutput: Tensor) => {
    const target = tape.gradientOf(input);
    if (!target) return;
    stream.dispatch({
      kernel: reluGradientKernel,
      buffers: { output, gradOutput, gradInput: target.tensor },
      params: { count, accumulate: target.accumulate ? 1 : 0 },
      grid: linearGrid(count, 64),
      turns: 0,
      work: { bytes: 3 * input.byteLength },
    });
  };
  tape.record({ operation: "relu", result: output, inputs: [input], backward });
  return output;
}

/** a + b, two tensors of one shape. */
export function add(tape: Tape, a: Tensor, b: Tensor): Tensor {
  expectShape("add", "the second tensor", b.shape, a.shape);
  const count = a.length;
  const output = tape.create(a.shape);
  tape.gpu.stream.dispatch({
    kernel: addKernel,
    buffers: { a, b, output },
    params: { count },
    grid: linearGrid(count, 64),
    turns: 0,
    work: { bytes: 3 * a.byteLength },
  });
  const backward = (gradOutput: Tensor) => {
    for (const input of [a, b]) {
      const target = tape.gradientOf(input);
      if (target) addGradient(target, gradOutput);
    }
  };
  tape.record({ operation: "add", result: output, inputs: [a, b], backward });
  return output;
}

/** factor * input, for an input of any shape; the weight of a loss. */
export function scale(tape: Tape, input: Tensor, factor: number): Tensor {
  const count = input.length;
  const output = tape.create(input.shape);
  tape.gpu.stream.dispatch({
    kernel: scaleKernel,
    constants: { SCALAR: false },
    buffers: { input, output },
    params: { count, factor, accumulate: 0 },
    grid: linearGrid(count, 64),
    turns: 0,
    work: { bytes: 2 * input.byteLength },
  });
  const backward = (gradOutput: Tensor) => {
    const target = tape.gradientOf(input);
    if (target) addGradient(target, gradOutput, factor);
  };
  tape.record({ operation: "scale", result: output, inputs: [input], backward });
  return output;
}

/**
 * Mean of tensors of one shape, element by element; of losses, e.g. of several views.
 * @throws {ShapeError} for none
 */
export function average(tape: Tape, tensors: readonly Tensor[]): Tensor {
  if (tensors.length === 0) throw new ShapeError("average: no tensors");
  return scale(tape, tensors.reduce((sum, tensor) => add(tape, sum, tensor)), 1 / tensors.length);
}
