/** Adding parts of sums up: what several invocations, or launches, have summed by themselves. */
import type { Work } from "../../gpu/dispatch.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { kernel } from "../../gpu/kernel.ts";
import sumPartialsSource from "../../../kernels/sum_partials.wgsl" with { type: "text" };
import type { GradientTarget } from "../gradient_target.ts";
import type { Tensor } from "../tensor.ts";

const sumPartialsKernel = kernel("sum_partials", sumPartialsSource);

/**
 * Launches sums = sum over the first dimension of `partial`, in its order.
 *
 * @param partial [parts, rows, columns]
 * @param sums stored [>= rows, storedRow]; takes the leading rows and columns
 * @param storedRow elements between the starts of its rows; default: `columns`
 */
export function launchSumPartials(
  partial: Tensor,
  { tensor: sums, accumulate }: GradientTarget,
  { storedRow, tag }: { readonly storedRow?: number; readonly tag?: Work["tag"] } = {},
): void {
  const [parts, rows, columns] = partial.shape;
  partial.gpu.stream.dispatch({
    kernel: sumPartialsKernel,
    buffers: { partial, sums },
    params: { rows, columns, storedRow: storedRow ?? columns, accumulate: accumulate ? 1 : 0 },
    grid: linearGrid(rows * columns, 64),
    turns: { rounds: parts, each: 1 },
    work: { bytes: 4 * (partial.length + (accumulate ? 2 : 1) * rows * columns), tag },
  });
}
