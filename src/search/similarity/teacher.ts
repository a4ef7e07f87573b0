/** The teacher's side of a comparison. */
import type { Tensor } from "../../tensor/tensor.ts";
import type { ScoreTable } from "./score_table.ts";

/** The teacher's side of a comparison: its own copy of what it needs, so the teacher's features may be released. */
export interface PreparedTeacher extends Disposable {
  /**
   * Records the comparison of a candidate on the same images; its result is added to a slot of the table.
   * @param candidate features of the teacher's shape, though with any number of channels where the metric allows it
   * @param table made for the same metric
   * @param firstImage the place of the first of these images among those whose numbers the table keeps; default 0
   */
  accumulate(candidate: Tensor, table: ScoreTable, slot: number, firstImage?: number): void;
  /** Releases the memory; nothing may read it afterwards. */
  release(): void;
}

/** A prepared teacher that owns some tensors. */
export function preparedTeacher(
  accumulate: PreparedTeacher["accumulate"],
  ...tensors: readonly Tensor[]
): PreparedTeacher {
  const release = () => {
    for (const tensor of tensors) tensor.release();
  };
  return { accumulate, release, [Symbol.dispose]: release };
}
