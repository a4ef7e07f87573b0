/** What all losses over a softmax begin and end with. */
import type { Gpu } from "../../gpu/device.ts";
import { kernel } from "../../gpu/kernel.ts";
import { blockedSum, loop, mostRounds, sumBlock } from "../../gpu/limits.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import exponential from "../../../kernels/include/exponential.wgsl" with { type: "text" };
import not_a_number from "../../../kernels/include/not_a_number.wgsl" with { type: "text" };
import meanSource from "../../../kernels/mean.wgsl" with { type: "text" };
import softmaxPartsSource from "../../../kernels/softmax_parts.wgsl" with { type: "text" };
import { Tensor } from "../tensor.ts";

const softmaxPartsKernel = kernel("softmax_parts", softmaxPartsSource, { exponential, not_a_number });
const meanKernel = kernel("mean", meanSource);

/**
 * Partial softmax sums of each row, without the labels' columns where there are labels; see kernels/softmax_parts.wgsl.
 * More segments than usual only where a segment would be longer than an invocation may loop.
 */
export function softmaxParts(gpu: Gpu, logits: Tensor, scale: number, labels?: Tensor): Tensor {
  const [rows, columns] = logits.shape;
  const segments = Math.min(columns, Math.max(64, Math.ceil(columns / mostRounds(1))));
  const partial = Tensor.create(gpu, [rows, segments, 2]);
  gpu.stream.dispatch({
    kernel: softmaxPartsKernel,
    constants: { LABELS: labels !== undefined },
    buffers: { logits, labels, partial },
    params: { rows, columns, segments, scale },
    grid: linearGrid(rows * segments, 64),
    turns: loop(Math.ceil(columns / segments)),
    work: { bytes: logits.byteLength },
  });
  return partial;
}

/** Launches output[0] = mean of the input's elements. */
export function launchMean(gpu: Gpu, input: Tensor, output: Tensor): void {
  gpu.stream.dispatch({
    kernel: meanKernel,
    constants: { BLOCK: sumBlock },
    buffers: { input, output },
    params: { count: input.length },
    grid: [1, 1, 1],
    turns: blockedSum(input.length),
    work: { bytes: input.byteLength },
  });
}
