/** Which of a run's checkpoints a command uses. */
import type { Config } from "../config/schema.ts";
import { DataError, UsageError } from "../errors.ts";
import { openCheckpointFile } from "../pretrain/checkpoint_file.ts";
import { type CheckpointFile, RunFolder } from "../store/run_folder.ts";
import type { Flag } from "./flags.ts";

/** The flag that names it. */
export const checkpointFlag = {
  type: "string",
  placeholder: "NAME",
  description:
    "With --run: its checkpoint, last or epoch-N (default: last; where that is damaged or missing, the command stops " +
    "and says which one is whole)",
} as const satisfies Flag;

/** A checkpoint that is whole, with the configuration that it was made with. */
export interface RunCheckpoint {
  readonly path: string;
  readonly config: Config;
  /** Steps done. */
  readonly step: number;
}

/**
 * Opens a run's checkpoint. None is taken in place of another: results of an older one than was asked for would look like
 * those of the run.
 *
 * @param wanted `last` or `epoch-N`
 * @throws {UsageError} when the run has no such checkpoint
 * @throws {DataError} when it is damaged, or the last one is missing, with the newest one that is whole
 */
export async function openRunCheckpoint(
  run: string,
  wanted: string | undefined,
  onWarning: (text: string) => void,
): Promise<RunCheckpoint> {
  const folder = await RunFolder.open(run);
  const files = await folder.checkpoints();
  const chosen = files.find(({ name }) => name === (wanted ?? "last"));
  if (!chosen && wanted !== undefined) {
    const names = files.map(({ name }) => name).join(", ");
    throw new UsageError(`--checkpoint ${wanted}: ${run} has no such checkpoint. It has ${names || "none"}.`);
  }
  const path = chosen?.path ?? folder.lastCheckpointPath;
  try {
    return await look(path, onWarning);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const whole = await firstWhole(files.filter((file) => file !== chosen));
    const advice = whole
      ? `The newest whole checkpoint is ${whole}; use it with --checkpoint ${whole}.`
      : "The run has no other whole checkpoint.";
    throw new DataError(`${error.message} ${advice}`, { cause: error });
  }
}

async function look(path: string, onWarning?: (text: string) => void): Promise<RunCheckpoint> {
  const { file, config, step } = await openCheckpointFile(path, onWarning);
  file.close();
  return { path, config, step };
}

/** The name of the first that can be opened. */
async function firstWhole(files: readonly CheckpointFile[]): Promise<string | undefined> {
  for (const { name, path } of files) {
    try {
      await look(path);
      return name;
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
    }
  }
}
