/** Objects from labels whose values number them. */
import { packMask, runsArea, runsBox } from "./run_lengths.ts";
import type { Instance } from "./target.ts";

/**
 * An object for each value of a label, in ascending order.
 *
 * @param describe what a value stands for; undefined for none
 */
export function instancesOf(
  { width, height, values }: { width: number; height: number; values: Uint8Array | Uint16Array },
  describe: (value: number) => Pick<Instance, "classIndex" | "crowd" | "ignored"> | undefined,
): Instance[] {
  const found = [...new Set<number>(values)].sort((a, b) => a - b);
  return found.flatMap((value) => {
    const described = describe(value);
    return described ? [{ value, described }] : [];
  }).map(({ value, described }, at) => {
    const mask = packMask(Uint8Array.from(values, (other) => other === value ? 1 : 0), height, width);
    return { id: at + 1, ...described, box: runsBox(mask), area: runsArea(mask), mask };
  });
}
