/**
 * The two losses over a softmax: InfoNCE against a queue, and cross-entropy with labels. Both are scalars like any other
 * node: they add up, are weighted, and are read whenever somebody waits for the device anyway.
 */
import { loop } from "../../gpu/limits.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { addGradient } from "../gradient_target.ts";
import type { Tape } from "../tape.ts";
import { expectShape, Tensor } from "../tensor.ts";
import { launchProduct, matrixOf, transposed } from "./matmul.ts";
import { rowProducts } from "./row_products.ts";
import { launchMean, softmaxParts } from "./softmax_parts.ts";
import { kernel } from "../../gpu/kernel.ts";
import infoNceFinishSource from "../../../kernels/info_nce_finish.wgsl" with { type: "text" };
import infoNceGradientSource from "../../../kernels/info_nce_gradient.wgsl" with { type: "text" };
import infoNcePositiveGradientSource from "../../../kernels/info_nce_positive_gradient.wgsl" with {
  type: "text",
};
import crossEntropyFinishSource from "../../../kernels/cross_entropy_finish.wgsl" with { type: "text" };
import crossEntropyGradientSource from "../../../kernels/cross_entropy_gradient.wgsl" with { type: "text" };
import exponential from "../../../kernels/include/exponential.wgsl" with { type: "text" };
import not_a_number from "../../../kernels/include/not_a_number.wgsl" with { type: "text" };
import join_parts from "../../../kernels/include/join_parts.wgsl" with { type: "text" };
import row_softmax from "../../../kernels/include/row_softmax.wgsl" with { type: "text" };

const infoNceFinishKernel = kernel("info_nce_finish", infoNceFinishSource, {
  row_softmax,
  join_parts,
  exponential,
  not_a_number,
});
const infoNceGradientKernel = kernel("info_nce_gradient", infoNceGradientSource, {
  exponential,
  not_a_number,
});
const infoNcePositiveGradientKernel = kernel("info_nce_positive_gradient", infoNcePositiveGradientSource);
const crossEntropyFinishKernel = kernel("cross_entropy_finish", crossEntropyFinishSource, {
  row_softmax,
  join_parts,
  exponential,
  not_a_number,
});
const crossEntropyGradientKernel = kernel("cross_entropy_gradient", crossEntropyGradientSource, {
  exponential,
  not_a_number,
});

/**
 * The contrastive loss of MoCo (van den Oord et al. 2018; He et al. 2020): the cross-entropy of telling each query's own
 * key from the queue's, mean over the batch. The query's gradient is taken at once and only scaled in the backward pass,
 * so that the logits, which are by far the largest tensor of a step, exist only inside this function.
 *
 * @param query [B, D], rows of length one
 * @param keys [B, D], rows of length one; constants
 * @param queue [K, D], rows of length one; constants
 * @returns the mean loss, a scalar
 */
export function infoNce(tape: Tape, query: Tensor, keys: Tensor, queue: Tensor, temperature: number): Tensor {
  const [rows, dimension] = query.shape;
  expectShape("infoNce", "the keys", keys.shape, query.shape);
  expectShape("infoNce", "the queue", queue.shape, [-1, dimension]);
  tape.expectConstants("infoNce", keys, queue);
  const columns = queue.shape[0];
  const scale = 1 / temperature;
  const factor = scale / rows;
  const { gpu } = tape;

  const queueRows = matrixOf(queue, columns, dimension);
  using logits = Tensor.create(gpu, [rows, columns]);
  launchProduct(gpu, matrixOf(query, rows, dimension), transposed(queueRows), {
    tensor: logits,
    accumulate: false,
  });
  using partial = softmaxParts(gpu, logits, scale);
  using sums = Tensor.create(gpu, [rows, 2]);
  using misses = Tensor.create(gpu, [rows]);
  using losses = Tensor.create(gpu, [rows]);
  using products = rowProducts(gpu, query, keys);
  gpu.stream.dispatch({
    kernel: infoNceFinishKernel,
    buffers: { products, partial, rows: sums, misses, losses },
    params: { rows, segments: partial.shape[1], scale },
    grid: [Math.ceil(rows / 64), 1, 1],
    turns: 2 * loop(partial.shape[1]),
    work: { bytes: partial.byteLength },
  });
  const loss = tape.create([]);
  launchMean(gpu, losses, loss);
  if (!tape.needsGradient(query, "infoNce")) return loss;

  gpu.stream.dispatch({
    kernel: infoNceGradientKernel,
    buffers: { rows: sums, logits },
    params: { rows, columns, scale, factor },
    grid: linearGrid(logits.length, 64),
    turns: 0,
    work: { bytes: 2 * logits.byteLength },
  });
  const gradQuery = Tensor.create(gpu, query.shape);
  launchProduct(gpu, matrixOf(logits, rows, columns), queueRows, { tensor: gradQuery, accumulate: false });
  gpu.stream.dispatch({
    kernel: infoNcePositiveGradientKernel,
    buffers: { keys, misses, gradQuery },
    params: { rows, dimension, factor },
    grid: linearGrid(gradQuery.length, 64),
    turns: 0,
    work: { bytes: 3 * gradQuery.byteLength },
  });
  const backward = (gradLoss: Tensor) => addGradient(tape.gradientOf(query)!, gradQuery, 1, gradLoss);
  tape.record({ operation: "infoNce", result: loss, inputs: [query], saved: [gradQuery], backward });
  return loss;
}

/**
 * Softmax cross-entropy, mean over the batch, as `torch.nn.functional.cross_entropy`.
 *
 * @param logits [N, C]
 * @param labels [N] as unsigned integers below C
 * @returns the mean loss, a scalar
 */
export function softmaxCrossEntropy(tape: Tape, logits: Tensor, labels: Tensor): Tensor {
  const [rows, columns] = logits.shape;
  expectShape("softmaxCrossEntropy", "the labels", labels.shape, [rows]);
  const { gpu } = tape;
  using partial = softmaxParts(gpu, logits, 1, labels);
  using losses = Tensor.create(gpu, [rows]);
  const sums = Tensor.create(gpu, [rows, 2]);
  gpu.stream.dispatch({
    kernel: crossEntropyFinishKernel,
    buffers: { logits, labels, partial, rows: sums, losses },
    params: { rows, columns, segments: partial.shape[1] },
    grid: [Math.ceil(rows / 64), 1, 1],
    turns: 2 * loop(partial.shape[1]),
    work: { bytes: partial.byteLength },
  });
  const loss = tape.create([]);
  launchMean(gpu, losses, loss);
  const backward = (gradLoss: Tensor) => {
    const target = tape.gradientOf(logits);
    if (!target) return;
    gpu.stream.dispatch({
      kernel: crossEntropyGradientKernel,
      buffers: { logits, labels, rows: sums, gradLoss, gradLogits: target.tensor },
      params: { rows, columns, factor: 1 / rows, accumulate: target.accumulate ? 1 : 0 },
      grid: linearGrid(logits.length, 64),
      turns: 0,
      work: { bytes: 2 * logits.byteLength },
    });
  };
  tape.record({
    operation: "softmaxCrossEntropy",
    result: loss,
    inputs: [logits],
    saved: [sums],
    backward,
  });
  return loss;
}
