/** Times of a ranking's architectures, on single images and on batches as large as the search's. */
import type { Encoder } from "../nn/encoder.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Latency, latencyRounds, measureLatencies } from "./latency.ts";

/** What is measured, and on what. */
export interface MeasuringSession {
  readonly student: Encoder;
  /** Images of a batch. */
  readonly batch: number;
  /** So many images, [images, 3, H, W]; released here. What they show does not matter. */
  load(images: number): Promise<Tensor>;
  readonly signal: AbortSignal;
  /** So many measurements begin, in several rounds. */
  onMeasure?(measurements: number): void;
  /** After each of them. */
  onMeasured?(): void;
}

/** Measures architectures; none is among the results where it was stopped early. */
export async function measureArchitectures(
  architectures: readonly string[],
  { student, batch, load, signal, onMeasure, onMeasured }: MeasuringSession,
): Promise<Map<string, readonly Latency[]>> {
  if (signal.aborted) return new Map();
  onMeasure?.(architectures.length * latencyRounds);
  using single = await load(1);
  using input = await load(batch);
  const { space } = student.network;
  const latencies = await measureLatencies(
    student,
    architectures.map((arch) => space.resolve(arch)),
    batch === 1 ? [single] : [single, input],
    { signal, onMeasured },
  );
  return new Map(
    architectures.flatMap((arch, index) =>
      latencies[index].length > 0 ? [[arch, latencies[index]] as const] : []
    ),
  );
}
