/** `deno task tune`: measures the kernel variants on this adapter and remembers the best. */

import { openGpu } from "../host/adapter.ts";
import type { TuningOutcome } from "../tuning/tuner.ts";
import { tuningFolder } from "../tuning/tuning_file.ts";
import { defineCommand, runCommand } from "./command.ts";
import { withUsualBatch } from "../pretrain/fit/fit.ts";
import { configFlags, loadFlaggedSettings } from "./config_flags.ts";
import { formatTable } from "./format.ts";
import { describeTuning, secondsFlag, tuneDevice } from "./tune_device.ts";

interface TunedBucket {
  /** Kind of launch and its sizes, rounded up to powers of two. */
  readonly bucket: string;
  readonly default: string;
  readonly chosen: string;
  /** Operations a second, medians over the rounds. */
  readonly defaultRate: number;
  readonly chosenRate: number;
}

interface TuneResult {
  readonly adapter: string;
  readonly seconds: number;
  readonly rounds: number;
  readonly buckets: readonly TunedBucket[];
  /** Median seconds of a training step before and after; null when nothing changed or no time was left. */
  readonly step: TuningOutcome["step"];
  /** Null when the time was too short for any choice. */
  readonly file: string | null;
  /** For people. */
  readonly summary: string;
}

const rate = (flops: number) => (flops / 1e9).toFixed(1);

function formatResult({ buckets, summary, file }: TuneResult): string {
  if (file === null) return `${summary}. Give more with --seconds.`;
  const rows = buckets.map(({ bucket, default: standard, chosen, defaultRate, chosenRate }) => [
    bucket,
    rate(defaultRate),
    rate(chosenRate),
    chosen === standard ? "" : `${(100 * (chosenRate / defaultRate - 1)).toFixed(0)} %`,
    chosen,
  ]);
  const head = ["channels in, out, positions, width", "default", "chosen", "gain", "GFLOP/s of variant"];
  return [formatTable([head, ...rows], "lrrrl"), "", summary, file].join("\n");
}

/** The command; exported for its tests. */
export const tuneCommand = defineCommand({
  name: "tune",
  summary:
    `Runs training steps of a configuration with all variants of the kernels, and remembers the fastest for this adapter in ${tuningFolder}/, ` +
    "where pretrain, search, extract and embed find it. A tuned device adds up in another order: results agree bit for bit " +
    "only under the same tuning, so tune before a run, not between its parts. Remove the file to return to the defaults.",
  flags: {
    ...configFlags,
    seconds: { ...secondsFlag, default: 120, description: "Time to spend" },
  },
  examples: [
    "deno task tune",
    "deno task tune --config configs/cifar10-elastic.json --seconds 600",
    "deno task tune --config configs/cifar10-elastic.json --set training.batch=64",
  ],
  async run({ flags, logger, onInterrupt }): Promise<TuneResult> {
    const settings = await loadFlaggedSettings(flags);
    // Without the choices of earlier tunings, so that all are measured anew.
    using gpu = await openGpu();
    logger.info(`tune ${flags.config} on ${gpu.facts.description}`);
    const signal = onInterrupt("Stopping; nothing is written.", "nothing to save");
    const tuning = await tuneDevice(
      gpu,
      withUsualBatch(settings, gpu.facts.software),
      flags.seconds,
      logger,
      signal,
    );
    const { seconds, rounds, buckets, step, file } = tuning;
    return {
      adapter: gpu.facts.description,
      seconds,
      rounds,
      buckets: buckets.toSorted((a, b) => a.bucket < b.bucket ? -1 : 1).map((
        { bucket, standard, chosen },
      ) => ({
        bucket,
        default: standard.name,
        chosen: chosen.name,
        defaultRate: standard.rate,
        chosenRate: chosen.rate,
      })),
      step,
      file,
      summary: describeTuning(tuning),
    };
  },
  format: formatResult,
});

if (import.meta.main) await runCommand(tuneCommand);
