/** Looking for values that are not finite, on the device. */
import { ShapeError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { loop } from "../../gpu/limits.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import type { Tensor } from "../tensor.ts";
import { kernel } from "../../gpu/kernel.ts";
import findNonfiniteSource from "../../../kernels/find_nonfinite.wgsl" with { type: "text" };

const findNonfiniteKernel = kernel("find_nonfinite", findNonfiniteSource);

/** Groups of four elements that one invocation looks at. */
const turns = 8;
const workgroupSize = 64;

/**
 * Records a search for NaN and infinities. {@linkcode firstNonfinite} reads what it finds.
 *
 * @param input a multiple of four elements
 * @param result receives what was found at `slot`, which must be zero before
 */
export function findNonfinite(gpu: Gpu, input: Tensor, result: Tensor, slot: number): void {
  if (input.length % 4 !== 0) {
    throw new ShapeError(`find_nonfinite: ${input.length} elements, expected a multiple of four`);
  }
  const quads = input.length / 4;
  const grid = linearGrid(Math.ceil(quads / turns), workgroupSize);
  gpu.stream.dispatch({
    kernel: findNonfiniteKernel,
    constants: { TURNS: turns },
    buffers: { input, result },
    params: { quads, stride: grid[0] * grid[1] * workgroupSize, slot },
    grid,
    turns: loop(turns),
    work: { bytes: input.byteLength },
  });
}

/**
 * The index of the first element that is not finite; undefined when all are.
 *
 * @param found what {@linkcode findNonfinite} left in its slot
 * @param length elements of its input
 */
export function firstNonfinite(found: number, length: number): number | undefined {
  return found === 0 ? undefined : length - found;
}
