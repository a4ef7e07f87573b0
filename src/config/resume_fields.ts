/** What may change of a run that goes on. Everything else decides about what has been done, and stays. */
import { UsageError } from "../errors.ts";
import { configDifferences, type FieldDifference } from "./difference.ts";
import type { Override } from "./overrides.ts";
import type { Config } from "./schema.ts";

/** Fields, or sections with all their fields, that a run which goes on may change. */
const changeable = [
  "training.epochs",
  "training.logEvery",
  "training.checkpointEvery",
  "optimizer",
  "knn",
  "data.cacheMegabytes",
  "data.workers",
  "data.strict",
  "space.named",
];

/** Whether a run that goes on may change a field in this way. */
export function mayChange({ field, given, kept }: FieldDifference): boolean {
  // Whether there is kNN at all decides which images are held back and which are trained on.
  if (field === "knn.every" && (given === 0) !== (kept === 0)) return false;
  return changeable.some((name) => `${field}.`.startsWith(`${name}.`));
}

/**
 * Compares the configuration that was asked for with that of a run which goes on.
 *
 * @param overrides what asked for it
 * @param path the run's folder
 * @throws {UsageError} naming each field that cannot change, with the value that is kept
 */
export function checkResume(
  wanted: Config,
  kept: Config,
  overrides: readonly Override[],
  path: string,
): void {
  const refused = configDifferences(wanted, kept).filter((difference) => !mayChange(difference));
  if (refused.length === 0) return;
  const flags = overrides.filter((override) =>
    refused.some(({ field }) =>
      `${field}.`.startsWith(`${override.path}.`) || override.path.startsWith(`${field}.`)
    )
  ).map(({ flag, path, value }) => {
    if (flag !== "--set" && Array.isArray(value)) return value.map((one) => `${flag} ${one}`).join(" ");
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return flag === "--set" ? `--set ${path}=${text}` : value === true ? flag : `${flag} ${text}`;
  });
  const fields = refused.map(({ text }) => text).join(", ");
  throw new UsageError(
    `${
      flags.join(", ")
    } does not go with --resume: the run in ${path} keeps ${fields}. Leave it out, or start a new ` +
      `run with another --out. What may change: ${changeable.join(", ")}; but not knn.every from or to 0.`,
  );
}
