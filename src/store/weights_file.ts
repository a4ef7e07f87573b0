/** What the readers of weights of other programs give. */
import type { Shape } from "../shape.ts";

/** An open file of weights, whose tensors are read one at a time. Declare it with `using`. */
export interface WeightsFile extends Disposable {
  readonly path: string;
  /** By their names in the file: shapes, and whether the elements are floating-point numbers. */
  readonly tensors: ReadonlyMap<string, { readonly shape: Shape; readonly floats: boolean }>;
  /**
   * Reads a tensor as float32, row by row; half, bfloat16 and double precision are converted.
   *
   * @throws {DataError} when it has other elements, or is damaged
   */
  read(name: string): Promise<Float32Array<ArrayBuffer>>;
}
