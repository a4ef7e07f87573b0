/**
 * The folder of a pretraining run:
 *
 * ```
 * config.json                     resolved configuration, with the version that wrote it
 * data.json                       which images it uses, and which are held out
 * metrics.jsonl                   one line per logged step and per kNN evaluation
 * checkpoints/last.safetensors    where `--resume` goes on
 * checkpoints/epoch-N.safetensors
 * report.html
 * run.lock                        while a process trains
 * superseded-K/                   what a run left behind that went on from an earlier checkpoint
 * ```
 *
 * A run survives being killed at any moment if it writes in this order: append the metrics up to a step, then write
 * that step's checkpoint. On resuming, {@linkcode RunFolder.truncateMetrics} drops what came after the checkpoint.
 */

import { join } from "@std/path";
import { withoutMark } from "../byte_order_mark.ts";
import { DataError, UsageError } from "../errors.ts";
import { dataRecordPath } from "./data_record.ts";
import { asWriteError, writeAll, writeAtomically, writeFileAtomically } from "./atomic_file.ts";
import { FolderLock } from "./folder_lock.ts";
import { appendMetrics, type MetricsLine, readMetrics, truncateMetrics } from "./metrics.ts";

const configName = "config.json";
const metricsName = "metrics.jsonl";
const reportName = "report.html";
const checkpointsName = "checkpoints";

/** What `config.json` holds. */
export interface StoredConfig {
  /** The version of Scion that wrote the run. */
  readonly version: string;
  /** The resolved configuration, not validated again. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** A checkpoint's file. */
export interface CheckpointFile {
  /** `last` or `epoch-N`. */
  readonly name: string;
  readonly path: string;
  /** N; undefined for the last one. */
  readonly epoch: number | undefined;
}

/** A run's folder. Make one with {@linkcode RunFolder.create} or {@linkcode RunFolder.open}. */
export class RunFolder {
  /** The folder, as it was given. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** A run's folder that another process keeps; it need not be there yet. */
  static keptByOther(path: string): RunFolder {
    return new RunFolder(path);
  }

  /** Whether a folder holds a run, that is a `config.json`. A path that does not exist holds none. */
  static async holdsRun(path: string): Promise<boolean> {
    return await statIfThere(join(path, configName)) !== undefined;
  }

  /** Whether there is anything at a path. */
  static async exists(path: string): Promise<boolean> {
    return await statIfThere(path) !== undefined;
  }

  /**
   * Whether a folder holds what a new run would destroy. A `config.json` without a checkpoint and without metrics is left
   * from a process that was killed while it started: that is nothing.
   *
   * @returns the name that is in the way
   */
  static async occupant(path: string): Promise<string | undefined> {
    const there = async (name: string) => await statIfThere(join(path, name)) !== undefined;
    const checkpoints = join(path, checkpointsName);
    if (
      await there(checkpointsName) && (await namesIn(checkpoints)).some((name) => !name.endsWith(".partial"))
    ) {
      return checkpointsName;
    }
    if ((await statIfThere(join(path, metricsName)))?.size) return metricsName;
    for (const name of [reportName, configName]) {
      if (await there(name) && (name !== configName || !await there(checkpointsName))) return name;
    }
  }

  /**
   * Starts a run: makes the folder where it is missing and writes `config.json`.
   *
   * @param config the resolved configuration: what JSON can hold, without a field `version`.
   * @throws {UsageError} when the folder holds a run or files of a run's names already, or the path is a file.
   * @throws {DataError} when the file system refuses.
   */
  static async create(path: string, config: object, version: string): Promise<RunFolder> {
    const status = await statIfThere(path);
    if (status !== undefined && !status.isDirectory) {
      throw new UsageError(`--out ${path} is a file, expected a folder or a path that does not exist yet.`);
    }
    const occupant = await RunFolder.occupant(path);
    if (occupant !== undefined) {
      throw new UsageError(
        `--out ${path} holds a run already (${occupant}). Use --resume to continue it, or another --out to start a ` +
          `new one.`,
      );
    }
    // The folder of the checkpoints first: where it is empty, config.json is that of a start that did not succeed.
    await makeFolder(join(path, checkpointsName));
    await writeConfig(path, config, version);
    return new RunFolder(path);
  }

