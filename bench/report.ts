/**
 * What the benchmark files share. `deno bench` prints its own table of wall times; after each file a second table follows
 * on stderr, from device timestamps: time, rate, and share of what the adapter can do at most.
 */
import { formatRate, formatTable } from "../src/cli/format.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { openGpu } from "../src/host/adapter.ts";
import type { Profiler } from "../src/gpu/profiler.ts";
import type { Work } from "../src/gpu/dispatch.ts";
import { type Limits, measureLimits } from "./limits.ts";
import { median } from "../src/median.ts";

/** Launches of a benchmark, with the memory that they need. */
export interface PreparedCase {
  /** Records what `run` needs done first, e.g. the forward pass of a backward one. Not measured. */
  before?(): void;
  /** Records the launches that are measured. */
  run(): void;
  /** Gives the memory back. */
  release(): void;
}

/** One benchmark. */
export interface KernelCase {
  /** Unique; begins with the network or subject, so that `--filter` can pick it. */
  readonly name: string;
  /**
   * What the operation computes, and the tensors that it has to read and write at least. Not what the present kernels
   * do, so that a better kernel shows as a higher rate.
   */
  readonly work: Work;
  /** For a slice of wider weights: the name of the case with the same shape stored densely. */
  readonly dense?: string;
  prepare(gpu: Gpu): PreparedCase;
}

interface Measured {
  readonly kernelCase: KernelCase;
  readonly seconds: number[];
}

/** Runs of a case that are measured, and before them those that compile and warm up. */
const repetitions = { n: 5, warmup: 2 };

/** The device of one benchmark file, with the case whose memory is allocated now. */
class Session {
  #current: { kernelCase: KernelCase; prepared: PreparedCase } | undefined;

  private constructor(readonly gpu: Gpu, readonly profiler: Profiler, readonly limits: Limits) {}

  static async open(): Promise<Session> {
    const gpu = await openGpu();
    const profiler = gpu.profile();
    return new Session(gpu, profiler, await measureLimits(gpu, profiler));
  }

  /** Allocates a case, in place of the one before. */
  async enter(kernelCase: KernelCase): Promise<PreparedCase> {
    if (this.#current?.kernelCase !== kernelCase) {
      this.#current?.prepared.release();
      this.gpu.pool.trim();
      this.#current = { kernelCase, prepared: kernelCase.prepare(this.gpu) };
      await this.gpu.finish();
    }
    return this.#current.prepared;
  }

  /** Seconds on the device in one run. */
  async run(prepared: PreparedCase, context: Deno.BenchContext): Promise<number> {
    const { gpu, profiler } = this;
    if (prepared.before) {
      gpu.stream.profiler = undefined;
      prepared.before();
      await gpu.finish();
    }
    gpu.stream.profiler = profiler;
    context.start();
    prepared.run();
    await gpu.finish();
    context.end();
    const times = await profiler.take();
    return times.reduce((sum, time) => sum + time.seconds, 0);
  }
}

/** Registers benchmarks with `deno bench`, and the table that follows them. Once in a file. */
export function registerCases(cases: readonly KernelCase[]): void {
  const measured = new Map<string, Measured>();
  let session: Session | undefined;
  for (const kernelCase of cases) {
    measured.set(kernelCase.name, { kernelCase, seconds: [] });
    Deno.bench({
      name: kernelCase.name,
      ...repetitions,
      async fn(context) {
        session ??= await Session.open();
        const prepared = await session.enter(kernelCase);
        measured.get(kernelCase.name)!.seconds.push(await session.run(prepared, context));
      },
    });
  }
  addEventListener("unload", () => {
    if (!session) return;
    console.error(formatReport(session, measured));
    session.gpu.release();
  });
}

function formatReport({ gpu, limits }: Session, measured: ReadonlyMap<string, Measured>): string {
  const secondsOf = (name: string) => {
    const seconds = measured.get(name)?.seconds.slice(-repetitions.n) ?? [];
    return seconds.length > 0 ? median(seconds) : undefined;
  };
  const rows = [["device time, medians", "ms", "rate", "of limit", ""]];
  for (const { kernelCase: { name, work, dense } } of measured.values()) {
    const seconds = secondsOf(name);
    if (seconds === undefined) continue;
    const { flops = 0, bytes = 0 } = work;
    const least = Math.max(flops / limits.flops, bytes / limits.bytes);
    const rate = flops > 0
      ? `${formatRate(flops / seconds / 1e9)} GFLOP/s`
      : `${formatRate(bytes / seconds / 1e9)} GB/s`;
    const denseSeconds = dense === undefined ? undefined : secondsOf(dense);
    rows.push([
      name,
      (1e3 * seconds).toFixed(3),
      rate,
      `${(100 * least / seconds).toFixed(0)} %`,
      denseSeconds === undefined ? "" : `${(100 * denseSeconds / seconds).toFixed(0)} % of dense`,
    ]);
  }
  return [
    "",
    `${gpu.facts.description}: at most ${formatRate(limits.flops / 1e9)} GFLOP/s and ` +
    `${formatRate(limits.bytes / 1e9)} GB/s, measured`,
    "",
    formatTable(rows, "lrrrl"),
    "",
  ].join("\n");
}
