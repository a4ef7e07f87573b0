/** Device time per kernel, from timestamp queries around each dispatch. */
import type { Work } from "./dispatch.ts";

/** The sum over all launches of one kernel. */
export interface KernelTime {
  kernel: string;
  calls: number;
  seconds: number;
  flops: number;
  bytes: number;
}

/** Dispatches between two submits, at most. */
const capacity = 2048;
/** Bytes of timestamps that come back at once: each wait costs at least 11 ms under Deno. */
const stagingBytes = 2 ** 21;
/** Bytes of a dispatch's two timestamps. */
const stampBytes = 16;

/** A dispatch between two timestamps. */
interface Measured {
  readonly kernel: string;
  readonly work: Work;
}

/** A buffer that timestamps come back in, and whose they are. */
interface Staging {
  readonly buffer: GPUBuffer;
  readonly measured: Measured[];
}

/** Measures each dispatch that is recorded while it is a stream's profiler. Needs the feature `timestamp-query`. */
export class Profiler {
  readonly #device: GPUDevice;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #times = new Map<string, KernelTime>();
  readonly #reads: Promise<void>[] = [];
  #open: Measured[] = [];
  /** What was resolved into the present staging buffer. */
  #staging: Staging | undefined;
  /** Staging buffers that are full, while copies into them may wait to be submitted. */
  #full: Staging[] = [];

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#queries = device.createQuerySet({ type: "timestamp", count: 2 * capacity });
    this.#resolved = device.createBuffer({
      size: stampBytes * capacity,
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

  /** Records the copies that bring the timestamps back; called by the stream at the end of each part. */
  resolve(encoder: GPUCommandEncoder): void {
    const open = this.#open;
    if (open.length === 0) return;
    this.#open = [];
    const bytes = stampBytes * open.length;
    const used = stampBytes * (this.#staging?.measured.length ?? 0);
    if (used + bytes > stagingBytes) this.#replaceStaging();
    const { buffer, measured } = this.#staging ??= {
      buffer: this.#device.createBuffer({
        size: stagingBytes,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      }),
      measured: [],
    };
    encoder.resolveQuerySet(this.#queries, 0, 2 * open.length, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, buffer, stampBytes * measured.length, bytes);
    measured.push(...open);
  }

  #replaceStaging(): void {
    if (this.#staging) this.#full.push(this.#staging);
    this.#staging = undefined;
  }

  /** Begins to bring full buffers back; called by the stream when all copies into them are submitted. */
  submitted(): void {
    for (const staging of this.#full.splice(0)) this.#reads.push(this.#read(staging));
  }

  /** Forgets what was measured since {@linkcode take}: some of it was dropped and never ran. */
  discard(): void {
    this.#open = [];
    this.#replaceStaging();
    for (const { buffer } of this.#full.splice(0)) buffer.destroy();
  }

  async #read({ buffer, measured }: Staging): Promise<void> {
    await buffer.mapAsync(GPUMapMode.READ);
    const stamps = new BigUint64Array(buffer.getMappedRange());
    measured.forEach(({ kernel, work }, index) => {
      this.#add(work.tag ?? kernel, work, Number(stamps[2 * index + 1] - stamps[2 * index]) * 1e-9);
    });
    buffer.destroy();
  }

  #add(kernel: string, work: Work, seconds: number): void {
    const sum = this.#times.get(kernel) ?? { kernel, calls: 0, seconds: 0, flops: 0, bytes: 0 };
    sum.calls++;
    sum.seconds += seconds;
    sum.flops += work.flops ?? 0;
    sum.bytes += work.bytes ?? 0;
    this.#times.set(kernel, sum);
  }

  /** Waits for the timestamps of what is submitted; returns the kernels, slowest first, and starts anew. */
  async take(): Promise<KernelTime[]> {
    this.#replaceStaging();
    this.submitted();
    await Promise.all(this.#reads.splice(0));
    const times = [...this.#times.values()].sort((a, b) => b.seconds - a.seconds);
    this.#times.clear();
    return times;
  }

  /** Frees the device's objects. */
  destroy(): void {
    this.#staging?.buffer.destroy();
    this.#queries.destroy();
    this.#resolved.destroy();
  }
}

function rate(value: number, seconds: number, unit: string): string {
  return value > 0 ? `${(value / seconds / 1e9).toFixed(1)} ${unit}` : "";
}

/** Device time of all kernels together, in seconds. */
export function kernelSeconds(times: readonly KernelTime[]): number {
  return times.reduce((sum, { seconds }) => sum + seconds, 0);
}

/** The table of kernels that `--profile` prints; shares are of the kernels' time. */
export function formatProfile(times: readonly KernelTime[]): string {
  const total = kernelSeconds(times);
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
  return lines.join("\n");
}
