import { ConfigurationError } from "../errors.ts";
import { shorten } from "../suggest.ts";

/** A parsed data specification: where the images come from. */
export type DataSpec =
  | { kind: "synthetic"; length: number }
  | { kind: "folder"; path: string }
  | { kind: "cifar10"; path: string }
  | { kind: "tensor"; path: string };

/** Images of `synthetic` without a number: 2048 to train on and 512 to hold out. */
export const defaultSyntheticLength = 2560;

/** The most images of `synthetic`: their order, split and labels are lists of so many numbers. */
const mostSynthetic = 10_000_000;

const allowed = "synthetic, synthetic:N, folder:DIR, cifar10:DIR or tensor:FILE.safetensors";

/**
 * Reads a data specification such as `synthetic:4096` or `folder:photos/train`. Touches no file.
 *
 * @throws ConfigurationError when `text` is none of the forms
 */
export function parseDataSpec(text: string): DataSpec {
  const colon = text.indexOf(":");
  const kind = colon < 0 ? text : text.slice(0, colon);
  const rest = colon < 0 ? undefined : text.slice(colon + 1);
  if (kind === "synthetic") {
    if (rest === undefined) return { kind, length: defaultSyntheticLength };
    const length = Number(rest);
    if (!/^\d+$/.test(rest) || length < 1 || length > mostSynthetic) {
      throw new ConfigurationError(
        `data specification "${
          shorten(text)
        }": the number of synthetic images must be a whole number from 1 to ` +
          `${mostSynthetic}, e.g. synthetic:${defaultSyntheticLength}`,
      );
    }
    return { kind, length };
  }
  if (kind === "folder" || kind === "cifar10" || kind === "tensor") {
    if (rest) return { kind, path: rest };
    const file = kind === "tensor" ? "tensor:FILE.safetensors" : `${kind}:DIR`;
    throw new ConfigurationError(`data specification "${shorten(text)}" names no path; write ${file}`);
  }
  throw new ConfigurationError(`data specification "${shorten(text)}" is not known; allowed: ${allowed}`);
}
