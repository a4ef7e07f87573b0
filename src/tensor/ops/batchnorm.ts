/**
 * Batch normalisation of the leading channels of stored parameters, fused with a residual sum and ReLU.
 * Ioffe & Szegedy 2015; the same numbers as `torch.nn.functional.batch_norm`.
 */
import { ShapeError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { linearGrid } from "../../gpu/stream.ts";
import type { Parameter } from "../parameter.ts";
import type { Tape } from "../tape.ts";
import { expectShape, Tensor } from "../tensor.ts";
import batchnormEvaluationSource from "../../../kernels/batchnorm_evaluation.wgsl" with { type: "text" };
import batchnormApplySource from "../../../kernels/batchnorm_apply.wgsl" with { type: "text" };
import planePartsInclude from "../../../kernels/include/plane_parts.wgsl" with { type: "text" };
import batchnormGradientSumsSource from "../../../kernels/batchnorm_gradient_sums.wgsl" with { type: "text" };
import channelPartsInclude from "../../../kernels/include/channel_parts.wgsl" with { type: "text" };
import batchnormGradientFinishSource from "../../../kernels/batchnorm_gradient_finish.wgsl" with {
  type: "text",
};
import batchnormGradientApplySource from "../../../kernels/batchnorm_gradient_apply.wgsl" with {
  type: "text",
};
import batchnormStatisticsSource from "../../../kernels/batchnorm_statistics.wgsl" with { type: "text" };
import batchnormFinishSource from "../../../kernels/batchnorm_finish.wgsl" with { type: "text" };
import { kernel } from "../../gpu/kernel.ts";

const batchnormEvaluationKernel = kernel("batchnorm_evaluation", batchnormEvaluationSource);
const batchnormApplyKernel = kernel("batchnorm_apply", batchnormApplySource, {
  plane_parts: planePartsInclude,
});
const batchnormGradientSumsKernel = kernel("batchnorm_gradient_sums", batchnormGradientSumsSource, {
  channel_parts: channelPartsInclude,
});
const batchnormGradientFinishKernel = kernel("batchnorm_gradient_finish", batchnormGradientFinishSource);
const batchnormGradientApplyKernel = kernel("batchnorm_gradient_apply", batchnormGradientApplySource, {
  plane_parts: planePartsInclude,
});
const batchnormStatisticsKernel = kernel("batchnorm_statistics", batchnormStatisticsSource, {
  channel_parts: channelPartsInclude,
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
  /** Normalise with the batch's statistics and update the running ones; or, false, with the running ones. */
  training: boolean;
  /** Split the batch into so many contiguous groups with statistics of their own, as on several devices. Default 1. */
  groups?: number;
  /** Added before ReLU; of the input's shape. */
  residual?: Tensor;
  /** Apply max(x, 0). Default false. */
  relu?: boolean;
  /** Weight of the new statistics in the running ones. Default 0.1. */
  momentum?: number;
  /** Default {@linkcode batchnormEpsilon}. */
  epsilon?: number;
}

/** How the sums over a channel are split; see kernels/include/channel_parts.wgsl. */
interface ChannelParts {
  /** The buffers are read as vec4. */
  vector: boolean;
  lanes: number;
  imageParts: number;
  planeElements: number;
}

function channelParts(gpu: Gpu, images: number, channels: number, plane: number): ChannelParts {
  const vector = plane % 4 === 0;
  const planeElements = vector ? plane / 4 : plane;
  const lanes = planeElements >= 64 && !gpu.facts.software ? 64 : planeElements >= 8 ? 8 : 1;
  const wanted = gpu.facts.software ? 256 : 65536;
  const imageParts = Math.max(1, Math.min(images, Math.ceil(wanted / (channels * lanes)), 64));
  return { vector, lanes, imageParts, planeElements };
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
  const parts = channelParts(gpu, images, channels, plane);
  const affine = Tensor.create(gpu, [sets, channels, 4]);
  if (training) {
    launchStatistics(gpu, input, weight, bias, running, affine, {
      groups,
      images,
      channels,
      plane,
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
      work: { bytes: 16 * channels + affine.byteLength },
    });
  }

  const output = tape.create(input.shape);
  const lanes = planeLanes(gpu, parts.planeElements);
  const planeGrid = linearGrid(batch * channels * lanes, 64);
  const planeParams = {
    images: batch,
    channels,
    planeElements: parts.planeElements,
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
    work: { bytes: (residual ? 3 : 2) * input.byteLength },
  });

  tape.record(output, (gradOutput) => {
    const partial = Tensor.create(gpu, [sets, channels, parts.imageParts * parts.lanes, 2]);
    gpu.stream.dispatch({
      kernel: batchnormGradientSumsKernel,
      constants: { VECTOR: parts.vector, RELU: relu },
      buffers: { input, gradOutput, affine, partial, output },
      params: {
        images,
        groups: sets,
        channels,
        planeElements: parts.planeElements,
        imageParts: parts.imageParts,
        lanes: parts.lanes,
      },
      grid: linearGrid(partial.length / 2, 64),
      work: { bytes: (relu ? 3 : 2) * input.byteLength },
    });
    if (!weight.gradient || !bias.gradient) {
      throw new ShapeError(`batchnorm ${weight.name}: its parameters have no gradient`);
    }
    const backward = Tensor.create(gpu, [sets, channels, 4]);
    gpu.stream.dispatch({
      kernel: batchnormGradientFinishKernel,
      buffers: { partial, affine, gradWeight: weight.gradient, gradBias: bias.gradient, backward },
      params: {
        groups: sets,
        channels,
        parts: parts.imageParts * parts.lanes,
        count: images * plane,
        training: training ? 1 : 0,
      },
      grid: [Math.ceil(channels / 64), 1, 1],
      work: { bytes: partial.byteLength + affine.byteLength + backward.byteLength + 16 * channels },
    });
    partial.release();
    const target = tape.gradientOf(input);
    const residualTarget = residual && tape.gradientOf(residual);
    const gradInput = target?.tensor ?? Tensor.create(gpu, input.shape);
    gpu.stream.dispatch({
      kernel: batchnormGradientApplyKernel,
      constants: { ...applyConstants, RESIDUAL: residualTarget !== undefined },
      buffers: {
        input,
        gradOutput,
        backward,
        gradInput,
        output,
        gradResidual: residualTarget?.tensor,
      },
      params: {
        ...planeParams,
        accumulate: target?.accumulate ? 1 : 0,
        accumulateResidual: residualTarget?.accumulate ? 1 : 0,
      },
      grid: planeGrid,
      work: { bytes: ((relu ? 4 : 3) + (residualTarget ? 1 : 0)) * input.byteLength },
    });
    if (!target) gradInput.release();
    backward.release();
  }, [affine]);
  return output;
}

function launchStatistics(
  gpu: Gpu,
  input: Tensor,
  weight: Parameter,
  bias: Parameter,
  running: RunningStatistics,
  affine: Tensor,
  sizes: {
    groups: number;
    images: number;
    channels: number;
    plane: number;
    epsilon: number;
    momentum: number;
  },
): void {
  const { groups, images, channels, plane } = sizes;
  const { vector, lanes, imageParts, planeElements } = channelParts(gpu, images, channels, plane);
  const partial = Tensor.create(gpu, [groups, channels, imageParts * lanes, 2]);
  gpu.stream.dispatch({
    kernel: batchnormStatisticsKernel,
    constants: { VECTOR: vector },
    buffers: { input, partial },
    params: { images, groups, channels, planeElements, imageParts, lanes },
    grid: linearGrid(partial.length / 2, 64),
    work: { bytes: input.byteLength },
  });
  gpu.stream.dispatch({
    kernel: batchnormFinishKernel,
    buffers: {
      partial,
      input,
      weight: weight.value,
      bias: bias.value,
      runningMean: running.mean,
      runningVar: running.variance,
      affine,
    },
    params: { ...sizes, parts: imageParts * lanes },
    grid: [Math.ceil(channels / 64), 1, 1],
    work: { bytes: partial.byteLength + affine.byteLength + 24 * channels },
  });
  partial.release();
}
