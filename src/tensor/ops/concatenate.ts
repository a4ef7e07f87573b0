/** Maps side by side along their channels. */
import { ShapeError } from "../../errors.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { kernel } from "../../gpu/kernel.ts";
import { elements } from "../../shape.ts";
import type { Tape } from "../tape.ts";
import { expectShape, type Tensor } from "../tensor.ts";
import concatenateSource from "../../../kernels/concatenate.wgsl" with { type: "text" };

const concatenateKernel = kernel("concatenate", concatenateSource);

/**
 * The channels of several tensors one after the other, as `torch.cat(inputs, dim=1)`.
 *
 * @param inputs [N, C1, ...], [N, C2, ...], … with the same sizes but for the channels
 * @returns [N, C1 + C2 + …, ...]
 * @throws {ShapeError} for no inputs, or sizes that differ
 */
export function concatenate(tape: Tape, inputs: readonly Tensor[]): Tensor {
  if (inputs.length === 0 || inputs[0].shape.length < 2) {
    throw new ShapeError("concatenate: it takes at least one tensor, with images and channels");
  }
  const [images, , ...rest] = inputs[0].shape;
  for (const input of inputs) expectShape("concatenate", "an input", input.shape, [images, -1, ...rest]);
  const channels = inputs.reduce((sum, { shape }) => sum + shape[1], 0);
  const output = tape.create([images, channels, ...rest]);
  const wholeImage = elements(output.shape.slice(1));
  let end = 0;
  const parts = inputs.map((input) => {
    const partImage = elements(input.shape.slice(1)), first = end;
    end += partImage;
    return { input, params: { images, partImage, wholeImage, first } };
  });
  const launch = (
    params: typeof parts[0]["params"],
    part: Tensor,
    whole: Tensor,
    split: boolean,
    accumulate = false,
  ) =>
    tape.gpu.stream.dispatch({
      kernel: concatenateKernel,
      constants: { SPLIT: split },
      buffers: { part, whole },
      params: { ...params, accumulate: accumulate ? 1 : 0 },
      grid: linearGrid(part.length, 64),
      turns: 0,
      work: { bytes: 2 * part.byteLength },
    });
  for (const { input, params } of parts) launch(params, input, output, false);
  const backward = (gradOutput: Tensor) => {
    for (const { input, params } of parts) {
      const target = tape.gradientOf(input);
      if (target) launch(params, target.tensor, gradOutput, true, target.accumulate);
    }
  };
  tape.record({ operation: "concatenate", result: output, inputs, backward });
  return output;
}
