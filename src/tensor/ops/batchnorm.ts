/**
 * Batch normalisation of the leading channels of stored parameters, fused with a residual sum and ReLU.
 * Ioffe & Szegedy 2015; the same numbers as `torch.nn.functional.batch_norm`.
 */
import { ShapeError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { loop } from "../../gpu/limits.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { addGradient } from "../gradient_target.ts";
import type { Parameter } from "../parameter.ts";
import type { Tape } from "../tape.ts";
import { expectShape, Tensor } from "../tensor.ts";
import { type ChannelParts, channelParts, finishTurns, partBlock } from "./batchnorm_parts.ts";
import { kernel } from "../../gpu/kernel.ts";
import batchnormEvaluationSource from "../../../kernels/batchnorm_evaluation.wgsl" with { type: "text" };
import batchnormApplySource from "../../../kernels/batchnorm_apply.wgsl" with { type: "text" };
import batchnormGradientSumsSource from "../../../kernels/batchnorm_gradient_sums.wgsl" with { type: "text" };
import batchnormGradientFinishSource from "../../../kernels/batchnorm_gradient_finish.wgsl" with {
  type: "text",
};
import batchnormGradientApplySource from "../../../kernels/batchnorm_gradient_apply.wgsl" with {
  type: "text",
};
import batchnormStatisticsSource from "../../../kernels/batchnorm_statistics.wgsl" with { type: "text" };
import batchnormFinishSource from "../../../kernels/batchnorm_finish.wgsl" with { type: "text" };
import plane_parts from "../../../kernels/include/plane_parts.wgsl" with { type: "text" };
import rectifier from "../../../kernels/include/rectifier.wgsl" with { type: "text" };
import channel_parts from "../../../kernels/include/channel_parts.wgsl" with { type: "text" };
import channel_runs from "../../../kernels/include/channel_runs.wgsl" with { type: "text" };
import not_a_number from "../../../kernels/include/not_a_number.wgsl" with { type: "text" };

const batchnormEvaluationKernel = kernel("batchnorm_evaluation", batchnormEvaluationSource);
const batchnormApplyKernel = kernel("batchnorm_apply", batchnormApplySource, { plane_parts, rectifier });
const batchnormGradientSumsKernel = kernel("batchnorm_gradient_sums", batchnormGradientSumsSource, {
  channel_parts,
  rectifier,
  channel_runs,
});
const batchnormGradientFinishKernel = kernel("batchnorm_gradient_finish", batchnormGradientFinishSource);
const batchnormGradientApplyKernel = kernel("batchnorm_gradient_apply", batchnormGradientApplySource, {
  plane_parts,
  rectifier,
});
const batchnormStatisticsKernel = kernel("batchnorm_statistics", batchnormStatisticsSource, {
  channel_parts,
  channel_runs,
  not_a_number,
});
const batchnormFinishKernel = kernel("batchnorm_finish", batchnormFinishSource);

/** Running mean and variance at full width; each use reads and updates the leading slice. */
export interface RunningStatistics {
  readonly mean: Tensor;
  readonly variance: Tensor;
}

/** Added to every variance, as PyTorch does. */
export const batchnormEpsilon = 1e-5;

/** What batchnorm does besides normalising. */
export interface BatchnormOptions {
  /**
   * Normalise with the batch's statistics and update the running ones; or, false, with the running ones. False with parameters
   * that have no gradient is a frozen batchnorm (torchvision's `FrozenBatchNorm2d`): a factor and a summand a channel, whose
   * backward pass is one multiplication.
   */
  training: boolean;
  /** Split the batch into so many contiguous groups with statistics of their own, as on several devices. Default 1. */
  groups?: number;
  /** Added before ReLU; of the input's shape. */
  residual?: Tensor;
  /** Apply ReLU: max(x, 0), and NaN of NaN. Default false. */
  relu?: boolean;
  /** Weight of the new statistics in the running ones. Default 0.1. */
  momentum?: number;
  /** Default {@linkcode batchnormEpsilon}. */
  epsilon?: number;
}

/** Invocations that share a plane in an elementwise pass: about eight elements each. */
function planeLanes(gpu: Gpu, planeElements: number): number {
  const elementsEach = gpu.facts.software ? 16 : 4;
  return 2 ** Math.max(0, Math.floor(Math.log2(planeElements / elementsEach)));
}

/**
 * relu(batchnorm(input) + residual); residual and ReLU on request.
 *
 * @param input [N, C, H, W] or [N, C]
 * @param weight stored [>= C]
 * @param bias stored [>= C]
 * @param running stored [>= C]; read in evaluation mode, updated in training mode
 * @returns a tensor of the input's shape
 * @throws ShapeError in training mode where a group has one value a channel, which has no variance
 */
export function batchnorm(
  tape: Tape,
  input: Tensor,
  weight: Parameter,
  bias: Parameter,
  running: RunningStatistics,
  options: BatchnormOptions,
): Tensor {
  const { training, groups = 1, residual, relu = false, momentum = 0.1, epsilon = batchnormEpsilon } =
    options;
  const [batch, channels, height = 1, width = 1] = input.shape;
  const plane = height * width;
  if (channels > weight.value.length) {
    throw new ShapeError(`batchnorm ${weight.name}: ${channels} channels; ${weight.value.length} are stored`);
  }
  if (batch % groups !== 0) {
    throw new ShapeError(
      `batchnorm ${weight.name}: a batch of ${batch} cannot be split into ${groups} groups`,
    );
  }
  if (residual) expectShape(`batchnorm ${weight.name}`, "the residual", residual.shape, input.shape);
  const { gpu } = tape;
  const sets = training ? groups : 1;
  const images = batch / sets;
  if (training && images * plane === 1) {
    throw new ShapeError(
      `batchnorm ${weight.name}: ${batch} image${batch === 1 ? "" : "s"} in ${groups} group${
        groups === 1 ? "" : "s"
      }, ` +
        `${height}x${width} positions each, leave one value a channel, which has no variance; training takes at least 2. ` +
        `Take a larger batch, fewer batchnorm groups, or larger images.`,
    );
  }
  const parts = channelParts(gpu.facts, sets, images, channels, plane);
  const affine = Tensor.create(gpu, [sets, channels, 4]);
  if (training) {
    launchStatistics(gpu, input, weight, bias, running, affine, parts, {
      groups,
      images,
      channels,
      count: images * plane,
      epsilon,
      momentum,
    });
  } else {
    gpu.stream.dispatch({
      kernel: batchnormEvaluationKernel,
      buffers: {
        weight: weight.value,
        bias: bias.value,
        runningMean: running.mean,
        runningVar: running.variance,
        affine,
      },
      params: { channels, epsilon },
      grid: [Math.ceil(channels / 64), 1, 1],
      turns: 0,
      work: { bytes: 16 * channels + affine.byteLength },
    });
  }

  const output = tape.create(input.shape);
  const lanes = planeLanes(gpu, parts.params.planeElements);
  const planeGrid = linearGrid(batch * channels * lanes, 64);
  const planeTurns = loop(Math.ceil(parts.params.planeElements / lanes));
  const planeParams = {
    images: batch,
    channels,
    planeElements: parts.params.planeElements,
    groupImages: images,
    lanes,
  };
  const applyConstants = { VECTOR: parts.vector, RELU: relu, RESIDUAL: residual !== undefined };
  gpu.stream.dispatch({
    kernel: batchnormApplyKernel,
    constants: applyConstants,
    buffers: { input, affine, output, residual },
    params: { ...planeParams, accumulate: 0, accumulateResidual: 0 },
    grid: planeGrid,
    turns: planeTurns,
    work: { bytes: (residual ? 3 : 2) * input.byteLength },
  });

  const launchGradientSums = (
    gradOutput: Tensor,
    backward: Tensor,
    gradWeight: Tensor | undefined,
    gradBias: Tensor | undefined,
  ) => {
    using partial = Tensor.create(gpu, [sets, channels, parts.parts, 2]);
    gpu.stream.dispatch({
      kernel: batchnormGradientSumsKernel,
      constants: { VECTOR: parts.vector, RELU: relu },
      buffers: { input, gradOutput, affine, partial, output },
      params: { images, groups: sets, channels, ...parts.params },
      grid: linearGrid(partial.length / 2, 64),
      turns: parts.turns,
      work: { bytes: (relu ? 3 : 2) * input.byteLength },
    });
    // They take what the kernel computes for a frozen parameter.
    using unusedWeight = Tensor.create(gpu, [channels]);
    using unusedBias = Tensor.create(gpu, [channels]);
    gpu.stream.dispatch({
      kernel: batchnormGradientFinishKernel,
      constants: { BLOCK: partBlock },
      buffers: {
        partial,
        affine,
        gradWeight: gradWeight ?? unusedWeight,
        gradBias: gradBias ?? unusedBias,
        backward,
      },
      params: {
        groups: sets,
        channels,
        parts: parts.parts,
        count: images * plane,
        training: training ? 1 : 0,
      },
      grid: [Math.ceil(channels / 64), 1, 1],
      turns: finishTurns(sets, parts.parts),
      work: { bytes: partial.byteLength + affine.byteLength + backward.byteLength + 16 * channels },
    });
  };
  const backward = (gradOutput: Tensor) => {
    const [weightTarget, biasTarget] = [tape.gradientOf(weight), tape.gradientOf(bias)];
    // With frozen parameters and running statistics nothing is summed, and a channel's factor is the forward pass's.
    const sums = training || weightTarget || biasTarget ? Tensor.create(gpu, [sets, channels, 4]) : undefined;
    if (sums) launchGradientSums(gradOutput, sums, weightTarget?.tensor, biasTarget?.tensor);
    const target = tape.gradientOf(input);
    const residualTarget = residual && tape.gradientOf(residual);
    if (!target && !residualTarget) {
      sums?.release();
      return;
    }
    const gradInput = target?.tensor ?? Tensor.create(gpu, input.shape);
    // A kernel cannot write to one memory through two bindings: where input and residual are one tensor, or parts of one,
    // the residual's gradient goes there afterwards.
    const apart = target && residualTarget?.tensor.storage === target.tensor.storage
      ? Tensor.create(gpu, input.shape)
      : undefined;
    gpu.stream.dispatch({
      kernel: batchnormGradientApplyKernel,
      constants: { ...applyConstants, RESIDUAL: residualTarget !== undefined, TRAINING: training },
      buffers: {
        input,
        gradOutput,
        backward: sums ?? affine,
        gradInput,
        output,
        gradResidual: apart ?? residualTarget?.tensor,
      },
      params: {
        ...planeParams,
        accumulate: target?.accumulate ? 1 : 0,
        accumulateResidual: !apart && residualTarget?.accumulate ? 1 : 0,
      },
      grid: planeGrid,
      turns: planeTurns,
      work: { bytes: ((relu ? 4 : 3) + (residualTarget ? 1 : 0)) * input.byteLength },
    });
    sums?.release();
    if (!target) gradInput.release();
    if (apart) {
      addGradient(residualTarget!, apart);
      apart.release();
    }
  };
  tape.record({
    operation: `batchnorm ${weight.name}`,
    result: output,
    inputs: [input, weight, bias, residual],
    saved: [affine],
    backward,
  });
  return output;
}

function launchStatistics(
  gpu: Gpu,
  input: Tensor,
  weight: Parameter,
  bias: Parameter,
  running: RunningStatistics,
  affine: Tensor,
  { vector, parts, turns, params }: ChannelParts,
  sizes: {
    groups: number;
    images: number;
    channels: number;
    count: number;
    epsilon: number;
    momentum: number;
  },
): void {
  const { groups, images, channels } = sizes;
  using partial = Tensor.create(gpu, [groups, channels, parts, 4]);
  gpu.stream.dispatch({
    kernel: batchnormStatisticsKernel,
    constants: { VECTOR: vector },
    buffers: { input, partial },
    params: { images, groups, channels, ...params },
    grid: linearGrid(partial.length / 4, 64),
    turns,
    work: { bytes: input.byteLength },
  });
  gpu.stream.dispatch({
    kernel: batchnormFinishKernel,
    constants: { BLOCK: partBlock },
    buffers: {
      partial,
      weight: weight.value,
      bias: bias.value,
      runningMean: running.mean,
      runningVar: running.variance,
      affine,
    },
    params: { ...sizes, parts },
    grid: [Math.ceil(channels / 64), 1, 1],
    turns: finishTurns(groups, parts),
    work: { bytes: partial.byteLength + affine.byteLength + 24 * channels },
  });
}
