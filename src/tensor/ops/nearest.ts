/** The top-down step of a feature pyramid. */
import { ShapeError } from "../../errors.ts";
import { loop } from "../../gpu/limits.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { kernel } from "../../gpu/kernel.ts";
import type { Tape } from "../tape.ts";
import { expectShape, type Tensor } from "../tensor.ts";
import nearestAddSource from "../../../kernels/nearest_add.wgsl" with { type: "text" };
import nearestGradientSource from "../../../kernels/nearest_gradient.wgsl" with { type: "text" };
import nearest_place from "../../../kernels/include/nearest_place.wgsl" with { type: "text" };

const nearestAddKernel = kernel("nearest_add", nearestAddSource, { nearest_place });
const nearestGradientKernel = kernel("nearest_gradient", nearestGradientSource, { nearest_place });

/** Outputs that are nearest to one input, at most. */
const readers = (size: number, outSize: number) => Math.min(outSize, Math.ceil(outSize / size) + 1);

/**
 * A fine map plus a coarse one, whose pixels are repeated to the fine one's size, whatever the two sizes are:
 * `lateral + torch.nn.functional.interpolate(coarse, size=…, mode="nearest")`, the step of a feature pyramid from one level
 * to the next (Lin et al. 2017).
 *
 * @param coarse [N, C, h, w]
 * @param lateral [N, C, H, W]
 * @returns [N, C, H, W]
 * @throws {ShapeError} where images or channels differ, or a side is above 2^20, beyond which single precision cannot place its pixels
 */
export function addNearest(tape: Tape, coarse: Tensor, lateral: Tensor): Tensor {
  expectShape("addNearest", "the coarse map", coarse.shape, [-1, -1, -1, -1]);
  const [images, channels, inHeight, inWidth] = coarse.shape;
  expectShape("addNearest", "the lateral map", lateral.shape, [images, channels, -1, -1]);
  const [, , outHeight, outWidth] = lateral.shape;
  for (const side of [inHeight, inWidth, outHeight, outWidth]) {
    if (side < 1 || side > 2 ** 20) throw new ShapeError(`addNearest: a side of ${side}; 1 to ${2 ** 20}`);
  }
  const params = {
    planes: images * channels,
    inHeight,
    inWidth,
    outHeight,
    outWidth,
    scaleY: Math.fround(inHeight / outHeight),
    scaleX: Math.fround(inWidth / outWidth),
  };
  const output = tape.create(lateral.shape);
  const { stream } = tape.gpu;
  stream.dispatch({
    kernel: nearestAddKernel,
    buffers: { coarse, lateral, output },
    params,
    grid: linearGrid(output.length, 64),
    turns: 0,
    work: { bytes: coarse.byteLength + 2 * output.byteLength },
  });
  const backward = (gradOutput: Tensor) => {
    tape.addGradient(lateral, gradOutput);
    const target = tape.gradientOf(coarse);
    if (!target) return;
    stream.dispatch({
      kernel: nearestGradientKernel,
      buffers: { gradOutput, gradCoarse: target.tensor },
      params: { ...params, accumulate: target.accumulate ? 1 : 0 },
      grid: linearGrid(coarse.length, 64),
      turns: { rounds: readers(inHeight, outHeight), each: 1 + loop(readers(inWidth, outWidth)) },
      work: { bytes: coarse.byteLength + gradOutput.byteLength },
    });
  };
  tape.record({ operation: "addNearest", result: output, inputs: [coarse, lateral], backward });
  return output;
}
