/** Device time per kernel, from timestamp queries around each dispatch. */
import type { Work } from "./stream.ts";

/** The sum over all launches of one kernel. */
export interface KernelTime {
  kernel: string;
  calls: number;
  seconds: number;
  flops: number;
  bytes: number;
}

const capacity = 2048;

/** Measures each dispatch that is recorded while it is a stream's profiler. Needs the feature `timestamp-query`. */
export class Profiler {
  readonly #device: GPUDevice;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #times = new Map<string, KernelTime>();
  readonly #reads: Promise<void>[] = [];
  #open: { kernel: string; work: Work }[] = [];

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#queries = device.createQuerySet({ type: "timestamp", count: 2 * capacity });
    this.#resolved = device.createBuffer({
      size: 16 * capacity,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
  }

  /** True when the stream has to submit before the next dispatch. */
  get full(): boolean {
    return this.#open.length === capacity;
  }

  /** Reserves two timestamps for the next dispatch. */
  begin(kernel: string, work: Work): GPUComputePassTimestampWrites {
    const index = this.#open.push({ kernel, work }) - 1;
    return {
      querySet: this.#queries,
      beginningOfPassWriteIndex: 2 * index,
      endOfPassWriteIndex: 2 * index + 1,
    };
  }

  /** Records the copies that bring the timestamps back; called by the stream before it submits. */
  resolve(encoder: GPUCommandEncoder): void {
    const open = this.#open;
    if (open.length === 0) return;
    this.#open = [];
    const bytes = 16 * open.length;
    const staging = this.#device.createBuffer({
      size: bytes,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    encoder.resolveQuerySet(this.#queries, 0, 2 * open.length, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, staging, 0, bytes);
    // Mapping is only allowed after the submit, which follows in this turn of the event loop.
    this.#reads.push(
      Promise.resolve().then(async () => {
        await staging.mapAsync(GPUMapMode.READ);
        const stamps = new BigUint64Array(staging.getMappedRange());
        open.forEach(({ kernel, work }, index) => {
          this.#add(kernel, work, Number(stamps[2 * index + 1] - stamps[2 * index]) * 1e-9);
        });
        staging.destroy();
      }),
    );
  }

  #add(kernel: string, work: Work, seconds: number): void {
    const sum = this.#times.get(kernel) ?? { kernel, calls: 0, seconds: 0, flops: 0, bytes: 0 };
    sum.calls++;
    sum.seconds += seconds;
    sum.flops += work.flops ?? 0;
    sum.bytes += work.bytes ?? 0;
    this.#times.set(kernel, sum);
  }

  /** Waits for outstanding timestamps; returns the kernels, slowest first, and starts anew. */
  async take(): Promise<KernelTime[]> {
    await Promise.all(this.#reads.splice(0));
    const times = [...this.#times.values()].sort((a, b) => b.seconds - a.seconds);
    this.#times.clear();
    return times;
  }

  /** Frees the device's objects. */
  destroy(): void {
    this.#queries.destroy();
    this.#resolved.destroy();
  }
}

function rate(value: number, seconds: number, unit: string): string {
  return value > 0 ? `${(value / seconds / 1e9).toFixed(1)} ${unit}` : "";
}

/** The table that `--profile` prints. `wallSeconds` is the time in which the launches happened. */
export function formatProfile(times: KernelTime[], wallSeconds: number): string {
  const total = times.reduce((sum, time) => sum + time.seconds, 0);
  const rows = times.map((time) => [
    time.kernel,
    String(time.calls),
    (1e3 * time.seconds).toFixed(1),
    rate(time.flops, time.seconds, "GFLOP/s"),
    rate(time.bytes, time.seconds, "GB/s"),
    `${(100 * time.seconds / total).toFixed(1)} %`,
  ]);
  const table = [["kernel", "calls", "ms", "", "", "share"], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  const lines = table.map((row) =>
    row.map((cell, column) => column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])).join(
      "  ",
    )
  );
  const share = (100 * total / wallSeconds).toFixed(1);
  lines.push(
    `kernels ${(1e3 * total).toFixed(0)} ms of ${(1e3 * wallSeconds).toFixed(0)} ms wall time (${share} %)`,
  );
  return lines.join("\n");
}
