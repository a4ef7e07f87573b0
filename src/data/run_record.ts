/** A run's images against those that it had when it began. */
import { DataError } from "../errors.ts";
import type { RecordedSet } from "../store/data_record.ts";
import { describeChange } from "./changes.ts";
import { listImages } from "./manifest.ts";
import type { ImageSource, TensorSource } from "./image_set.ts";

/**
 * What a run records of a set that is open: its files, and which of its images were found unreadable.
 *
 * @param known what was recorded of it before: files that are as they were are not read again, and what was unreadable
 * then stays left out
 */
export async function recordSet(
  source: ImageSource | TensorSource,
  known: RecordedSet | undefined,
): Promise<RecordedSet> {
  const list = await listImages(source, known?.list);
  if (known?.list.digest === list.digest) return { source: source.name, list, unreadable: known.unreadable };
  const { broken, skipped } = source;
  const unreadable = [...broken ?? []].map((index, at) => [index, skipped[at].reason] as const);
  return { source: source.name, list, unreadable: unreadable.sort(([a], [b]) => a - b) };
}

/**
 * Refuses a set that is not what was recorded.
 *
 * @param field the field of the configuration that names the set
 * @param recorded undefined where nothing was
 * @param remedy what to do beside restoring them
 * @returns the accepted change in words; undefined where nothing changed
 * @throws {DataError} naming what changed, unless it is accepted
 */
export function expectUnchanged(
  field: string,
  present: RecordedSet,
  recorded: RecordedSet | undefined,
  accept: boolean | undefined,
  remedy =
    "go on with the changed ones (--resume --accept-changed-data), which ends the equality with an uninterrupted " +
    "run; what was held out stays so",
): string | undefined {
  const change = recorded && describeChange(recorded.list, present.list);
  if (change === undefined || accept) return change;
  throw new DataError(
    `${field} (${present.source}) is no longer what the run began with: ${change}. Restore the images, or ` +
      `${remedy}.`,
  );
}
