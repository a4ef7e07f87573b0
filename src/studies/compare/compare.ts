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
import { KnnWatch, share } from "../../pretrain/watch.ts";
import { pretrained } from "../pretrained.ts";
import type { Comparison, PlannedRun } from "./definition.ts";

/** What one size of one run is worth. */
export interface ComparedRow {
  readonly method: string;
  readonly size: string;
  readonly arch: string;
  /** For one image. */
  readonly macs: number;
  readonly seed: number;
  /** Name of the run that it was cut from. */
  readonly run: string;
  /** Accuracy, 0 to 1. */
  readonly knn: number;
  /** Of pretraining that run, on this machine. */
  readonly seconds: number;
}

/** What a comparison tells while it runs. */
export interface CompareHooks {
  readonly signal: AbortSignal;
  /** A run is about to begin or to go on: its hooks. */
  onRun(run: PlannedRun, number: number, of: number): PretrainHooks;
  /** A run is judged. */
  onRows(rows: readonly ComparedRow[]): Promise<void>;
}

/**
 * Compares. Runs that are done are not done again.
 *
 * @param folderOf folder of a run
 * @param known rows of runs that were judged before
 * @throws the signal's reason when it is interrupted; what was done is kept
 */
export async function compare(
  gpu: Gpu,
  { runs }: Comparison,
  folderOf: (run: PlannedRun) => string,
  known: readonly ComparedRow[],
  hooks: CompareHooks,
): Promise<ComparedRow[]> {
  const rows = [...known];
  for (const [number, run] of runs.entries()) {
    const judged = run.sizes.every(({ name }) =>
      rows.some((row) => row.method === run.method && row.seed === run.seed && row.size === name)
    );
    if (judged) continue;
    const done = await pretrained(gpu, folderOf(run), run.config, hooks.onRun(run, number, runs.length));
    if (!done) throw hooks.signal.reason;
    const found = await judge(gpu, run, done);
    rows.push(...found);
    await hooks.onRows(rows);
  }
  return rows;
}

async function judge(
  gpu: Gpu,
  { name: run, method, seed, config, sizes }: PlannedRun,
  { checkpoint, seconds }: { checkpoint: string; seconds: number },
): Promise<ComparedRow[]> {
  const data = await openRunData(gpu, config, {});
  try {
    if (!data.knn) {
      throw new ConfigurationError(
        `A comparison judges by kNN, for which ${
          sourceName(config.data.source)
        } has no labelled images that are held out. Set ` +
          `data.heldOut or data.test, and knn.every.`,
      );
    }
    const { encoder } = await openEncoder(gpu, checkpoint, "encoder_q");
    try {
      const { space } = encoder.network;
      const network = configuredNetwork(config);
      const settings = { ...config, training: { ...config.training, seed: dataSeed(config) } };
      const watch = new KnnWatch({ gpu, space, encoder }, settings, data.knn);
      const rows: ComparedRow[] = [];
      for (const { name, architecture } of sizes) {
        rows.push({
          method,
          size: name,
          arch: formatArchitecture(architecture),
          macs: macs(network, architecture, config.data.imageSize),
          seed,
          run,
          knn: share(await watch.rightOf(architecture)),
          seconds,
        });
      }
      return rows;
    } finally {
      encoder.release();
    }
  } finally {
    data.release();
  }
}
