/** Ranges as flags give them: `..3M`, `2M..3M`, `3M..`, `64`. */
import { UsageError } from "../errors.ts";
import type { Range } from "../search/candidates.ts";
import { parseQuantity } from "./flags.ts";

/**
 * Reads a range; a single number is a range of its own.
 *
 * @param flag as it is typed, for the message
 * @throws {UsageError} when the text is none, or its bounds are the wrong way round
 */
export function parseRange(flag: string, text: string): Range {
  const bounds = text.split("..");
  const values = bounds.map((bound) => bound === "" ? undefined : parseQuantity(bound));
  const valid = bounds.length <= 2 && values.some((value) => value !== undefined) &&
    values.every((value, index) => bounds[index] === "" || value !== undefined);
  const [from, to = bounds.length === 1 ? from : undefined] = values;
  if (valid && (from ?? 0) <= (to ?? Infinity)) return { from, to };
  throw new UsageError(
    `${flag} cannot be "${text}". Allowed: FROM..TO, FROM.., ..TO or one number, e.g. 500M..2G.`,
  );
}
