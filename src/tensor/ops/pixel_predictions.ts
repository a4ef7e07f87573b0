/** What a map of logits says of each pixel. */
import { linearGrid } from "../../gpu/dispatch.ts";
import { kernel } from "../../gpu/kernel.ts";
import type { Tape } from "../tape.ts";
import { Tensor } from "../tensor.ts";
import type { BilinearOptions } from "./bilinear.ts";
import { pixelLogits } from "./pixel_logits.ts";
import pixelArgmaxSource from "../../../kernels/pixel_argmax.wgsl" with { type: "text" };
import pixelSoftmaxSource from "../../../kernels/pixel_softmax.wgsl" with { type: "text" };
import pixelSoftmaxRowsSource from "../../../kernels/pixel_softmax_rows.wgsl" with { type: "text" };
import exponential from "../../../kernels/include/exponential.wgsl" with { type: "text" };
import linear_places from "../../../kernels/include/linear_places.wgsl" with { type: "text" };
import not_a_number from "../../../kernels/include/not_a_number.wgsl" with { type: "text" };
import order from "../../../kernels/include/order.wgsl" with { type: "text" };
import pixel_logits from "../../../kernels/include/pixel_logits.wgsl" with { type: "text" };
import pixel_params from "../../../kernels/include/pixel_params.wgsl" with { type: "text" };

const shared = { pixel_params, pixel_logits, linear_places };
const pixelArgmaxKernel = kernel("pixel_argmax", pixelArgmaxSource, { ...shared, order });
const pixelSoftmaxRowsKernel = kernel("pixel_softmax_rows", pixelSoftmaxRowsSource, {
  ...shared,
  exponential,
  not_a_number,
});
const pixelSoftmaxKernel = kernel("pixel_softmax", pixelSoftmaxSource, {
  ...shared,
  exponential,
  not_a_number,
});

/** Channels whose probabilities one invocation finds. */
const channelsEach = 4;

/**
 * The class of each pixel: the channel of the largest logit after bilinear interpolation, as `torch.argmax` over the
 * channels: the first of equal ones, the first NaN before all. Interpolated logits are never stored.
 *
 * @param logits [N, C, h, w]; a constant
 * @param size rows and columns of the result
 * @returns [N, size[0], size[1]] as unsigned integers
 */
export function pixelClasses(
  tape: Tape,
  logits: Tensor,
  size: readonly [height: number, width: number],
  { alignCorners = false }: BilinearOptions = {},
): Tensor {
  tape.expectConstants("pixelClasses", logits);
  const { images, channels, pixels, upsample, params } = pixelLogits(
    "pixelClasses",
    logits,
    size,
    alignCorners,
  );
  const classes = tape.create([images, ...size]);
  tape.gpu.stream.dispatch({
    kernel: pixelArgmaxKernel,
    constants: { UPSAMPLE: upsample },
    buffers: { logits, classes },
    params,
    grid: linearGrid(pixels, 64),
    turns: { rounds: channels, each: 1 },
    work: { flops: (upsample ? 8 : 1) * pixels * channels, bytes: logits.byteLength + classes.byteLength },
  });
  return classes;
}

/**
 * The softmax of each pixel over the channels, after bilinear interpolation of the logits, which are not stored.
 *
 * @param logits [N, C, h, w]; a constant
 * @param size rows and columns of the result
 * @returns probabilities [N, C, size[0], size[1]]
 */
export function pixelProbabilities(
  tape: Tape,
  logits: Tensor,
  size: readonly [height: number, width: number],
  { alignCorners = false }: BilinearOptions = {},
): Tensor {
  tape.expectConstants("pixelProbabilities", logits);
  const { images, channels, pixels, upsample, params } = pixelLogits(
    "pixelProbabilities",
    logits,
    size,
    alignCorners,
  );
  const { stream } = tape.gpu;
  const probabilities = tape.create([images, channels, ...size]);
  using rows = Tensor.create(tape.gpu, [pixels, 2]);
  stream.dispatch({
    kernel: pixelSoftmaxRowsKernel,
    constants: { UPSAMPLE: upsample },
    buffers: { logits, rows },
    params,
    grid: linearGrid(pixels, 64),
    turns: { rounds: channels, each: 1 },
    work: { flops: (upsample ? 28 : 20) * pixels * channels, bytes: logits.byteLength + rows.byteLength },
  });
  stream.dispatch({
    kernel: pixelSoftmaxKernel,
    constants: { UPSAMPLE: upsample, CHANNELS: channelsEach },
    buffers: { logits, rows, probabilities },
    params,
    grid: linearGrid(Math.ceil(channels / channelsEach) * pixels, 64),
    turns: 0,
    work: {
      flops: (upsample ? 28 : 20) * pixels * channels,
      bytes: logits.byteLength + probabilities.byteLength,
    },
  });
  return probabilities;
}
