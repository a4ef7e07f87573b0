/** What tests of the tape share. */
import type { Gpu } from "../../src/gpu/device.ts";
import type { Parameter } from "../../src/tensor/parameter.ts";
import { type GradientStart, Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { elements, type Shape } from "../../src/shape.ts";
import { parameter, randomValues } from "../helpers.ts";

/** A parameter of random values. */
export function randomParameter(gpu: Gpu, name: string, shape: Shape, seed: number): Parameter {
  return parameter(gpu, name, { data: randomValues(elements(shape), seed), shape });
}

/** The same parameter without a gradient. */
export function frozen({ name, value }: Parameter): Parameter {
  return { name, value, gradient: undefined };
}

/** A tensor of ones. */
export function ones(gpu: Gpu, shape: Shape): Tensor {
  return Tensor.from(gpu, new Float32Array(elements(shape)).fill(1), shape);
}

/** Gradients of watched inputs under given starts. */
export async function gradients(
  gpu: Gpu,
  inputs: readonly Tensor[],
  starts: (tape: Tape) => GradientStart[],
): Promise<Float32Array[]> {
  using tape = new Tape(gpu, true);
  for (const input of inputs) tape.watch(input);
  tape.backward(...starts(tape));
  const found = inputs.map((input) => tape.take(input)!);
  const bytes = await gpu.read(...found);
  for (const tensor of found) tensor.release();
  return bytes.map((one) => new Float32Array(one));
}
