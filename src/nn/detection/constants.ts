/** Constants of a step, uploaded together: each upload by itself would submit what is recorded. */
import { elements, type Shape } from "../../shape.ts";
import type { Tape } from "../../tensor/tape.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** Values on the host with their shape; integers lie among the numbers as their bits. */
export interface HostValues {
  readonly values: Float32Array | Uint32Array | Int32Array;
  readonly shape: Shape;
}

/** Elements between the starts of views that kernels can be bound to. */
const alignment = 64;

/** Uploads values in one piece. The tensors are the tape's. */
export function uploadTogether(tape: Tape, lists: readonly HostValues[]): Tensor[] {
  const starts: number[] = [];
  let length = 0;
  for (const { shape } of lists) {
    starts.push(length);
    length += Math.ceil(elements(shape) / alignment) * alignment;
  }
  const words = new Uint32Array(length);
  lists.forEach(({ values }, at) =>
    words.set(new Uint32Array(values.buffer, values.byteOffset, values.length), starts[at])
  );
  const whole = tape.create([length]);
  if (length > 0) whole.write(words);
  return lists.map(({ shape }, at) => whole.slice(starts[at], shape));
}
