/** Average pooling to a given size. */
import { ShapeError } from "../../errors.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { kernel } from "../../gpu/kernel.ts";
import type { GradientTarget } from "../gradient_target.ts";
import type { Tape } from "../tape.ts";
import { expectShape, Tensor } from "../tensor.ts";
import adaptiveAveragePoolSource from "../../../kernels/adaptive_average_pool.wgsl" with { type: "text" };

const adaptiveAveragePoolKernel = kernel("adaptive_average_pool", adaptiveAveragePoolSource);

/**
 * Mean of each cell of a grid laid over the map, as `torch.nn.functional.adaptive_avg_pool2d`: cell o of an axis takes the
 * pixels from floor(o · side / cells) to ceil((o + 1) · side / cells), so cells overlap where the side is no multiple, and
 * there may be more cells than pixels.
 *
 * @param input [N, C, H, W]
 * @param size rows and columns of cells
 * @returns [N, C, size[0], size[1]]
 * @throws {ShapeError} where a side is 0, or pixels and cells of an axis have a product above 2^30
 */
export function adaptiveAveragePool(
  tape: Tape,
  input: Tensor,
  size: readonly [height: number, width: number],
): Tensor {
  expectShape("adaptiveAveragePool", "the input", input.shape, [-1, -1, -1, -1]);
  const [images, channels, height, width] = input.shape;
  for (const [side, cells] of [[height, size[0]], [width, size[1]]]) {
    if (!Number.isInteger(cells) || cells < 1 || side < 1 || (side + 1) * (cells + 1) > 2 ** 30) {
      throw new ShapeError(
        `adaptiveAveragePool: from a side of ${side} to ${cells}; both take at least 1, their product at most 2^30`,
      );
    }
  }
  const planes = images * channels;
  const output = tape.create([images, channels, ...size]);
  using rows = Tensor.create(tape.gpu, [planes, height, size[1]]);
  launchAxis(input, { tensor: rows, accumulate: false }, planes * height, width, size[1], 1);
  launchAxis(rows, { tensor: output, accumulate: false }, planes, height, size[0], size[1]);
  const backward = (gradOutput: Tensor) => {
    const target = tape.gradientOf(input);
    if (!target) return;
    using gradRows = Tensor.create(tape.gpu, [planes, height, size[1]]);
    const rowsTarget = { tensor: gradRows, accumulate: false };
    launchAxis(gradOutput, rowsTarget, planes, size[0], height, size[1], true);
    launchAxis(gradRows, target, planes * height, size[1], width, 1, true);
  };
  tape.record({ operation: "adaptiveAveragePool", result: output, inputs: [input], backward });
  return output;
}

function launchAxis(
  values: Tensor,
  { tensor: results, accumulate }: GradientTarget,
  outer: number,
  valueSize: number,
  resultSize: number,
  inner: number,
  gradient = false,
): void {
  const rounds = Math.min(valueSize, Math.ceil(valueSize / resultSize) + 1);
  results.gpu.stream.dispatch({
    kernel: adaptiveAveragePoolKernel,
    constants: { GRADIENT: gradient },
    buffers: { values, results },
    params: { outer, valueSize, resultSize, inner, rounds, accumulate: accumulate ? 1 : 0 },
    grid: linearGrid(outer * resultSize * inner, 64),
    turns: { rounds, each: 1 },
    work: { bytes: values.byteLength + results.byteLength },
  });
}
