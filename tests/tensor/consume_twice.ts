/** Running an operation whose inputs somebody else reads, too. */
import type { Gpu } from "../../src/gpu/device.ts";
import { add } from "../../src/tensor/ops/elementwise.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { randomTensor, randomValues } from "../helpers.ts";

/** What {@linkcode consumeTwice} finds. */
export interface Consumed {
  output: Float32Array;
  /** Gradients of the inputs, without what the second consumer gave. */
  gradients: Float64Array[];
}

/**
 * Runs an operation forwards and backwards while a residual sum is a second consumer of its inputs, whose gradient each
 * input's must be added to.
 */
export async function consumeTwice(
  gpu: Gpu,
  inputs: Tensor[],
  gradOutput: (output: Tensor) => Tensor,
  operation: (tape: Tape) => Tensor,
): Promise<Consumed> {
  const tape = new Tape(gpu, true);
  for (const input of inputs) tape.watch(input);
  const result = operation(tape);
  const output = Tensor.create(gpu, result.shape);
  gpu.stream.copy(result, output);
  const gradients: [Tensor, Tensor][] = [[result, gradOutput(result)]];
  const others = inputs.map((input, index) => {
    const zeros = Tensor.zeros(gpu, input.shape);
    gradients.push([add(tape, input, zeros), randomTensor(gpu, input.shape, 900 + index)]);
    return zeros;
  });
  tape.backward(...gradients);
  const [outputBytes, ...found] = await gpu.read(output, ...inputs.map((input) => tape.take(input)!));
  for (const tensor of [output, ...others]) tensor.release();
  return {
    output: new Float32Array(outputBytes),
    gradients: found.map((bytes, index) => {
      const other = randomValues(inputs[index].length, 900 + index);
      return Float64Array.from(new Float32Array(bytes), (value, at) => value - other[at]);
    }),
  };
}
