/** What the adapter can do at most, measured with two kernels: the yardstick of all other figures. */
import { median } from "../src/median.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { loop } from "../src/gpu/limits.ts";
import { type Dispatch, linearGrid } from "../src/gpu/dispatch.ts";
import type { Profiler } from "../src/gpu/profiler.ts";
import { Tensor } from "../src/tensor/tensor.ts";
import { type Kernel, kernel } from "../src/gpu/kernel.ts";
import benchPeakSource from "./kernels/peak.wgsl" with { type: "text" };
import benchCopySource from "./kernels/copy.wgsl" with { type: "text" };

export const benchPeakKernel: Kernel = kernel("bench_peak", benchPeakSource);
const benchCopyKernel = kernel("bench_copy", benchCopySource);

/** Measured limits of an adapter. */
export interface Limits {
  /** Floating-point operations per second, a fused multiply-add counted as two. */
  readonly flops: number;
  /** Bytes per second, read and written together. */
  readonly bytes: number;
}

/** Independent chains of vec4 an invocation. How many hide the latency and still fit the registers is the device's. */
const chains = [2, 3, 4, 8];

/** Bytes copied: far more than the caches of the devices at hand. */
const copiedBytes = 2 ** 26;

const runs = 5;

/**
 * Measures both limits with device timestamps: medians of several runs, of the best variant. Takes about a second on
 * two CPU cores.
 */
export async function measureLimits(gpu: Gpu, profiler: Profiler): Promise<Limits> {
  const output = Tensor.create(gpu, [64 * (gpu.facts.software ? 256 : 16384)]);
  const peak = async (sums: number) => {
    const rounds = gpu.facts.software ? 64 : 512;
    const seconds = await medianSeconds(gpu, profiler, {
      kernel: benchPeakKernel,
      constants: { SUMS: sums },
      buffers: { output },
      params: { rounds, factor: 0.999, summand: 0.001 },
      grid: [output.length / 64, 1, 1],
      turns: loop(rounds),
    });
    return 2 * output.length * rounds * 16 * sums * 4 / seconds;
  };
  let flops = 0;
  for (const sums of chains) flops = Math.max(flops, await peak(sums));
  output.release();

  const [source, target] = [0, 1].map(() => Tensor.zeros(gpu, [Math.min(copiedBytes, gpu.pool.limit) / 4]));
  const seconds = await medianSeconds(gpu, profiler, {
    kernel: benchCopyKernel,
    buffers: { input: source, output: target },
    params: { count: source.length / 4 },
    grid: linearGrid(source.length / 4, 64),
    turns: 0,
  });
  const bytes = 2 * source.byteLength / seconds;
  for (const tensor of [source, target]) tensor.release();
  gpu.pool.trim();
  return { flops, bytes };
}

async function medianSeconds(gpu: Gpu, profiler: Profiler, call: Dispatch): Promise<number> {
  const seconds: number[] = [];
  for (let run = 0; run <= runs; run++) {
    gpu.stream.dispatch(call);
    await gpu.finish();
    const [time] = await profiler.take();
    // The first run compiles and touches the memory for the first time.
    if (run > 0) seconds.push(time.seconds);
  }
  return median(seconds);
}
