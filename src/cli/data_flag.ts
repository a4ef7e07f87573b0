/** The flag that names images, in all commands. */
import type { Flag } from "./flags.ts";

/** What follows `--data`. */
const forms =
  "DIR, LIST.txt (a path a line), synthetic[:N], cifar10:DIR, tensor:FILE.safetensors, tar:DIR/train-{000..127}.tar (shards), or masks:, voc:, cityscapes: or " +
  "coco: for the photos of such a set; several folders " +
  "and lists make one set";

/**
 * `--data`, which may be given several times.
 *
 * @param what the images are for, e.g. `Images to train on`
 * @param otherwise what is used without the flag
 */
export function dataFlag(what: string, otherwise?: string) {
  return {
    type: "strings",
    placeholder: "SPEC",
    description: `${what}: ${forms}${otherwise === undefined ? "" : ` (default: ${otherwise})`}`,
  } as const satisfies Flag;
}

/** What the values of the flag name together; undefined where it was not given. */
export function givenData(values: readonly string[]): string | string[] | undefined {
  return values.length > 1 ? [...values] : values.at(0);
}
