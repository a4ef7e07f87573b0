/** The times of ranked architectures that `--measure` adds. */
import type { Encoder } from "../nn/encoder.ts";
import { measureLatency } from "../search/latency.ts";
import { type Ranking, withTimes } from "../search/ranking.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { formatCount } from "./format.ts";
import type { Logger } from "./logger.ts";
import { Progress } from "./progress.ts";

/** Which architectures are measured, and on what. */
export interface LatencyRequest {
  /** The best so many of each group; Infinity for all. */
  readonly best: number;
  /** [N, 3, H, W]. */
  readonly images: Tensor;
  readonly logger: Logger;
  /** Ends the measurements; what was measured is kept. */
  readonly signal: AbortSignal;
}

/** Measures the best architectures of each group, one after the other. */
export async function addTimes(
  encoder: Encoder,
  ranking: Ranking,
  { best, images, logger, signal }: LatencyRequest,
): Promise<Ranking> {
  const { space } = encoder.network;
  const chosen = ranking.groups.flatMap(({ from, to }) =>
    ranking.candidates.filter(({ macs }) => macs >= from && macs < to).slice(0, best)
  );
  const progress = new Progress({ logger, label: "measure", total: chosen.length, unit: "architectures" });
  const times = new Map<string, number>();
  for (const { arch } of chosen) {
    if (signal.aborted) break;
    const milliseconds = await measureLatency(encoder, space.resolve(arch), images);
    times.set(arch, Number(milliseconds.toPrecision(4)));
    progress.update(times.size);
  }
  progress.finish();
  if (times.size < chosen.length) {
    logger.warn(`${formatCount(chosen.length - times.size)} architectures have no time: interrupted`);
  }
  return withTimes(ranking, times);
}
