/** Convolution with batchnorm, and the two residual blocks, at any width below the stored one. */
import { batchnorm } from "../tensor/ops/batchnorm.ts";
import { convolution } from "../tensor/ops/convolution.ts";
import type { Tape } from "../tensor/tape.ts";
import type { Shape, Tensor } from "../tensor/tensor.ts";
import type { Statistics, Weights } from "./weights.ts";

/** One pass through a network: whose weights and statistics, recorded where, in which mode. */
export interface Pass {
  readonly tape: Tape;
  readonly weights: Weights;
  readonly statistics: Statistics;
  /** Batchnorm with the batch's statistics, which also move the running ones; or, false, with the running ones. */
  readonly training: boolean;
  /** Groups of the batch with statistics of their own. */
  readonly batchnormGroups: number;
  /** Weight of new batchnorm statistics in the running ones; 0.1 unless they are recalibrated. */
  readonly batchnormMomentum?: number;
}

/** A convolution and the batchnorm behind it, by torchvision's names. */
export interface ConvolutionBatchnorm {
  readonly convolution: string;
  readonly batchnorm: string;
  /** Stored [out, in, kernel, kernel]. */
  readonly shape: Shape;
  readonly stride: number;
}

/** relu?(batchnorm(convolution(input)) + residual), with `outChannels` of the stored channels. */
export function convolutionBatchnorm(
  pass: Pass,
  layer: ConvolutionBatchnorm,
  input: Tensor,
  outChannels: number,
  options: { relu: boolean; residual?: Tensor },
): Tensor {
  const { tape, weights, statistics } = pass;
  const convolved = convolution(tape, input, weights.parameter(`${layer.convolution}.weight`), {
    outChannels,
    stride: layer.stride,
    padding: (layer.shape[2] - 1) / 2,
  });
  const normalised = batchnorm(
    tape,
    convolved,
    weights.parameter(`${layer.batchnorm}.weight`),
    weights.parameter(`${layer.batchnorm}.bias`),
    statistics.of(layer.batchnorm),
    { ...options, training: pass.training, groups: pass.batchnormGroups, momentum: pass.batchnormMomentum },
  );
  tape.discard(convolved);
  return normalised;
}

/**
 * A residual block: the branch's layers, of which all but the last of a bottleneck have the stage's width, and the
 * projection of the shortcut where there is one.
 */
export interface Block {
  readonly branch: readonly ConvolutionBatchnorm[];
  readonly downsample: ConvolutionBatchnorm | undefined;
  /** Output channels over the stage's width: 4 for bottleneck blocks, 1 for basic ones. */
  readonly expansion: number;
}

/** relu(branch(input) + shortcut(input)) at a stage width (He et al. 2016). */
export function residualBlock(pass: Pass, block: Block, input: Tensor, width: number): Tensor {
  return pass.tape.scope(() => {
    const outChannels = width * block.expansion;
    const residual = block.downsample
      ? convolutionBatchnorm(pass, block.downsample, input, outChannels, { relu: false })
      : input;
    let branch = input;
    const last = block.branch.length - 1;
    for (const layer of block.branch.slice(0, last)) {
      branch = convolutionBatchnorm(pass, layer, branch, width, { relu: true });
    }
    return convolutionBatchnorm(pass, block.branch[last], branch, outChannels, { relu: true, residual });
  });
}
