/** Benchmarks of differentiable operations: the forward pass, and the gradients one by one. */
import type { Gpu } from "../src/gpu/device.ts";
import type { Parameter } from "../src/tensor/parameter.ts";
import { Tape } from "../src/tensor/tape.ts";
import type { Tensor } from "../src/tensor/tensor.ts";
import { filledTensor, releaseAll } from "./operands.ts";
import type { PreparedCase } from "./report.ts";

/** An operation ready to run. */
export interface Operation {
  /** Inputs whose gradients are wanted. */
  readonly inputs: readonly Tensor[];
  /** Everything allocated for it. */
  readonly operands: readonly (Tensor | Parameter)[];
  apply(tape: Tape): Tensor;
}

/** Measures the forward pass alone, as in inference. */
export function forwardCase(gpu: Gpu, { operands, apply }: Operation): PreparedCase {
  return {
    run() {
      const tape = new Tape(gpu, false);
      apply(tape);
      tape.release();
    },
    release: () => releaseAll(...operands),
  };
}

/** Measures the backward pass alone. */
export function backwardCase(gpu: Gpu, { inputs, operands, apply }: Operation): PreparedCase {
  let gradient: Tensor | undefined;
  let tape: Tape;
  let result: Tensor;
  return {
    before() {
      tape = new Tape(gpu, true);
      for (const input of inputs) tape.watch(input);
      result = apply(tape);
      gradient ??= filledTensor(gpu, result.shape);
    },
    run() {
      // The tape releases the gradients it is given; a view keeps this one for the next run.
      tape.backward([result, gradient!.view(result.shape)]);
      tape.release();
    },
    release: () => releaseAll(...operands, gradient!),
  };
}
