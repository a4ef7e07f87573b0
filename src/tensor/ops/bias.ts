/** The gradient of a bias. */
import type { Gpu } from "../../gpu/device.ts";
import { loop } from "../../gpu/limits.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { Tensor } from "../tensor.ts";
import { launchSumPartials } from "./sum_partials.ts";
import { kernel } from "../../gpu/kernel.ts";
import channelSumsSource from "../../../kernels/channel_sums.wgsl" with { type: "text" };

const channelSumsKernel = kernel("channel_sums", channelSumsSource);

/** Most terms that one invocation adds up. */
const mostTerms = 4096;

/**
 * Adds the sum over images and positions to the leading slice of a bias's gradient, in a fixed order.
 * @param gradOutput [N, C, ...]
 * @param gradient stored [>= C]
 */
export function launchBiasGradient(gpu: Gpu, gradOutput: Tensor, gradient: Tensor): void {
  const [images, channels] = gradOutput.shape;
  const plane = gradOutput.length / images / channels;
  const parts = Math.ceil(images * plane / mostTerms);
  using partial = Tensor.create(gpu, [parts, 1, channels]);
  gpu.stream.dispatch({
    kernel: channelSumsKernel,
    buffers: { input: gradOutput, partial },
    params: { images, channels, plane, parts },
    grid: linearGrid(partial.length, 64),
    turns: loop(Math.ceil(images * plane / parts)),
    work: { bytes: gradOutput.byteLength },
  });
  launchSumPartials(partial, { tensor: gradient, accumulate: true });
}
