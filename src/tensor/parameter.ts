import type { Tensor } from "./tensor.ts";

/**
 * A trainable tensor, stored at full width. Operations take how much of it is active and read the leading slice in
 * place; its gradient, where there is one, has the same layout and is added to, never overwritten.
 */
export interface Parameter {
  readonly name: string;
  readonly value: Tensor;
  readonly gradient: Tensor | undefined;
}
