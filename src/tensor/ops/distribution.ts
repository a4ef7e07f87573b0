/** Distributions as targets: the softmax of one network's logits, and another's cross-entropy with it. */
import type { Gpu } from "../../gpu/device.ts";
import { kernel } from "../../gpu/kernel.ts";
import { loop } from "../../gpu/limits.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import gradientSource from "../../../kernels/distribution_cross_entropy_gradient.wgsl" with { type: "text" };
import exponential from "../../../kernels/include/exponential.wgsl" with { type: "text" };
import not_a_number from "../../../kernels/include/not_a_number.wgsl" with { type: "text" };
import join_parts from "../../../kernels/include/join_parts.wgsl" with { type: "text" };
import row_softmax from "../../../kernels/include/row_softmax.wgsl" with { type: "text" };
import softmaxSource from "../../../kernels/softmax.wgsl" with { type: "text" };
import softmaxRowsSource from "../../../kernels/softmax_rows.wgsl" with { type: "text" };
import type { Tape } from "../tape.ts";
import { expectShape, Tensor } from "../tensor.ts";
import { rowProducts } from "./row_products.ts";
import { launchMean, softmaxParts } from "./softmax_parts.ts";

const softmaxKernel = kernel("softmax", softmaxSource, { exponential, not_a_number });
const softmaxRowsKernel = kernel("softmax_rows", softmaxRowsSource, {
  row_softmax,
  join_parts,
  exponential,
  not_a_number,
});
const gradientKernel = kernel("distribution_cross_entropy_gradient", gradientSource, {
  exponential,
  not_a_number,
});

/** Largest logit and sum of exponentials of each row, [N, 2]; with products also each row's loss. */
function softmaxRows(
  gpu: Gpu,
  logits: Tensor,
  scale: number,
  targets?: { readonly products: Tensor; readonly losses: Tensor },
): Tensor {
  using partial = softmaxParts(gpu, logits, scale);
  const [rows, segments] = partial.shape;
  const sums = Tensor.create(gpu, [rows, 2]);
  gpu.stream.dispatch({
    kernel: softmaxRowsKernel,
    constants: { TARGETS: targets !== undefined },
    buffers: { partial, rows: sums, ...targets },
    params: { rows, segments, scale },
    grid: [Math.ceil(rows / 64), 1, 1],
    turns: 2 * loop(segments),
    work: { bytes: partial.byteLength },
  });
  return sums;
}

/**
 * Softmax of each row, as a target: no gradient flows through it.
 *
 * @param logits [N, C], a constant; detach it where it is none
 * @param temperature divides the logits
 * @returns [N, C], each row of sum 1
 */
export function softmaxTargets(tape: Tape, logits: Tensor, temperature = 1): Tensor {
  tape.expectConstants("softmaxTargets", logits);
  const [rows, columns] = logits.shape;
  const scale = 1 / temperature;
  using sums = softmaxRows(tape.gpu, logits, scale);
  const probabilities = tape.create(logits.shape);
  tape.gpu.stream.dispatch({
    kernel: softmaxKernel,
    buffers: { logits, rows: sums, probabilities },
    params: { rows, columns, scale },
    grid: linearGrid(logits.length, 64),
    turns: 0,
    work: { bytes: 2 * logits.byteLength },
  });
  return probabilities;
}

/**
 * Cross-entropy between distributions and the softmax of logits, mean over the rows, as `torch.nn.functional.cross_entropy`
 * with probabilities as targets.
 *
 * @param logits [N, C]
 * @param targets [N, C], rows of sum 1; constants
 * @param temperature divides the logits
 * @returns the mean loss, a scalar
 */
export function distributionCrossEntropy(
  tape: Tape,
  logits: Tensor,
  targets: Tensor,
  temperature = 1,
): Tensor {
  expectShape("distributionCrossEntropy", "the targets", targets.shape, logits.shape);
  tape.expectConstants("distributionCrossEntropy", targets);
  const { gpu } = tape;
  const [rows, columns] = logits.shape;
  const scale = 1 / temperature;
  using products = rowProducts(gpu, targets, logits);
  using losses = Tensor.create(gpu, [rows]);
  const sums = softmaxRows(gpu, logits, scale, { products, losses });
  const loss = tape.create([]);
  launchMean(gpu, losses, loss);
  const backward = (gradLoss: Tensor) => {
    const target = tape.gradientOf(logits);
    if (!target) return;
    gpu.stream.dispatch({
      kernel: gradientKernel,
      buffers: { logits, targets, rows: sums, gradLoss, gradLogits: target.tensor },
      params: { rows, columns, scale, factor: scale / rows, accumulate: target.accumulate ? 1 : 0 },
      grid: linearGrid(logits.length, 64),
      turns: 0,
      work: { bytes: 3 * logits.byteLength },
    });
  };
  tape.record({
    operation: "distributionCrossEntropy",
    result: loss,
    inputs: [logits, targets],
    saved: [sums],
    backward,
  });
  return loss;
}
