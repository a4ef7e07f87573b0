/** The loss of semantic segmentation. */
import { linearGrid } from "../../gpu/dispatch.ts";
import { kernel } from "../../gpu/kernel.ts";
import type { Tape } from "../tape.ts";
import { expectShape, Tensor } from "../tensor.ts";
import { launchChannelSums } from "./bias.ts";
import { type BilinearOptions, launchLinearGradient } from "./bilinear.ts";
import { mostReaders } from "./linear_axis.ts";
import { pixelLogits } from "./pixel_logits.ts";
import pixelCrossEntropySource from "../../../kernels/pixel_cross_entropy.wgsl" with { type: "text" };
import pixelCrossEntropyGradientSource from "../../../kernels/pixel_cross_entropy_gradient.wgsl" with {
  type: "text",
};
import pixelMeanSource from "../../../kernels/pixel_mean.wgsl" with { type: "text" };
import exponential from "../../../kernels/include/exponential.wgsl" with { type: "text" };
import linear_places from "../../../kernels/include/linear_places.wgsl" with { type: "text" };
import not_a_number from "../../../kernels/include/not_a_number.wgsl" with { type: "text" };
import pixel_logits from "../../../kernels/include/pixel_logits.wgsl" with { type: "text" };
import pixel_params from "../../../kernels/include/pixel_params.wgsl" with { type: "text" };
import row_softmax from "../../../kernels/include/row_softmax.wgsl" with { type: "text" };

const shared = { pixel_params, linear_places, exponential, not_a_number };
const pixelCrossEntropyKernel = kernel("pixel_cross_entropy", pixelCrossEntropySource, {
  ...shared,
  pixel_logits,
  row_softmax,
});
const pixelCrossEntropyGradientKernel = kernel(
  "pixel_cross_entropy_gradient",
  pixelCrossEntropyGradientSource,
  shared,
);
const pixelMeanKernel = kernel("pixel_mean", pixelMeanSource);

/** What pixels count, and how logits become as many. */
export interface PixelCrossEntropyOptions extends BilinearOptions {
  /** Label of pixels that count for nothing. Default 255. */
  readonly ignore?: number;
  /** Divide the sum by the number of pixels that are not ignored, the default, or of all, as mmsegmentation long did. */
  readonly mean?: "valid" | "all";
}

/**
 * Softmax cross-entropy over the channels, mean over pixels, as `torch.nn.functional.cross_entropy` of logits that are
 * interpolated to the size of the labels. The interpolated ones are never stored: a forward pass keeps two numbers a pixel,
 * and a backward pass needs [N, C, H, w] for a moment. Where no pixel counts the loss is 0 without a gradient, in place of
 * PyTorch's NaN; a label that is no class, nor the ignored one, makes the loss NaN.
 *
 * @param logits [N, C, h, w]
 * @param labels [N, H, W] as unsigned integers: classes below C, or the ignored one
 * @returns the mean loss, a scalar
 */
export function pixelCrossEntropy(
  tape: Tape,
  logits: Tensor,
  labels: Tensor,
  { alignCorners = false, ignore = 255, mean = "valid" }: PixelCrossEntropyOptions = {},
): Tensor {
  expectShape("pixelCrossEntropy", "the labels", labels.shape, [logits.shape[0], -1, -1]);
  const [, height, width] = labels.shape;
  const { images, channels, y, x, pixels, upsample, params: sizes } = pixelLogits(
    "pixelCrossEntropy",
    logits,
    [height, width],
    alignCorners,
  );
  const params = { ...sizes, ignored: ignore };
  const { gpu } = tape;
  const rows = Tensor.create(gpu, [pixels, 2]);
  const factor = Tensor.create(gpu, [1]);
  const loss = tape.create([]);
  using losses = Tensor.create(gpu, [1, 2, pixels]);
  using sums = Tensor.create(gpu, [2]);
  gpu.stream.dispatch({
    kernel: pixelCrossEntropyKernel,
    constants: { UPSAMPLE: upsample },
    buffers: { logits, labels, rows, losses },
    params,
    grid: linearGrid(pixels, 64),
    turns: { rounds: channels, each: 1 },
    // An exponential, and four products where logits are interpolated.
    work: {
      flops: (upsample ? 28 : 20) * pixels * channels,
      bytes: logits.byteLength + 5 * labels.byteLength,
    },
  });
  launchChannelSums(gpu, losses, { tensor: sums, accumulate: false });
  gpu.stream.dispatch({
    kernel: pixelMeanKernel,
    buffers: { sums, loss, factor },
    params: { pixels: mean === "all" ? pixels : 0 },
    grid: [1, 1, 1],
    turns: 0,
  });
  const backward = (gradLoss: Tensor) => {
    const target = tape.gradientOf(logits);
    if (!target) return;
    const across = upsample ? Tensor.create(gpu, [images, channels, height, x.size]) : undefined;
    const gradLogits = across ?? target.tensor;
    gpu.stream.dispatch({
      kernel: pixelCrossEntropyGradientKernel,
      constants: { UPSAMPLE: upsample },
      buffers: { logits, labels, rows, factor, gradLoss, gradLogits },
      params: { ...params, accumulate: target.accumulate ? 1 : 0 },
      grid: linearGrid(gradLogits.length, 64),
      turns: upsample ? { rounds: mostReaders(x), each: 1 } : 0,
      work: {
        flops: (upsample ? 60 : 20) * pixels * channels,
        bytes: logits.byteLength + 3 * labels.byteLength + gradLogits.byteLength,
      },
    });
    if (!across) return;
    launchLinearGradient(across, target, y, images * channels, x.size);
    across.release();
  };
  tape.record({
    operation: "pixelCrossEntropy",
    result: loss,
    inputs: [logits],
    saved: [rows, factor],
    backward,
  });
  return loss;
}
