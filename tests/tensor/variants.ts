/** Which kernel variants a test has reached. */
import type { Gpu } from "../../src/gpu/device.ts";

/**
 * The values that some constants of a kernel had in the pipelines compiled so far, e.g. `["16 4", "8 4"]` for TILE and
 * PIXELS; sorted, each once.
 */
export function variants(gpu: Gpu, kernel: string, ...constants: string[]): string[] {
  const found = new Set<string>();
  for (const key of gpu.pipelines.keys) {
    const space = key.indexOf(" ");
    if (key.slice(0, space) !== kernel) continue;
    const values = JSON.parse(key.slice(space + 1));
    found.add(constants.map((constant) => String(values[constant])).join(" "));
  }
  return [...found].sort();
}
