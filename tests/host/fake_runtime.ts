/** A stand-in for ONNX Runtime: a network whose features of an image are the sum of its values, and the first of them. */
import type { OnnxRuntime } from "../../src/host/onnx_runtime.ts";

/**
 * @param size the images [N, 3, H, W] that it takes, undefined for any
 * @param rows how many rows it gives for so many images
 * @returns the runtime, and the numbers of images that it was given
 */
export function fakeRuntime(
  size: readonly (number | undefined)[] = [],
  rows = (images: number) => images,
): { runtime: OnnxRuntime; batches: number[] } {
  const batches: number[] = [];
  class Tensor {
    constructor(readonly type: string, readonly data: Float32Array, readonly dims: readonly number[]) {}
  }
  const session = {
    run(feeds: Readonly<Record<string, unknown>>, [wanted]: readonly string[]) {
      const [{ data, dims }] = Object.values(feeds) as [Tensor];
      dims.forEach((found, at) => {
        if (size[at] !== undefined && size[at] !== found) throw new Error(`${found} in place of ${size[at]}`);
      });
      const [count] = dims;
      batches.push(count);
      const length = data.length / count;
      const images = Array.from(
        { length: count },
        (_, row) => data.subarray(row * length, (row + 1) * length),
      );
      const features = Float32Array.from(
        images.flatMap((row) => [row.reduce((sum, one) => sum + one, 0), row[0]]),
      );
      return Promise.resolve({ [wanted]: { type: "float32", dims: [rows(count), 2], data: features } });
    },
    release: () => Promise.resolve(),
  };
  return { runtime: { Tensor, InferenceSession: { create: () => Promise.resolve(session) } }, batches };
}
