/** Work that makes a kernel loop longer than a driver can. */
import type { Gpu } from "../../../src/gpu/device.ts";
import type { openGpu } from "../../../src/host/adapter.ts";

/**
 * What becomes of the loop: the stream `cut`s it into launches; the host has `split` the sum among more invocations; it is
 * `short` whatever the sizes; the launch is `refused` with a {@linkcode LoopLimitError}.
 */
export type Outcome = "cut" | "split" | "short" | "refused";

/** One such work. */
export interface LongLoop {
  readonly name: string;
  /** The kernels that would loop too long if nobody cared, and what becomes of that. */
  readonly kernels: Readonly<Record<string, Outcome>>;
  /** Facts of the device to assume, see {@linkcode openGpu}. */
  readonly assumed?: Parameters<typeof openGpu>[0];
  /** Compares the results with float64 loops; of refused work, only starts it. */
  run(gpu: Gpu): Promise<void>;
}

/** Values in [0, 1), evenly spread, quickly made; the same for the same seed. */
export function spread(length: number, seed: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, (_, at) => (Math.imul(at + 7919 * seed, 2654435761) >>> 8) / 2 ** 24);
}

/** Sum over `count` terms in float64. */
export function sum(count: number, term: (at: number) => number): number {
  let total = 0;
  for (let at = 0; at < count; at++) total += term(at);
  return total;
}
