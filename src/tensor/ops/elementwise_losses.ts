/** Losses of two tensors of one shape, element by element: of objectness and masks, and of boxes. */
import { ShapeError } from "../../errors.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { type Kernel, kernel } from "../../gpu/kernel.ts";
import type { Tape } from "../tape.ts";
import { expectShape, Tensor } from "../tensor.ts";
import { launchChannelSums } from "./bias.ts";
import sigmoidCrossEntropySource from "../../../kernels/sigmoid_cross_entropy.wgsl" with { type: "text" };
import sigmoidCrossEntropyGradientSource from "../../../kernels/sigmoid_cross_entropy_gradient.wgsl" with {
  type: "text",
};
import smoothL1Source from "../../../kernels/smooth_l1.wgsl" with { type: "text" };
import smoothL1GradientSource from "../../../kernels/smooth_l1_gradient.wgsl" with { type: "text" };
import exponential from "../../../kernels/include/exponential.wgsl" with { type: "text" };
import loss_params from "../../../kernels/include/loss_params.wgsl" with { type: "text" };
import not_a_number from "../../../kernels/include/not_a_number.wgsl" with { type: "text" };

const includes = { loss_params, exponential, not_a_number };
const sigmoidCrossEntropyKernel = kernel("sigmoid_cross_entropy", sigmoidCrossEntropySource, includes);
const sigmoidCrossEntropyGradientKernel = kernel(
  "sigmoid_cross_entropy_gradient",
  sigmoidCrossEntropyGradientSource,
  includes,
);
const smoothL1Kernel = kernel("smooth_l1", smoothL1Source, includes);
const smoothL1GradientKernel = kernel("smooth_l1_gradient", smoothL1GradientSource, includes);

/** How the losses of the elements become one number. */
export interface ElementwiseLossOptions {
  /**
   * A factor for each element's loss, of the input's shape; a constant. An element of weight 0 is left out, be its loss NaN:
   * weights of 0 and 1 are a mask.
   */
  readonly weights?: Tensor;
  /** `"mean"` divides the sum by the number of all elements, whatever their weights. Default `"mean"`. */
  readonly reduction?: "mean" | "sum";
}

/** The width of {@linkcode smoothL1}'s parabola, besides the rest. */
export interface SmoothL1Options extends ElementwiseLossOptions {
  /** Differences below it are squared; 0 makes it the L1 loss. Default 1. */
  readonly beta?: number;
}

/**
 * Cross-entropy of sigmoids, as `torch.nn.functional.binary_cross_entropy_with_logits`.
 *
 * @param input logits, of any shape
 * @param target probabilities from 0 to 1, of the same shape; a constant
 * @returns mean or sum, a scalar; of no elements 0
 */
export function sigmoidCrossEntropy(
  tape: Tape,
  input: Tensor,
  target: Tensor,
  options: ElementwiseLossOptions = {},
): Tensor {
  const kernels = { loss: sigmoidCrossEntropyKernel, gradient: sigmoidCrossEntropyGradientKernel };
  return elementwiseLoss(tape, "sigmoidCrossEntropy", kernels, input, target, 0, options);
}

/**
 * Squared difference near the target and absolute difference far from it, as `torch.nn.functional.smooth_l1_loss`; with
 * `beta` 0 as `l1_loss`, whose gradient is 0 where nothing differs.
 *
 * @param input of any shape
 * @param target of the same shape; a constant
 * @returns mean or sum, a scalar; of no elements 0
 * @throws {ShapeError} for a `beta` below 0
 */
export function smoothL1(tape: Tape, input: Tensor, target: Tensor, options: SmoothL1Options = {}): Tensor {
  const { beta = 1 } = options;
  if (!(beta >= 0 && beta < Infinity)) throw new ShapeError(`smoothL1: a beta of ${beta}; it is at least 0`);
  const kernels = { loss: smoothL1Kernel, gradient: smoothL1GradientKernel };
  return elementwiseLoss(tape, "smoothL1", kernels, input, target, beta, options);
}

function elementwiseLoss(
  tape: Tape,
  operation: string,
  kernels: { readonly loss: Kernel; readonly gradient: Kernel },
  input: Tensor,
  goal: Tensor,
  beta: number,
  { weights, reduction = "mean" }: ElementwiseLossOptions,
): Tensor {
  expectShape(operation, "the target", goal.shape, input.shape);
  if (weights) expectShape(operation, "the weights", weights.shape, input.shape);
  tape.expectConstants(operation, goal, ...(weights ? [weights] : []));
  const { gpu } = tape;
  const count = input.length;
  const loss = tape.create([]);
  if (count === 0) gpu.stream.clear(loss);
  const factor = reduction === "mean" ? 1 / Math.max(1, count) : 1;
  const shared = {
    constants: { WEIGHTS: weights !== undefined },
    grid: linearGrid(count, 64),
    turns: 0,
    work: { bytes: (weights ? 4 : 3) * input.byteLength },
  };
  const params = { count, beta, factor };
  if (count > 0) {
    using losses = Tensor.create(gpu, [1, 1, count]);
    gpu.stream.dispatch({
      ...shared,
      kernel: kernels.loss,
      buffers: { input, goal, weights, losses },
      params: { ...params, accumulate: 0 },
    });
    launchChannelSums(gpu, losses, { tensor: loss, accumulate: false });
  }
  const backward = (gradLoss: Tensor) => {
    const target = tape.gradientOf(input);
    if (!target) return;
    gpu.stream.dispatch({
      ...shared,
      kernel: kernels.gradient,
      buffers: { input, goal, weights, gradLoss, gradInput: target.tensor },
      params: { ...params, accumulate: target.accumulate ? 1 : 0 },
    });
  };
  tape.record({ operation, result: loss, inputs: [input], backward });
  return loss;
}