  /**
   * Keeps other processes from writing into a run's folder, which is made where it is missing.
   *
   * @throws {UsageError} when another process holds it
   */
  static async lock(path: string, onWarning: (text: string) => void): Promise<FolderLock> {
    const status = await statIfThere(path);
    if (status !== undefined && !status.isDirectory) {
      throw new UsageError(`--out ${path} is a file, expected a folder or a path that does not exist yet.`);
    }
    await makeFolder(path);
    return await FolderLock.take(join(path, "run.lock"), onWarning);
  }

  /** Whether a folder holds a run's checkpoints or metrics, but not its `config.json`. */
  static async lacksConfig(path: string): Promise<boolean> {
    if (await RunFolder.holdsRun(path)) return false;
    return await statIfThere(join(path, metricsName)) !== undefined ||
      (await namesIn(join(path, checkpointsName))).some((name) => name.endsWith(".safetensors"));
  }

  /**
   * Opens an existing run, to resume or to use it.
   *
   * @throws {DataError} when the folder holds no run, or has lost its `config.json`.
   */
  static async open(path: string): Promise<RunFolder> {
    if (await RunFolder.lacksConfig(path)) {
      throw new DataError(
        `${
          join(path, configName)
        } is missing, beside checkpoints or metrics of a run. Restore it from a copy.`,
      );
    }
    if (!await RunFolder.holdsRun(path)) {
      const reason = await statIfThere(path) === undefined ? "it does not exist" : `it has no ${configName}`;
      throw new DataError(`${path} is not a run folder: ${reason}. Give the --out of a pretraining run.`);
    }
    return new RunFolder(path);
  }

  /** `config.json`. */
  get configPath(): string {
    return join(this.path, configName);
  }

  /** `metrics.jsonl`; it does not exist before the first line. */
  get metricsPath(): string {
    return join(this.path, metricsName);
  }

  /** `report.html`. */
  get reportPath(): string {
    return join(this.path, reportName);
  }

  /** `checkpoints/last.safetensors`; ask {@linkcode hasCheckpoint} whether it exists. */
  get lastCheckpointPath(): string {
    return join(this.path, checkpointsName, "last.safetensors");
  }

  /** `checkpoints/epoch-N.safetensors`, `epoch` being the number of epochs done. */
  epochCheckpointPath(epoch: number): string {
    return join(this.path, checkpointsName, `epoch-${epoch}.safetensors`);
  }

  /** The checkpoints that exist: the last one, then those of epochs, the newest first. */
  async checkpoints(): Promise<CheckpointFile[]> {
    const found: CheckpointFile[] = [];
    for (const file of await namesIn(join(this.path, checkpointsName))) {
      const [, name, epoch] = /^(last|epoch-(0|[1-9]\d*))\.safetensors$/.exec(file) ?? [];
      if (name === undefined) continue;
      const path = join(this.path, checkpointsName, file);
      found.push({ name, path, epoch: epoch === undefined ? undefined : Number(epoch) });
    }
    const rank = ({ epoch }: CheckpointFile) => epoch ?? Infinity;
    return found.sort((a, b) => rank(a) < rank(b) ? 1 : -1);
  }

  /**
   * Makes a checkpoint the last one of the run. Nothing is destroyed: the last one until now, `later` and a copy of the
   * metrics are moved into `superseded-K`, K being the first number that is free.
   *
   * @param later checkpoints of epochs after `chosen`
   * @returns the folder that they are in
   * @throws {DataError} when the file system refuses
   */
  async supersede(chosen: CheckpointFile, later: readonly CheckpointFile[]): Promise<string> {
    let number = 1;
    while (await statIfThere(join(this.path, `superseded-${number}`)) !== undefined) number++;
    const folder = join(this.path, `superseded-${number}`);
    await makeFolder(folder);
    try {
      if (await statIfThere(this.metricsPath)) {
        await copyAtomically(this.metricsPath, join(folder, metricsName));
      }
      for (const { name, path } of later) await Deno.rename(path, join(folder, `${name}.safetensors`));
      if (chosen.path !== this.lastCheckpointPath) {
        if (await statIfThere(this.lastCheckpointPath)) {
          await Deno.rename(this.lastCheckpointPath, join(folder, "last.safetensors"));
        }
        await copyAtomically(chosen.path, this.lastCheckpointPath);
      }
    } catch (error) {
      throw asWriteError(folder, error);
    }
    return folder;
  }

