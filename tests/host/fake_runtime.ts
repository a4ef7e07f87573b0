/** A stand-in for ONNX Runtime: a network whose features of an image are the sum of its values, and the first of them. */
import type { OnnxRuntime } from "../../src/host/onnx_runtime.ts";

/** An input or output. */
export function value(name: string, ...shape: (number | string)[]) {
  return { name, type: "float32", shape };
}

/** The input of images. */
export function images(count: number | string, height: number | string, width: number | string) {
  return value("images", count, 3, height, width);
}

/** An output of a row an image. */
export function matrix(name: string, count: number | string, columns: number | string) {
  return value(name, count, columns);
}

/** The runtime, and the batches that it was given. */
export function fakeRuntime(
  inputMetadata: readonly ReturnType<typeof value>[],
  outputMetadata: readonly ReturnType<typeof value>[],
): { runtime: OnnxRuntime; batches: number[] } {
  const batches: number[] = [];
  class Tensor {
    constructor(readonly type: string, readonly data: Float32Array, readonly dims: readonly number[]) {}
  }
  const session = {
    inputMetadata,
    outputMetadata,
    run(feeds: Readonly<Record<string, unknown>>, fetches: readonly string[] = []) {
      const { data, dims: [count, ...image] } = feeds[inputMetadata[0].name] as Tensor;
      const fixed = inputMetadata[0].shape;
      [count, ...image].forEach((size, at) => {
        if (typeof fixed[at] === "number" && fixed[at] !== size) {
          throw new Error(`${size} in place of ${fixed[at]}`);
        }
      });
      batches.push(count);
      const size = data.length / count;
      const rows = Array.from({ length: count }, (_, row) => data.subarray(row * size, (row + 1) * size));
      const features = Float32Array.from(
        rows.flatMap((row) => [row.reduce((sum, one) => sum + one, 0), row[0]]),
      );
      return Promise.resolve({ [fetches[0]]: { dims: [count, 2], data: features } });
    },
    release: () => Promise.resolve(),
  };
  return { runtime: { Tensor, InferenceSession: { create: () => Promise.resolve(session) } }, batches };
}
