/** Where two configurations differ. */
import { formatPath, formatValue } from "./explain.ts";
import { automaticFields } from "./json_schema.ts";
import type { Config, Settings } from "./schema.ts";

/** A field that two configurations have with different values. */
export interface FieldDifference {
  /** Names joined by dots, e.g. `training.batch`. */
  readonly field: string;
  readonly given: unknown;
  readonly kept: unknown;
  /** `training.batch (64, kept 32)`. */
  readonly text: string;
}

function* compare(path: readonly string[], given: unknown, kept: unknown): Generator<FieldDifference> {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (isObject(given) && isObject(kept)) {
    for (const name of new Set([...Object.keys(given), ...Object.keys(kept)])) {
      yield* compare([...path, name], given[name], kept[name]);
    }
  } else if (JSON.stringify(given) !== JSON.stringify(kept)) {
    const field = formatPath(path);
    yield { field, given, kept, text: `${field} (${formatValue(given)}, kept ${formatValue(kept)})` };
  }
}

/** Each field that differs; what was given as "auto" agrees with any number. */
export function configDifferences(given: Config | Settings, kept: Config): FieldDifference[] {
  const automatic = automaticFields();
  return [...compare([], given, kept)].filter(({ field, given }) =>
    given !== "auto" || !automatic.includes(field)
  );
}
