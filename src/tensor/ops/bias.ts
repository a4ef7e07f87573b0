/** Sums over images and positions: the gradient of a bias, and sums of losses. */
import type { Gpu } from "../../gpu/device.ts";
import { loop } from "../../gpu/limits.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import type { GradientTarget } from "../gradient_target.ts";
import { Tensor } from "../tensor.ts";
import { launchSumPartials } from "./sum_partials.ts";
import { kernel } from "../../gpu/kernel.ts";
import channelSumsSource from "../../../kernels/channel_sums.wgsl" with { type: "text" };

const channelSumsKernel = kernel("channel_sums", channelSumsSource);

/** Most terms that one invocation adds up. */
const mostTerms = 4096;

/**
 * Puts the sum over images and positions of each channel into the leading slice of `target`, in a fixed order.
 * @param input [N, C, ...]
 * @param target stored [>= C]
 */
export function launchChannelSums(gpu: Gpu, input: Tensor, target: GradientTarget): void {
  const [images, channels] = input.shape;
  const plane = input.length / images / channels;
  const parts = Math.ceil(images * plane / mostTerms);
  using partial = Tensor.create(gpu, [parts, 1, channels]);
  gpu.stream.dispatch({
    kernel: channelSumsKernel,
    buffers: { input, partial },
    params: { images, channels, plane, parts },
    grid: linearGrid(partial.length, 64),
    turns: loop(Math.ceil(images * plane / parts)),
    work: { bytes: input.byteLength },
  });
  launchSumPartials(partial, target);
}

/**
 * Adds the sum over images and positions to the leading slice of a bias's gradient.
 * @param gradOutput [N, C, ...]
 * @param gradient stored [>= C]
 */
export function launchBiasGradient(gpu: Gpu, gradOutput: Tensor, gradient: Tensor): void {
  launchChannelSums(gpu, gradOutput, { tensor: gradient, accumulate: true });
}
