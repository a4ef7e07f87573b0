/** What a subnet is worth, from whether each image was classified right. */
import { type Worth, worthOf } from "../../../src/studies/correlate/outcome.ts";

/** @param right a 0 or 1 for each image */
export function worthOfRight(right: ArrayLike<number>): Worth {
  return worthOf({ kind: "right", right: Array.from(right).join("") });
}
