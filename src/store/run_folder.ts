/**
 * The folder of a pretraining run:
 *
 * ```
 * config.json                     resolved configuration, with the version that wrote it
 * metrics.jsonl                   one line per logged step and per kNN evaluation
 * checkpoints/last.safetensors    where `--resume` goes on
 * checkpoints/epoch-N.safetensors
 * report.html
 * ```
 *
 * A run survives being killed at any moment if it writes in this order: append the metrics up to a step, then write
 * that step's checkpoint. On resuming, {@linkcode RunFolder.truncateMetrics} drops what came after the checkpoint.
 */

import { join } from "@std/path";
import { DataError, UsageError } from "../errors.ts";
import { asWriteError, writeFileAtomically } from "./atomic_file.ts";
import { appendMetrics, type MetricsLine, readMetrics, truncateMetrics } from "./metrics.ts";

const configName = "config.json";
const checkpointsName = "checkpoints";

/** What `config.json` holds. */
export interface StoredConfig {
  /** The version of Scion that wrote the run. */
  readonly version: string;
  /** The resolved configuration, not validated again. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** A run's folder. Make one with {@linkcode RunFolder.create} or {@linkcode RunFolder.open}. */
export class RunFolder {
  /** The folder, as it was given. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Whether a folder holds a run, that is a `config.json`. A path that does not exist holds none. */
  static async holdsRun(path: string): Promise<boolean> {
    return await statIfThere(join(path, configName)) !== undefined;
  }

  /**
   * Starts a run: makes the folder where it is missing and writes `config.json`.
   *
   * @param config the resolved configuration: what JSON can hold, without a field `version`.
   * @throws {UsageError} when the folder holds a run already, or the path is a file.
   * @throws {DataError} when the file system refuses.
   */
  static async create(path: string, config: object, version: string): Promise<RunFolder> {
    const status = await statIfThere(path);
    if (status !== undefined && !status.isDirectory) {
      throw new UsageError(`--out ${path} is a file, expected a folder or a path that does not exist yet.`);
    }
    for (const name of [configName, "metrics.jsonl", checkpointsName]) {
      if (await statIfThere(join(path, name)) === undefined) continue;
      throw new UsageError(
        `--out ${path} holds a run already (${name}). Use --resume to continue it, or another --out to start a new one.`,
      );
    }
    await makeFolder(path);
    await writeConfig(path, config, version);
    return await RunFolder.open(path);
  }

  /**
   * Opens an existing run, to resume or to use it.
   *
   * @throws {DataError} when the folder holds no run.
   */
  static async open(path: string): Promise<RunFolder> {
    if (!await RunFolder.holdsRun(path)) {
      const reason = await statIfThere(path) === undefined ? "it does not exist" : `it has no ${configName}`;
      throw new DataError(`${path} is not a run folder: ${reason}. Give the --out of a pretraining run.`);
    }
    // After config.json: a run that was killed while it was created may lack the folder, never the configuration.
    await makeFolder(join(path, checkpointsName));
    return new RunFolder(path);
  }

  /** `config.json`. */
  get configPath(): string {
    return join(this.path, configName);
  }

  /** `metrics.jsonl`; it does not exist before the first line. */
  get metricsPath(): string {
    return join(this.path, "metrics.jsonl");
  }

  /** `report.html`. */
  get reportPath(): string {
    return join(this.path, "report.html");
  }

  /** `checkpoints/last.safetensors`; ask {@linkcode hasCheckpoint} whether it exists. */
  get lastCheckpointPath(): string {
    return join(this.path, checkpointsName, "last.safetensors");
  }

  /** `checkpoints/epoch-N.safetensors`, `epoch` being the number of epochs done. */
  epochCheckpointPath(epoch: number): string {
    return join(this.path, checkpointsName, `epoch-${epoch}.safetensors`);
  }

  /**
   * Whether there is a last checkpoint. A run that was killed before its first has none: it starts at step 0 again,
   * after `truncateMetrics(-1)`.
   */
  async hasCheckpoint(): Promise<boolean> {
    return await statIfThere(this.lastCheckpointPath) !== undefined;
  }

  /**
   * Reads `config.json`.
   *
   * @throws {DataError} when it cannot be read as what {@linkcode RunFolder.create} writes.
   */
  async readConfig(): Promise<StoredConfig> {
    let value: unknown;
    try {
      value = JSON.parse(await Deno.readTextFile(this.configPath));
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
   * Replaces `config.json`, for a run that goes on with another configuration.
   *
   * @throws {DataError} when the file system refuses.
   */
  async writeConfig(config: object, version: string): Promise<void> {
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

async function statIfThere(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    if (!(error instanceof Error)) throw error;
    throw new DataError(`Cannot look at ${path}: ${error.message}.`, { cause: error });
  }
}
