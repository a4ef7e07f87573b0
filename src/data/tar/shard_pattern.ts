/** Patterns that name the shards of a set: `train-{000..127}.tar`. */
import { ConfigurationError } from "../../errors.ts";
import { shorten } from "../../suggest.ts";

/** Most shards of a set. */
const mostShards = 100_000;

/**
 * The paths that a pattern names: each range of whole numbers in braces counts up, the last of several the fastest. Where
 * a bound of a range begins with 0, its numbers are padded with zeros to the longer one's length, as in a shell.
 *
 * @throws ConfigurationError for braces that hold no range, or too many shards
 */
export function expandShards(pattern: string): string[] {
  const refuse = (why: string) =>
    new ConfigurationError(`data specification "tar:${shorten(pattern)}" ${why}`);
  let paths = [""];
  for (const part of pattern.split(/(\{[^{}]*\})/)) {
    const range = /[{}]/.test(part) ? parseRange(part) : undefined;
    if (range === "none") {
      throw refuse("has braces that hold no range of numbers; write e.g. tar:DIR/train-{000..127}.tar");
    }
    if (paths.length * (range?.count ?? 1) > mostShards) throw refuse(`names more than ${mostShards} shards`);
    const texts = range ? numbersOf(range) : [part];
    paths = paths.flatMap((path) => texts.map((text) => path + text));
  }
  if (new Set(paths).size < paths.length) throw refuse("names a shard twice");
  return paths;
}

interface Range {
  readonly from: number;
  readonly count: number;
  /** Fewest digits of a number. */
  readonly digits: number;
}

/** Reads `{000..127}`. */
function parseRange(braces: string): Range | "none" {
  const [, first, last] = /^\{(\d{1,9})\.\.(\d{1,9})\}$/.exec(braces) ?? [];
  if (first === undefined || Number(first) > Number(last)) return "none";
  const padded = [first, last].some((bound) => bound.length > 1 && bound.startsWith("0"));
  return {
    from: Number(first),
    count: Number(last) - Number(first) + 1,
    digits: padded ? Math.max(first.length, last.length) : 1,
  };
}

function numbersOf({ from, count, digits }: Range): string[] {
  return Array.from({ length: count }, (_, at) => String(from + at).padStart(digits, "0"));
}