  /** Removes what killed processes left half written among the checkpoints. Only while the run is locked. */
  async removePartialCheckpoints(): Promise<void> {
    const folder = join(this.path, checkpointsName);
    for (const name of await namesIn(folder)) {
      if (name.endsWith(".partial")) await removeIfThere(join(folder, name));
    }
  }

  /** Removes a run that has not begun: what {@linkcode RunFolder.create} made, and an untrained checkpoint. */
  async discard(): Promise<void> {
    for (
      const path of [this.lastCheckpointPath, this.metricsPath, dataRecordPath(this.path), this.configPath]
    ) {
      await removeIfThere(path);
    }
    await RunFolder.removeIfEmpty(join(this.path, checkpointsName));
  }

  /** Removes a folder in which nothing is. */
  static async removeIfEmpty(path: string): Promise<void> {
    if (await RunFolder.exists(path) && (await namesIn(path)).length === 0) await removeIfThere(path);
  }

  /**
   * Reads `config.json`.
   *
   * @throws {DataError} when it cannot be read as what {@linkcode RunFolder.create} writes.
   */
  async readConfig(): Promise<StoredConfig> {
    let value: unknown;
    try {
      value = JSON.parse(withoutMark(await Deno.readTextFile(this.configPath)));
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      throw new DataError(
        `Cannot read ${this.configPath}: ${error.message}. Restore it, or start another run.`,
        {
          cause: error,
        },
      );
    }
    const { version, ...config } = (value ?? {}) as Record<string, unknown>;
    if (typeof version === "string") return { version, config };
    throw new DataError(
      `${this.configPath} has no version, so no run wrote it. Restore it, or start another run.`,
    );
  }

  /**
   * Replaces `config.json`, for a run that goes on, perhaps with another configuration; makes the folder of the
   * checkpoints where it is missing.
   *
   * @throws {DataError} when the file system refuses.
   */
  async writeConfig(config: object, version: string): Promise<void> {
    await makeFolder(join(this.path, checkpointsName));
    await writeConfig(this.path, config, version);
  }

  /**
   * Reads all metrics, as {@linkcode readMetrics}.
   *
   * @throws {DataError} naming the line that is no metrics line.
   */
  async readMetrics(): Promise<MetricsLine[]> {
    return await readMetrics(this.metricsPath);
  }

  /**
   * Appends metrics lines durably. Do so before writing the checkpoint of their step.
   *
   * @throws {DataError} when the file system refuses.
   */
  async appendMetrics(...lines: MetricsLine[]): Promise<void> {
    await appendMetrics(this.metricsPath, lines);
  }

  /**
   * Drops metrics beyond the step that a run resumes from, as {@linkcode truncateMetrics}.
   *
   * @throws {DataError} naming the line that is no metrics line, or when the file system refuses.
   */
  async truncateMetrics(step: number): Promise<void> {
    await truncateMetrics(this.metricsPath, step);
  }
}

async function writeConfig(path: string, config: object, version: string): Promise<void> {
  await writeFileAtomically(join(path, configName), JSON.stringify({ version, ...config }, null, 2) + "\n");
}

async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    throw asWriteError(path, error);
  }
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    if (!(error instanceof Error)) throw error;
    throw new DataError(`Cannot look into ${path}: ${error.message}.`, { cause: error });
  }
}

async function copyAtomically(from: string, to: string): Promise<void> {
  using source = await Deno.open(from);
  const block = new Uint8Array(2 ** 20);
  await writeAtomically(to, async (file) => {
    for (let count; (count = await source.read(block)) !== null;) {
      await writeAll(file, block.subarray(0, count));
    }
  });
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function statIfThere(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    if (!(error instanceof Error)) throw error;
    throw new DataError(`Cannot look at ${path}: ${error.message}.`, { cause: error });
  }
}
