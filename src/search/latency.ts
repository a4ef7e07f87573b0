/** How long subnets take on the present adapter. */
import type { Architecture } from "../elastic/architecture.ts";
import type { Encoder } from "../nn/encoder.ts";
import { quantile } from "../quantile.ts";
import { Tape } from "../tensor/tape.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** A measurement lasts at least so long, so that the wait for the device (11 ms under Deno) matters little. */
const wantedSeconds = 0.15;

/** Every subnet is measured so often, once a round: enough for quartiles. */
export const latencyRounds = 5;

/** Forward time of a subnet for batches of one size, over several rounds. */
export interface Latency {
  /** Images of a batch. */
  readonly batch: number;
  /** Median and quartiles of the rounds, in milliseconds per image. */
  readonly msPerImage: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  /** Rounds that were measured; fewer than wanted when it was stopped. */
  readonly rounds: number;
}

/** What a measurement tells while it runs. */
export interface LatencyHooks {
  /** Stops it; what was measured is kept. */
  readonly signal: AbortSignal;
  /** After each subnet of each round. */
  onMeasured?(): void;
}

/** A subnet on one batch, and how often it runs in a round. */
interface Contestant {
  readonly architecture: Architecture;
  readonly images: Tensor;
  /** 0 before its first round. */
  passes: number;
  readonly times: number[];
}

/**
 * Measures the backbones' forward passes in evaluation mode. The subnets take turns, {@linkcode latencyRounds} times: what
 * the machine does beside, or its clock, slows all of them in a round, and shows as their spread. A first pass of each,
 * which may compile kernels, is not counted.
 *
 * @param batches images [N, 3, H, W]; every subnet is measured on each of them
 * @returns for each architecture one latency a batch, in their order; none where it was stopped before its first round
 */
export async function measureLatencies(
  encoder: Encoder,
  architectures: readonly Architecture[],
  batches: readonly Tensor[],
  { signal, onMeasured }: LatencyHooks,
): Promise<Latency[][]> {
  const contestants = architectures.flatMap((architecture) =>
    batches.map((images): Contestant => ({ architecture, images, passes: 0, times: [] }))
  );
  let complete = 0;
  for (; complete < latencyRounds && !signal.aborted; complete++) {
    for (const [place, contestant] of contestants.entries()) {
      if (signal.aborted) return summarise(contestants, batches, complete);
      contestant.passes ||= await passesFor(encoder, contestant);
      contestant.times.push(await timePasses(encoder, contestant) / contestant.images.shape[0]);
      if (place % batches.length === batches.length - 1) onMeasured?.();
    }
  }
  return summarise(contestants, batches, complete);
}

/** How many passes fill a measurement, by the second one: the first may compile kernels. */
async function passesFor(encoder: Encoder, contestant: Contestant): Promise<number> {
  const once = { ...contestant, passes: 1 };
  await timePasses(encoder, once);
  return Math.max(1, Math.ceil(1000 * wantedSeconds / await timePasses(encoder, once)));
}

/** Milliseconds of a pass, on average. */
async function timePasses(
  encoder: Encoder,
  { architecture, images, passes }: Contestant,
): Promise<number> {
  const { gpu } = encoder.weights;
  const started = performance.now();
  for (let pass = 0; pass < passes; pass++) {
    using tape = new Tape(gpu, false);
    encoder.features(encoder.pass({ tape, training: false, batchnormGroups: 1 }), images, architecture);
    gpu.stream.submit();
  }
  await gpu.finish();
  return (performance.now() - started) / passes;
}

/** Latencies grouped by architecture, of complete rounds; of the first, if that was stopped, what it has. */
function summarise(
  contestants: readonly Contestant[],
  batches: readonly Tensor[],
  complete: number,
): Latency[][] {
  const latencies = contestants.map(({ images, times }) =>
    latencyOf(images.shape[0], times.slice(0, Math.max(1, complete)))
  );
  return Array.from({ length: contestants.length / batches.length }, (_, place) => {
    const own = latencies.slice(place * batches.length, (place + 1) * batches.length);
    return own.every(({ rounds }) => rounds > 0) ? own : [];
  });
}

/** Median and quartiles of a batch's times, in milliseconds per image, to four digits. */
export function latencyOf(batch: number, times: readonly number[]): Latency {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => Number(quantile(sorted, share).toPrecision(4));
  return {
    batch,
    msPerImage: at(0.5),
    lowerQuartile: at(0.25),
    upperQuartile: at(0.75),
    rounds: sorted.length,
  };
}
