/** Rows scaled to length one. */
import type { Tape } from "../tape.ts";
import { Tensor } from "../tensor.ts";

/**
 * output[r] = input[r] / max(|input[r]|, epsilon), as `torch.nn.functional.normalize`. The gradient is that of the
 * first case; a row shorter than epsilon has no direction.
 * @param input [N, D]
 */
export function l2Normalise(tape: Tape, input: Tensor, epsilon = 1e-12): Tensor {
  const { gpu } = tape;
  const [rows, columns] = input.shape;
  const output = tape.create(input.shape);
  const norms = Tensor.create(gpu, [rows]);
  gpu.stream.dispatch({
    kernel: "l2_normalise",
    buffers: { input, output, norms },
    params: { rows, columns, epsilon },
    grid: [Math.ceil(rows / 64), 1, 1],
  });
  tape.record(output, (gradOutput) => {
    const target = tape.gradientOf(input);
    if (!target) return;
    gpu.stream.dispatch({
      kernel: "l2_normalise_gradient",
      buffers: { output, gradOutput, norms, gradInput: target.tensor },
      params: { rows, columns, accumulate: target.accumulate ? 1 : 0 },
      grid: [Math.ceil(rows / 64), 1, 1],
    });
  }, [norms]);
  return output;
}
