/** What a run's folder keeps of its images. */
import { writeDataRecord } from "../store/data_record.ts";
import type { RunData } from "./run_data.ts";

/**
 * Writes the record of a run's images into its folder, where it is new or images have changed.
 *
 * @param step steps that are done
 */
export async function keepRecord(
  path: string,
  { record, earlier, change, source }: RunData,
  step: number,
  onWarning: (text: string) => void,
): Promise<void> {
  if (earlier && change === undefined) return;
  if (!earlier && step > 0 && source.origin?.kind !== "made") {
    onWarning(
      "the run has no record of its images (data.json), as it was made by an older version; it gets one now, of those " +
        "that are there. Whether they are what it began with cannot be told.",
    );
  }
  if (change !== undefined) onWarning(`the run goes on with changed images: ${change}`);
  const accepted = earlier && change !== undefined
    ? [...earlier.accepted, { step, before: earlier.list.digest, change }]
    : [];
  await writeDataRecord(path, { ...record, accepted });
}
