/** Dropout whose choices are functions of where they are made. */
import { ShapeError } from "../../errors.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { kernel } from "../../gpu/kernel.ts";
import { purpose } from "../../random.ts";
import type { GradientTarget } from "../gradient_target.ts";
import type { Tape } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import dropoutSource from "../../../kernels/dropout.wgsl" with { type: "text" };
import dropoutChannelsSource from "../../../kernels/dropout_channels.wgsl" with { type: "text" };
import dropout_params from "../../../kernels/include/dropout_params.wgsl" with { type: "text" };
import philox from "../../../kernels/include/philox.wgsl" with { type: "text" };

const dropoutKernel = kernel("dropout", dropoutSource, { dropout_params, philox });
const dropoutChannelsKernel = kernel("dropout_channels", dropoutChannelsSource, { dropout_params, philox });

/** Elements of a channel that one invocation takes. */
const run = 16;

/** What decides which elements are dropped; with the same numbers the same ones. Integers from 0 to 2^32 - 1. */
export interface DropoutOptions {
  /** The run's seed. */
  readonly seed: number;
  /** The training step; gradients of one step, e.g. of several passes, may differ by `layer`. */
  readonly step: number;
  /** Number of the layer among those of a network. Default 0. */
  readonly layer?: number;
  /** Drop whole channels of an image, as `torch.nn.Dropout2d`, or elements. Default false. */
  readonly channels?: boolean;
}

/**
 * Drops each element with the given probability, and divides what is left by 1 - probability, as
 * `torch.nn.functional.dropout` in training; in evaluation there is nothing to call. The choices are Philox words of
 * (seed, step, layer, element): the backward pass draws them again, and no mask is stored.
 *
 * @param input of any shape; with `channels` [N, C, ...]
 * @param probability of being dropped, from 0 to 1
 * @returns a tensor of the input's shape
 * @throws {ShapeError} for another probability
 */
export function dropout(tape: Tape, input: Tensor, probability: number, options: DropoutOptions): Tensor {
  const { seed, step, layer = 0, channels = false } = options;
  if (!(probability >= 0 && probability <= 1)) {
    throw new ShapeError(`dropout: a probability of ${probability}; it is from 0 to 1`);
  }
  if (channels && input.shape.length < 2) {
    throw new ShapeError(`dropout: no channels in a tensor of shape [${input.shape.join(", ")}]`);
  }
  const count = channels ? input.shape[0] * input.shape[1] : input.length;
  const plane = channels ? input.length / Math.max(1, count) : 1;
  const parts = Math.ceil(plane / run);
  const launch = (from: Tensor, { tensor: output, accumulate }: GradientTarget) =>
    tape.gpu.stream.dispatch({
      kernel: channels ? dropoutChannelsKernel : dropoutKernel,
      constants: channels ? { RUN: run } : {},
      buffers: { input: from, output },
      params: {
        count,
        plane,
        parts,
        threshold: Math.min(2 ** 32 - 1, Math.floor(probability * 2 ** 32)),
        scale: probability < 1 ? 1 / (1 - probability) : 0,
        seed,
        stream: purpose.dropout,
        step,
        layer,
        accumulate: accumulate ? 1 : 0,
      },
      grid: linearGrid(channels ? count * parts : Math.ceil(count / 4), 64),
      turns: 0,
      work: { bytes: 2 * input.byteLength },
    });
  const output = tape.create(input.shape);
  launch(input, { tensor: output, accumulate: false });
  const backward = (gradOutput: Tensor) => {
    const target = tape.gradientOf(input);
    if (target) launch(gradOutput, target);
  };
  tape.record({ operation: "dropout", result: output, inputs: [input], backward });
  return output;
}
