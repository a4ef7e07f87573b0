/** Maps of logits seen at another size: the numbers behind kernels/include/pixel_params.wgsl. */
import { expectShape, type Tensor } from "../tensor.ts";
import { type LinearAxis, linearAxis, planeParams } from "./linear_axis.ts";

/** How the kernels over the pixels of a map of logits read it. */
export interface PixelLogits {
  readonly images: number;
  readonly channels: number;
  readonly y: LinearAxis;
  readonly x: LinearAxis;
  /** Rows and columns of pixels. */
  readonly size: readonly [height: number, width: number];
  readonly pixels: number;
  /** The constant UPSAMPLE. */
  readonly upsample: boolean;
  /** All parameters that the sizes decide; `ignored` is no label. */
  readonly params: Readonly<Record<string, number>>;
}

/** @param logits [N, C, h, w], to be interpolated to `size` where that is another one */
export function pixelLogits(
  operation: string,
  logits: Tensor,
  size: readonly [height: number, width: number],
  alignCorners: boolean,
): PixelLogits {
  expectShape(operation, "the logits", logits.shape, [-1, -1, -1, -1]);
  const [images, channels, height, width] = logits.shape;
  const y = linearAxis(operation, height, size[0], alignCorners);
  const x = linearAxis(operation, width, size[1], alignCorners);
  return {
    images,
    channels,
    y,
    x,
    size,
    pixels: images * size[0] * size[1],
    upsample: height !== size[0] || width !== size[1],
    params: {
      images,
      channels,
      ...planeParams(y, x),
      ignored: 0xffffffff,
      accumulate: 0,
      firstRound: 0,
      endRound: 0,
    },
  };
}
