/** Where two configurations differ. */
import { formatPath, formatValue } from "./explain.ts";
import type { Config } from "./schema.ts";

function* compare(path: readonly string[], given: unknown, kept: unknown): Generator<string> {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (isObject(given) && isObject(kept)) {
    for (const name of new Set([...Object.keys(given), ...Object.keys(kept)])) {
      yield* compare([...path, name], given[name], kept[name]);
    }
  } else if (JSON.stringify(given) !== JSON.stringify(kept)) {
    yield `${formatPath(path)} (${formatValue(given)}, kept ${formatValue(kept)})`;
  }
}

/** Each field that differs, with both values: `training.batch (64, kept 32)`. */
export function configDifferences(given: Config, kept: Config): string[] {
  return [...compare([], given, kept)];
}
