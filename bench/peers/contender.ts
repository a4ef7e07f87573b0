/** What a library has to offer to be compared. */
import type { Row } from "./rows.ts";

/** Results on the host by name, in PyTorch's layouts. */
export type Results = Map<string, Float32Array>;

/** One row's work, ready to run. */
export interface PreparedRow {
  /**
   * Runs once from the initial state and brings the results back: `output`, `gradInput`, gradients by the name of what
   * they belong to; of a training step `loss` and, by name, how far each parameter moved.
   */
  results(): Promise<Results>;
  /** Hands one repetition to the device and does not wait for it. */
  repeat(): Promise<void> | void;
  /** Waits until the device has done every repetition. */
  finish(): Promise<void>;
  /** Gives the memory back. */
  release(): void;
}

/** A library. */
export interface Contender {
  readonly name: string;
  /** Uploads the row's inputs. Throws where the library lacks what the row needs, here or at the first run. */
  prepare(row: Row): Promise<PreparedRow> | PreparedRow;
}

/** How far parameters moved in a step. */
export function movement(before: Float32Array, after: Float32Array): Float32Array {
  return before.map((value, index) => value - after[index]);
}
