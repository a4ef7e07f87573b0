/** Tuning, as the commands `tune` and `pretrain --tune` do it. */

import { formatDuration } from "../duration.ts";
import type { Config } from "../config/schema.ts";
import type { Gpu } from "../gpu/device.ts";
import { expectMemory } from "../pretrain/memory_plan.ts";
import { withTeacherDimension } from "../pretrain/teacher/teacher.ts";
import { tune, type TuningOutcome } from "../tuning/tuner.ts";
import { writeTuning } from "../tuning/tuning_file.ts";
import type { Logger } from "./logger.ts";

/** The flag of both commands. */
export const secondsFlag = { type: "integer", placeholder: "SECONDS", minimum: 1, maximum: 86_400 } as const;

/** What a tuning came to, and the file that remembers it; null when the time was too short for any choice. */
export type DeviceTuning = TuningOutcome & { readonly file: string | null };

/**
 * Measures the buckets of a configuration that the device's tuning has no choice for, with a status line, and writes what
 * was found.
 */
export async function tuneDevice(
  gpu: Gpu,
  given: Config,
  seconds: number,
  logger: Logger,
  signal: AbortSignal,
): Promise<DeviceTuning> {
  const config = await withTeacherDimension(given);
  await expectMemory(gpu, config);
  gpu.stream.interrupt = signal;
  const outcome = await tune({
    gpu,
    config,
    seconds,
    signal,
    onStep: (elapsed) => logger.status(`tune ${formatDuration(elapsed)} of ${formatDuration(seconds)}`),
  });
  gpu.stream.interrupt = undefined;
  logger.status("");
  const { buckets } = outcome;
  if (buckets.length === 0) return { ...outcome, file: null };
  const choices = new Map(buckets.map(({ bucket, chosen }) => [bucket, chosen.name]));
  return { ...outcome, file: await writeTuning(gpu, choices) };
}

/** One line on what a tuning came to. */
export function describeTuning({ buckets, rounds, step, seconds, file }: DeviceTuning): string {
  if (file === null) {
    return `nothing to choose: in ${
      formatDuration(seconds)
    } no launch was measured in three rounds with more than one ` +
      "variant";
  }
  const changed = buckets.filter(({ standard, chosen }) => chosen !== standard).length;
  const parts = [
    `${buckets.length} kinds of launches measured in ${rounds} rounds, ${formatDuration(seconds)}`,
    `${changed} with another variant than the default`,
  ];
  if (step) {
    const [before, after] = [step.before, step.after].map((time) => `${(1000 * time).toFixed(1)} ms`);
    parts.push(`a training step takes ${after}, before ${before}`);
  }
  return parts.join("; ");
}
