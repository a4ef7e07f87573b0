/** A comparison: pretrains every method under every seed, and judges the same sizes of each. */
import { dataSeed } from "../../config/data_seed.ts";
import { sourceName } from "../../config/data_source.ts";
import { formatArchitecture } from "../../elastic/architecture.ts";
import { macs } from "../../elastic/costs.ts";
import { ConfigurationError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { configuredNetwork } from "../../nn/configured_network.ts";
import { openEncoder } from "../../pretrain/encoder_file.ts";
import type { PretrainHooks } from "../../pretrain/pretrain.ts";
import { openRunData } from "../../pretrain/run_data.ts";
import { share } from "../../pretrain/watch.ts";
import { readDataRecord } from "../../store/data_record.ts";
import { RunFolder } from "../../store/run_folder.ts";
import { Judge, type Protocol, protocols } from "../judge.ts";
import { expectSameRun, type KeptCheckpoint, pretrained } from "../pretrained.ts";
import type { Comparison, PlannedRun, Size } from "./definition.ts";

/** What one size of one run is worth after some of its epochs. */
export interface ComparedRow {
  readonly method: string;
  readonly size: string;
  readonly arch: string;
  /** For one image. */
  readonly macs: number;
  readonly seed: number;
  /** Name of the run that it was cut from. */
  readonly run: string;
  /** Epochs of pretraining. */
  readonly epoch: number;
  /** Accuracies, 0 to 1, on the same features. */
  readonly knn: number;
  readonly linear: number;
  /** Of pretraining that run so far, on this machine. */
  readonly seconds: number;
}

/** A row with what differences are computed from. */
export interface JudgedRow extends ComparedRow {
  /** Whether each test image was classified right (1), by each protocol. */
  readonly right: Readonly<Record<Protocol, Uint8Array>>;
}

/** What a comparison found. */
export interface Compared {
  /** At the end of each run. */
  readonly rows: readonly JudgedRow[];
  /** Along each run, its end included; empty where the comparison does not ask for it. */
  readonly curve: readonly ComparedRow[];
}

/** What a comparison tells while it runs. */
export interface CompareHooks {
  readonly signal: AbortSignal;
  onWarning(text: string): void;
  /** A run is about to begin or to go on: its hooks. */
  onRun(run: PlannedRun, number: number, of: number): PretrainHooks;
  /** A run is about to be judged after so many epochs. */
  onJudging(run: PlannedRun, epoch: number): void;
  /** A run is judged after some of its epochs: what is known by now. */
  onJudged(found: Compared): Promise<void>;
}

/**
 * Compares. Runs that are done are not done again, and what is judged is not judged again.
 *
 * @param folderOf folder of a run
 * @param known what was judged before
 * @returns in the order of the comparison's runs and sizes
 * @throws the signal's reason when it is interrupted; what was done is kept
 * @throws {UsageError} when a folder holds another run than the comparison's
 */
export async function compare(
  gpu: Gpu,
  { runs, every }: Comparison,
  folderOf: (run: PlannedRun) => string,
  known: Compared,
  hooks: CompareHooks,
): Promise<Compared> {
  const rows: JudgedRow[] = [], curve: ComparedRow[] = [];
  let looked = false;
  for (const [number, run] of runs.entries()) {
    const path = folderOf(run);
    if (await RunFolder.holdsRun(path)) await expectSameRun(path, run.config);
    const { epochs } = run.config.training;
    const along = every === undefined
      ? []
      : Array.from({ length: Math.ceil(epochs / every) - 1 }, (_, at) => (at + 1) * every);
    let end = rowsOf(run, epochs, known.rows);
    const before = new Map(along.map((epoch) => [epoch, rowsOf(run, epoch, known.curve)]));
    const missing = along.filter((epoch) => !before.get(epoch));
    if (!end) missing.push(epochs);
    const results = (): Compared => ({
      rows: [...rows, ...end ?? []],
      curve: every === undefined ? [] : [
        ...curve,
        ...[...before.values()].flatMap((found) => found ?? []),
        ...(end ?? []).map(withoutRight),
      ],
    });
    if (missing.length > 0) {
      // Before the first hours of training, not after them.
      if (!looked) await expectJudges(gpu, run, hooks);
      looked = true;
      const done = await pretrained(gpu, path, run.config, hooks.onRun(run, number, runs.length));
      if (!done) throw hooks.signal.reason;
      const checkpoints = missing.flatMap((epoch) =>
        epoch === epochs ? [done] : done.kept.filter((one) => one.epoch === epoch)
      );
      if (checkpoints.length < missing.length) {
        const lacking = missing.filter((epoch) => !checkpoints.some((one) => one.epoch === epoch));
        hooks.onWarning(
          `${path} has no checkpoints of epochs ${
            lacking.join(", ")
          }, so its curve lacks them: it was pretrained without. ` +
            "Remove it to pretrain it again.",
        );
      }
      await judge(gpu, run, path, checkpoints, hooks, async (epoch, found) => {
        if (epoch === epochs) end = found;
        else before.set(epoch, found.map(withoutRight));
        const now = results();
        // What runs that come later have is kept until they are looked at.
        await hooks.onJudged({ rows: merged(now.rows, known.rows), curve: merged(now.curve, known.curve) });
      });
    }
    const { rows: nextRows, curve: nextCurve } = results();
    rows.push(...nextRows.slice(rows.length));
    curve.push(...nextCurve.slice(curve.length));
  }
  return { rows, curve };
}

/** A row as tables and files have it. */
export function withoutRight({ right: _, ...row }: JudgedRow): ComparedRow {
  return row;
}

/** The rows of a run after so many epochs, in the order of its sizes; undefined where one is missing. */
function rowsOf<Row extends ComparedRow>(
  { name, sizes }: PlannedRun,
  epoch: number,
  rows: readonly Row[],
): Row[] | undefined {
  const own = sizes.map(({ name: size, architecture }) =>
    rows.find((row) =>
      row.run === name && row.size === size && row.epoch === epoch &&
      row.arch === formatArchitecture(architecture)
    )
  );
  return own.every((row) => row !== undefined) ? own : undefined;
}

/** New rows, then older ones of other runs. */
function merged<Row extends ComparedRow>(rows: readonly Row[], older: readonly Row[]): Row[] {
  const runs = new Set(rows.map(({ run }) => run));
  return [...rows, ...older.filter(({ run }) => !runs.has(run))];
}

function noJudges({ config: { data } }: PlannedRun): ConfigurationError {
  return new ConfigurationError(
    `A comparison judges by labelled images that are held out, of which ${
      sourceName(data.source)
    } has none. Set data.heldOut or data.test, and knn.every.`,
  );
}

/** @throws {ConfigurationError} when there are no images to judge by */
async function expectJudges(gpu: Gpu, run: PlannedRun, { onWarning }: CompareHooks): Promise<void> {
  const { knn, release } = await openRunData(gpu, run.config, { onWarning });
  release();
  if (!knn) throw noJudges(run);
}

async function judge(
  gpu: Gpu,
  run: PlannedRun,
  path: string,
  checkpoints: readonly KeptCheckpoint[],
  { signal, onWarning, onJudging }: CompareHooks,
  onFound: (epoch: number, rows: JudgedRow[]) => Promise<void>,
): Promise<void> {
  if (checkpoints.length === 0) return;
  const { config, sizes } = run;
  const earlier = { record: await readDataRecord(path), acceptChanges: false };
  const data = await openRunData(gpu, config, { onWarning }, earlier);
  try {
    if (!data.knn) throw noJudges(run);
    const settings = { ...config, training: { ...config.training, seed: dataSeed(config) } };
    for (const { path, epoch, seconds } of checkpoints) {
      onJudging(run, epoch);
      const rows: JudgedRow[] = [];
      const { encoder } = await openEncoder(gpu, path, "encoder_q");
      try {
        const { space } = encoder.network;
        const judge = new Judge({ gpu, space, encoder }, settings, data.knn);
        for (const size of sizes) {
          signal.throwIfAborted();
          const right = await judge.rightOf(size.architecture, protocols, signal);
          rows.push({ ...rowOf(run, size, epoch, right), seconds, right });
        }
      } finally {
        encoder.release();
      }
      await onFound(epoch, rows);
    }
  } finally {
    data.release();
  }
}

function rowOf(
  { name: run, method, seed, config }: PlannedRun,
  { name: size, architecture }: Size,
  epoch: number,
  right: Record<Protocol, Uint8Array>,
): Omit<ComparedRow, "seconds"> {
  return {
    method,
    size,
    arch: formatArchitecture(architecture),
    macs: macs(configuredNetwork(config), architecture, config.data.imageSize),
    seed,
    run,
    epoch,
    knn: share(right.knn),
    linear: share(right.linear),
  };
}
