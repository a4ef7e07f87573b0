/** Where a run goes on: the checkpoint that is wanted, or the newest that is whole. Reads only. */
import { parseConfig } from "../config/load.ts";
import type { Override } from "../config/overrides.ts";
import { checkResume } from "../config/resume_fields.ts";
import type { Config } from "../config/schema.ts";
import { DataError, UsageError } from "../errors.ts";
import type { MetricsLine } from "../store/metrics.ts";
import type { CheckpointFile, RunFolder } from "../store/run_folder.ts";
import { fillState } from "./checkpoint.ts";
import { expectRun, openCheckpointFile } from "./checkpoint_file.ts";
import type { PretrainState } from "./state.ts";

/** The checkpoint that a run goes on from. */
export interface ResumePoint {
  readonly chosen: CheckpointFile;
  /** Checkpoints of epochs after it. */
  readonly later: readonly CheckpointFile[];
}

/**
 * The configuration that a run goes on with.
 *
 * @throws {DataError} when `config.json` cannot be read
 * @throws {ConfigurationError} when it, or an override, is wrong
 * @throws {UsageError} when an override would change what has been done
 */
export async function resumedConfig(
  folder: RunFolder,
  overrides: readonly Override[],
): Promise<{ config: Config; kept: Config }> {
  const stored = (await folder.readConfig()).config;
  const kept = parseConfig(stored, folder.configPath);
  const config = parseConfig(stored, folder.configPath, overrides);
  checkResume(config, kept, overrides, folder.path);
  return { config, kept };
}

/**
 * Fills a state from a checkpoint of the run. Without a wish that is the last one; where it is missing or damaged, the
 * newest of those of epochs that is whole, with a warning.
 *
 * @param metrics of the run
 * @param wanted `last` or `epoch-N`
 * @returns undefined for a run that was killed before its first checkpoint
 * @throws {UsageError} when there is no such checkpoint
 * @throws {DataError} when none can be used
 */
export async function restoreState(
  folder: RunFolder,
  state: PretrainState,
  metrics: readonly MetricsLine[],
  wanted: string | undefined,
  onWarning: (text: string) => void,
): Promise<ResumePoint | undefined> {
  const files = await folder.checkpoints();
  const candidates = wanted === undefined ? files : files.filter(({ name }) => name === wanted);
  if (candidates.length === 0) {
    if (wanted !== undefined) throw noSuchCheckpoint(folder, wanted, files);
    const lost = metrics.findLast(({ step }) => step > 0);
    if (!lost) return undefined;
    throw new DataError(
      `${folder.path} has no checkpoint, but metrics up to step ${lost.step}. Restore ${folder.lastCheckpointPath}, or ` +
        `start a new run with another --out.`,
    );
  }
  const faults: string[] = [];
  if (wanted === undefined && candidates[0].epoch !== undefined) {
    faults.push(`${folder.lastCheckpointPath} is missing.`);
  }
  for (const chosen of candidates) {
    try {
      const contents = await openCheckpointFile(chosen.path, onWarning);
      using _ = contents.file;
      expectRun(contents, state.config, folder.configPath);
      await fillState(contents, state);
      if (faults.length > 0) {
        onWarning(`${faults.join(" ")} The run goes on from ${chosen.name}, at step ${state.step}.`);
      }
      return { chosen, later: files.filter(({ epoch }) => epoch !== undefined && epoch > contents.epoch) };
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      if (candidates.length === 1 && faults.length === 0) throw error;
      faults.push(error.message);
    }
  }
  throw new DataError(
    `No checkpoint of ${folder.path} can be used. Nothing was changed.\n${faults.join("\n")}`,
  );
}

function noSuchCheckpoint(folder: RunFolder, wanted: string, files: readonly CheckpointFile[]): UsageError {
  const names = files.map(({ name }) => name).join(", ");
  return new UsageError(
    `--checkpoint ${wanted}: ${folder.path} has no such checkpoint. It has ${names || "none"}.`,
  );
}
