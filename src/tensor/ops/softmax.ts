/** The two losses over a softmax: InfoNCE against a queue, and cross-entropy with labels. */
import type { Gpu } from "../../gpu/device.ts";
import { linearGrid } from "../../gpu/stream.ts";
import { expectShape, Tensor } from "../tensor.ts";
import { forwardParams, inputGradientParams } from "./convolution_geometry.ts";
import { launchConvolution } from "./convolution_launch.ts";
import { productShape } from "./linear.ts";
import softmaxPartsSource from "../../../kernels/softmax_parts.wgsl" with { type: "text" };
import meanSource from "../../../kernels/mean.wgsl" with { type: "text" };
import infoNceFinishSource from "../../../kernels/info_nce_finish.wgsl" with { type: "text" };
import infoNceGradientSource from "../../../kernels/info_nce_gradient.wgsl" with { type: "text" };
import infoNcePositiveGradientSource from "../../../kernels/info_nce_positive_gradient.wgsl" with {
  type: "text",
};
import crossEntropyFinishSource from "../../../kernels/cross_entropy_finish.wgsl" with { type: "text" };
import crossEntropyGradientSource from "../../../kernels/cross_entropy_gradient.wgsl" with { type: "text" };
import { kernel } from "../../gpu/kernel.ts";

const softmaxPartsKernel = kernel("softmax_parts", softmaxPartsSource);
const meanKernel = kernel("mean", meanSource);
const infoNceFinishKernel = kernel("info_nce_finish", infoNceFinishSource);
const infoNceGradientKernel = kernel("info_nce_gradient", infoNceGradientSource);
const infoNcePositiveGradientKernel = kernel("info_nce_positive_gradient", infoNcePositiveGradientSource);
const crossEntropyFinishKernel = kernel("cross_entropy_finish", crossEntropyFinishSource);
const crossEntropyGradientKernel = kernel("cross_entropy_gradient", crossEntropyGradientSource);

/** Partial softmax sums of each row; see kernels/softmax_parts.wgsl. */
function softmaxParts(gpu: Gpu, logits: Tensor, scale: number): Tensor {
  const [rows, columns] = logits.shape;
  const segments = Math.min(columns, 64);
  const partial = Tensor.create(gpu, [rows, segments, 2]);
  gpu.stream.dispatch({
    kernel: softmaxPartsKernel,
    buffers: { logits, partial },
    params: { rows, columns, segments, scale },
    grid: linearGrid(rows * segments, 64),
    work: { bytes: logits.byteLength },
  });
  return partial;
}

/** Where a loss goes: one element of a tensor, so that the losses of many steps can be read back at once. */
export interface LossSlot {
  readonly tensor: Tensor;
  readonly index: number;
}

function writeMean(gpu: Gpu, input: Tensor, loss: LossSlot): void {
  gpu.stream.dispatch({
    kernel: meanKernel,
    buffers: { input, output: loss.tensor },
    params: { count: input.length, index: loss.index },
    grid: [1, 1, 1],
    work: { bytes: input.byteLength },
  });
}

/**
 * The contrastive loss of MoCo (van den Oord et al. 2018; He et al. 2020): the cross-entropy of telling each query's own
 * key from the queue's, mean over the batch. The gradient is taken at once, to start {@linkcode Tape.backward} with, so
 * that the logits exist only inside this function.
 *
 * @param query [B, D], rows of length one
 * @param keys [B, D], rows of length one; no gradient flows into them
 * @param queue [K, D], rows of length one
 * @param loss receives the mean loss
 * @returns the gradient of the mean loss with respect to the query, [B, D]; the caller owns it
 */
export function infoNce(
  gpu: Gpu,
  query: Tensor,
  keys: Tensor,
  queue: Tensor,
  temperature: number,
  loss: LossSlot,
): Tensor {
  const [rows, dimension] = query.shape;
  expectShape("infoNce", "the keys", keys.shape, query.shape);
  expectShape("infoNce", "the queue", queue.shape, [-1, dimension]);
  const columns = queue.shape[0];
  const scale = 1 / temperature;
  const factor = scale / rows;
  const { stream } = gpu;

  const shape = productShape(rows, dimension, columns, dimension);
  const logits = Tensor.create(gpu, [rows, columns]);
  launchConvolution(gpu, query, queue, logits, forwardParams(shape));
  const partial = softmaxParts(gpu, logits, scale);
  const logSum = Tensor.create(gpu, [rows]);
  const positives = Tensor.create(gpu, [rows]);
  const losses = Tensor.create(gpu, [rows]);
  stream.dispatch({
    kernel: infoNceFinishKernel,
    buffers: { query, keys, partial, logSum, positives, losses },
    params: { rows, dimension, segments: partial.shape[1], scale },
    grid: [Math.ceil(rows / 64), 1, 1],
    work: { bytes: 2 * query.byteLength + partial.byteLength },
  });
  writeMean(gpu, losses, loss);

  stream.dispatch({
    kernel: infoNceGradientKernel,
    buffers: { logSum, logits },
    params: { rows, columns, scale, factor },
    grid: linearGrid(logits.length, 64),
    work: { bytes: 2 * logits.byteLength },
  });
  const gradQuery = Tensor.create(gpu, query.shape);
  for (const params of inputGradientParams(shape, false)) {
    launchConvolution(gpu, logits, queue, gradQuery, params);
  }
  stream.dispatch({
    kernel: infoNcePositiveGradientKernel,
    buffers: { keys, positives, gradQuery },
    params: { rows, dimension, factor },
    grid: linearGrid(gradQuery.length, 64),
    work: { bytes: 3 * gradQuery.byteLength },
  });
  for (const tensor of [logits, partial, logSum, positives, losses]) tensor.release();
  return gradQuery;
}

/**
 * Softmax cross-entropy, mean over the batch, as `torch.nn.functional.cross_entropy`.
 *
 * @param logits [N, C]
 * @param labels [N] as unsigned integers below C
 * @param loss receives the mean loss
 * @returns the gradient of the mean loss with respect to the logits, [N, C]; the caller owns it
 */
export function crossEntropy(gpu: Gpu, logits: Tensor, labels: Tensor, loss: LossSlot): Tensor {
  const [rows, columns] = logits.shape;
  expectShape("crossEntropy", "the labels", labels.shape, [rows]);
  const partial = softmaxParts(gpu, logits, 1);
  const logSum = Tensor.create(gpu, [rows]);
  const losses = Tensor.create(gpu, [rows]);
  gpu.stream.dispatch({
    kernel: crossEntropyFinishKernel,
    buffers: { logits, labels, partial, logSum, losses },
    params: { rows, columns, segments: partial.shape[1] },
    grid: [Math.ceil(rows / 64), 1, 1],
    work: { bytes: partial.byteLength },
  });
  writeMean(gpu, losses, loss);
  const gradLogits = Tensor.create(gpu, logits.shape);
  gpu.stream.dispatch({
    kernel: crossEntropyGradientKernel,
    buffers: { logits, labels, logSum, gradLogits },
    params: { rows, columns, factor: 1 / rows },
    grid: linearGrid(logits.length, 64),
    work: { bytes: 2 * logits.byteLength },
  });
  for (const tensor of [partial, logSum, losses]) tensor.release();
  return gradLogits;
}
