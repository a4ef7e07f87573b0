/** Ranges as flags give them: `..3M`, `2M..3M`, `3M..`, `64`; and of times: `..5ms`, `2ms..0.5s`. */
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
  return parse(flag, text, parseQuantity, "FROM..TO, FROM.., ..TO or one number, e.g. 500M..2G");
}

/**
 * Reads a range of times, in milliseconds unless a unit says otherwise; a single time is the most that is allowed, since
 * none is met exactly.
 *
 * @param flag as it is typed, for the message
 * @throws {UsageError} when the text is none, or its bounds are the wrong way round
 */
export function parseTimeRange(flag: string, text: string): Range {
  const range = parse(
    flag,
    text,
    parseMilliseconds,
    "..TO, FROM..TO or FROM.. in ms, s or us (without a unit: ms), e.g. ..5ms",
  );
  return text.includes("..") ? range : { to: range.to };
}

function parse(
  flag: string,
  text: string,
  parseValue: (text: string) => number | undefined,
  allowed: string,
): Range {
  const bounds = text.split("..");
  const values = bounds.map((bound) => bound === "" ? undefined : parseValue(bound));
  const valid = bounds.length <= 2 && values.some((value) => value !== undefined) &&
    values.every((value, index) => bounds[index] === "" || value !== undefined);
  const [from, to = bounds.length === 1 ? from : undefined] = values;
  if (valid && (from ?? 0) <= (to ?? Infinity)) return { from, to };
  throw new UsageError(`${flag} cannot be "${text}". Allowed: ${allowed}.`);
}

const milliseconds: Readonly<Record<string, number>> = { us: 0.001, "µs": 0.001, ms: 1, s: 1000 };

/** A time in milliseconds; undefined for a text that is none, or no time at all. */
function parseMilliseconds(text: string): number | undefined {
  const [, number, unit = "ms"] = /^(\d+(?:\.\d+)?|\.\d+)\s*(us|µs|ms|s)?$/.exec(text) ?? [];
  if (number === undefined) return undefined;
  const value = Number((Number(number) * milliseconds[unit]).toPrecision(12));
  return value > 0 ? value : undefined;
}
