/** Memory that gradients are put into, and the two ways to fill it that need no operation of their own. */
import { linearGrid } from "../gpu/dispatch.ts";
import type { Tensor } from "./tensor.ts";
import { type Kernel, kernel } from "../gpu/kernel.ts";
import scaleSource from "../../kernels/scale.wgsl" with { type: "text" };
import fillSource from "../../kernels/fill.wgsl" with { type: "text" };

export const scaleKernel: Kernel = kernel("scale", scaleSource);
const fillKernel = kernel("fill", fillSource);

/** Memory for a gradient: `accumulate` says whether it already holds a contribution that must be added to. */
export interface GradientTarget {
  readonly tensor: Tensor;
  readonly accumulate: boolean;
}

/**
 * Puts a multiple of a gradient into its target.
 * @param factor known on the host
 * @param scalar another factor, on the device, [1]
 */
export function addGradient(
  { tensor, accumulate }: GradientTarget,
  gradient: Tensor,
  factor = 1,
  scalar?: Tensor,
): void {
  const { stream } = tensor.gpu;
  if (!accumulate && factor === 1 && !scalar) {
    stream.copy(gradient, tensor);
    return;
  }
  stream.dispatch({
    kernel: scaleKernel,
    constants: { SCALAR: scalar !== undefined },
    buffers: { input: gradient, scalar, output: tensor },
    params: { count: tensor.length, factor, accumulate: accumulate ? 1 : 0 },
    grid: linearGrid(tensor.length, 64),
    turns: 0,
    work: { bytes: (accumulate ? 3 : 2) * tensor.byteLength },
  });
}

/** Puts one number into all elements of a gradient's target. */
export function addConstant({ tensor, accumulate }: GradientTarget, value: number): void {
  tensor.gpu.stream.dispatch({
    kernel: fillKernel,
    buffers: { output: tensor },
    params: { count: tensor.length, value, accumulate: accumulate ? 1 : 0 },
    grid: linearGrid(tensor.length, 64),
    turns: 0,
    work: { bytes: tensor.byteLength },
  });
}
