/** Rows scaled to length one. */
import { ShapeError } from "../../errors.ts";
import type { Tape } from "../tape.ts";
import { Tensor } from "../tensor.ts";
import l2NormaliseSource from "../../../kernels/l2_normalise.wgsl" with { type: "text" };
import l2NormaliseGradientSource from "../../../kernels/l2_normalise_gradient.wgsl" with { type: "text" };
import { kernel } from "../../gpu/kernel.ts";

const l2NormaliseKernel = kernel("l2_normalise", l2NormaliseSource);
const l2NormaliseGradientKernel = kernel("l2_normalise_gradient", l2NormaliseGradientSource);

/** Most columns of a row: an invocation walks a row twice, and Mesa's software driver ends loops after 65 535 turns. */
const mostColumns = 32_000;

/**
 * output[r] = input[r] / max(|input[r]|, epsilon), as `torch.nn.functional.normalize`. The gradient is that of the
 * first case; a row shorter than epsilon has no direction.
 * @param input [N, D], D up to 32 000
 * @throws ShapeError for longer rows
 */
export function l2Normalise(tape: Tape, input: Tensor, epsilon = 1e-12): Tensor {
  const { gpu } = tape;
  const [rows, columns] = input.shape;
  if (columns > mostColumns) {
    throw new ShapeError(`l2Normalise: rows of ${columns}; at most ${mostColumns} columns`);
  }
  const output = tape.create(input.shape);
  const norms = Tensor.create(gpu, [rows]);
  gpu.stream.dispatch({
    kernel: l2NormaliseKernel,
    buffers: { input, output, norms },
    params: { rows, columns, epsilon },
    grid: [Math.ceil(rows / 64), 1, 1],
    work: { bytes: 2 * input.byteLength },
  });
  tape.record(output, (gradOutput) => {
    const target = tape.gradientOf(input);
    if (!target) return;
    gpu.stream.dispatch({
      kernel: l2NormaliseGradientKernel,
      buffers: { output, gradOutput, norms, gradInput: target.tensor },
      params: { rows, columns, accumulate: target.accumulate ? 1 : 0 },
      grid: [Math.ceil(rows / 64), 1, 1],
      work: { bytes: 3 * input.byteLength },
    });
  }, [norms]);
  return output;
}
