/** A checkpoint's file, opened and checked: everything that can be told without a device, before anything is touched. */
import { configDifferences } from "../config/difference.ts";
import { parseConfig } from "../config/load.ts";
import { hasQueue } from "../config/objective.ts";
import { mayChange } from "../config/resume_fields.ts";
import type { Config } from "../config/schema.ts";
import { ConfigurationError, DataError } from "../errors.ts";
import { expectTensor, openSafetensors, type SafetensorsFile } from "../store/safetensors.ts";
import { type StoredLossSums, storedLossSums } from "../train/loss_sums.ts";
import { readStreamOrders, type StreamOrders } from "./stream_orders.ts";

/** Raised with every change of the tensors or of their meaning. From 2 on, files carry a checksum. */
export const checkpointFormat = "2";

/** A checkpoint of an older version, which is read as well: no checksum, and perhaps no sums of losses. */
const olderFormat = "1";

/** A checkpoint that is open. Its metadata hold what they must, and its bytes have their checksum. */
export interface CheckpointContents {
  readonly file: SafetensorsFile;
  readonly config: Config;
  /** Steps done. */
  readonly step: number;
  /** Epochs that are complete. */
  readonly epoch: number;
  /** Whole numbers of the objective, by name. */
  readonly counters: Readonly<Record<string, number>>;
  /** How the channels of the weights that the run began with were sorted; empty for new ones. */
  readonly streamOrders: StreamOrders;
  /** Sums since the last metrics line; undefined in older checkpoints. */
  readonly losses: StoredLossSums | undefined;
}

const restore = "Restore the file, or use another checkpoint with --checkpoint epoch-N.";

/**
 * Opens a checkpoint and checks all that it says of itself.
 *
 * @param onWarning told when the file is of an older version, whose damage nothing would show
 * @throws {DataError} for a file that is no checkpoint, is damaged, or contradicts itself
 */
export async function openCheckpointFile(
  path: string,
  onWarning: (text: string) => void = () => {},
): Promise<CheckpointContents> {
  const file = await openSafetensors(path);
  try {
    expectFormat(file);
    if (file.checksum === undefined) {
      onWarning(`${path} was written by an older version and has no checksum: damage would not be noticed.`);
    }
    const config = configOf(file);
    return {
      file,
      config,
      step: wholeNumber(file, "step"),
      epoch: wholeNumber(file, "epoch"),
      counters: hasQueue(config) ? await queueCounters(file, config) : {},
      streamOrders: await readStreamOrders(file, config),
      losses: lossesOf(file),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

async function queueCounters(
  file: SafetensorsFile,
  { head: { dimension }, moco: { queue } }: Config,
): Promise<Record<string, number>> {
  expectTensor(file, "queue", "F32", [queue, dimension]);
  const { data: [pointer] } = await file.readExpected("queue_pointer", "I32", [1]);
  if (pointer >= 0 && pointer < queue) return { queue_pointer: pointer };
  throw damaged(file.path, `its queue_pointer is ${pointer}, and the queue has ${queue} rows`);
}

/**
 * Compares a checkpoint with the configuration of the run that it lies in.
 *
 * @throws {DataError} when they differ in what a run keeps
 */
export function expectRun({ file, config }: CheckpointContents, run: Config, runPath: string): void {
  const different = configDifferences(config, run).filter((field) => !mayChange(field));
  if (different.length === 0) return;
  throw new DataError(
    `${file.path} is a checkpoint of another run: it differs from ${runPath} in ` +
      `${different.map(({ text }) => text).join(", ")}. Restore the one that belongs to the other.`,
  );
}

function damaged(path: string, reason: string, cause?: unknown): DataError {
  return new DataError(`${path} is damaged: ${reason}. ${restore}`, { cause });
}

function expectFormat({ path, metadata, checksum }: SafetensorsFile): void {
  const { format, step, config } = metadata;
  if (step === undefined || config === undefined) {
    throw new DataError(`${path} is not a checkpoint of Scion: its metadata has no step and configuration.`);
  }
  if (format !== checkpointFormat && format !== olderFormat) {
    throw new DataError(
      `${path} has checkpoint format ${format}; this version reads ${olderFormat} and ${checkpointFormat}. ` +
        `Use the version of Scion that wrote it.`,
    );
  }
  if (format === checkpointFormat && checksum === undefined) throw damaged(path, "its checksum is missing");
}

function configOf({ path, metadata }: SafetensorsFile): Config {
  try {
    return parseConfig(JSON.parse(metadata.config), path);
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof ConfigurationError)) throw error;
    throw damaged(path, `its configuration cannot be read (${error.message.replace(/\.$/, "")})`, error);
  }
}

function wholeNumber({ path, metadata }: SafetensorsFile, name: "step" | "epoch"): number {
  const text = metadata[name] ?? "";
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw damaged(path, `its ${name} is ${JSON.stringify(metadata[name])}, expected a whole number`);
}

function lossesOf({ path, metadata }: SafetensorsFile): StoredLossSums | undefined {
  if (metadata.losses === undefined && metadata.format === olderFormat) return undefined;
  try {
    return storedLossSums.parse(JSON.parse(metadata.losses ?? "null"));
  } catch (error) {
    throw damaged(path, "its sums of losses are not four pairs of a sum and a count", error);
  }
}
