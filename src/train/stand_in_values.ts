/** Values that are as good as weights for the clock; to draw those of a large network takes longer than its steps. */
import { purpose, Random } from "../random.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Statistics } from "../nn/weights.ts";
import type { Objective } from "./objective.ts";

const tableLength = 4099;

/** Fills all that an objective keeps with small numbers, and its statistics as they are before training. */
export function fillWithStandIns(
  { encoder, sources }: Objective & { readonly encoder: { readonly statistics: Statistics } },
): void {
  const random = new Random(0, purpose.tuning, 1);
  const table = Float32Array.from({ length: tableLength }, () => random.uniform(-0.05, 0.05));
  for (const [, source] of sources) {
    for (const tensor of source instanceof Tensor ? [source] : source.chunks) {
      const values = new Float32Array(tensor.length);
      for (let at = 0; at < values.length; at += tableLength) {
        values.set(table.subarray(0, values.length - at), at);
      }
      tensor.write(values);
    }
  }
  encoder.statistics.reset();
}
