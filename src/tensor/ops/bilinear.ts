/** Bilinear interpolation of feature maps to another size. */
import { linearGrid } from "../../gpu/dispatch.ts";
import { kernel } from "../../gpu/kernel.ts";
import type { GradientTarget } from "../gradient_target.ts";
import type { Tape } from "../tape.ts";
import { expectShape, Tensor } from "../tensor.ts";
import { type LinearAxis, linearAxis, mostReaders, planeParams } from "./linear_axis.ts";
import bilinearSource from "../../../kernels/bilinear.wgsl" with { type: "text" };
import bilinearGradientSource from "../../../kernels/bilinear_gradient.wgsl" with { type: "text" };
import linear_places from "../../../kernels/include/linear_places.wgsl" with { type: "text" };

const bilinearKernel = kernel("bilinear", bilinearSource, { linear_places });
const bilinearGradientKernel = kernel("bilinear_gradient", bilinearGradientSource, { linear_places });

/** Planes whose places one invocation finds. */
const planesEach = 4;

/** Where outputs lie among inputs. */
export interface BilinearOptions {
  /**
   * Whether the centres of the outermost inputs and outputs lie together, as PyTorch's `align_corners`. Default false: their
   * outer edges do.
   */
  readonly alignCorners?: boolean;
}

/**
 * A map of another size, as `torch.nn.functional.interpolate(…, mode="bilinear")`, enlarged or reduced without a filter.
 * Positions are exact where PyTorch rounds them to single precision.
 *
 * @param input [N, C, H, W]
 * @param size rows and columns of the result
 * @returns [N, C, size[0], size[1]]
 * @throws {ShapeError} where a side is 0, or old and new side have a product above 2^30
 */
export function bilinear(
  tape: Tape,
  input: Tensor,
  size: readonly [height: number, width: number],
  { alignCorners = false }: BilinearOptions = {},
): Tensor {
  expectShape("bilinear", "the input", input.shape, [-1, -1, -1, -1]);
  const [images, channels, height, width] = input.shape;
  const y = linearAxis("bilinear", height, size[0], alignCorners);
  const x = linearAxis("bilinear", width, size[1], alignCorners);
  const planes = images * channels;
  const output = tape.create([images, channels, ...size]);
  tape.gpu.stream.dispatch({
    kernel: bilinearKernel,
    constants: { PLANES: planesEach },
    buffers: { input, output },
    params: { planes, ...planeParams(y, x) },
    grid: linearGrid(Math.ceil(planes / planesEach) * size[0] * size[1], 64),
    turns: 0,
    work: { bytes: input.byteLength + output.byteLength },
  });
  const backward = (gradOutput: Tensor) => {
    const target = tape.gradientOf(input);
    if (!target) return;
    using rows = Tensor.create(tape.gpu, [planes, size[0], width]);
    launchLinearGradient(gradOutput, { tensor: rows, accumulate: false }, x, planes * size[0], 1);
    launchLinearGradient(rows, target, y, planes, width);
  };
  tape.record({ operation: "bilinear", result: output, inputs: [input], backward });
  return output;
}

/**
 * Launches the gradient of linear interpolation along one axis.
 * @param gradOutput [outer, axis.outSize, inner]
 * @param target of [outer, axis.size, inner]
 */
export function launchLinearGradient(
  gradOutput: Tensor,
  { tensor: gradInput, accumulate }: GradientTarget,
  axis: LinearAxis,
  outer: number,
  inner: number,
): void {
  gradInput.gpu.stream.dispatch({
    kernel: bilinearGradientKernel,
    buffers: { gradOutput, gradInput },
    params: { outer, inner, ...axis, accumulate: accumulate ? 1 : 0 },
    grid: linearGrid(outer * axis.size * inner, 64),
    turns: { rounds: mostReaders(axis), each: 1 },
    work: { bytes: gradOutput.byteLength + gradInput.byteLength },
  });
}
