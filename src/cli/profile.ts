/** What `--profile` prints at the end of a run: where the time of its steps went, and how much memory it held. */
import { median } from "../median.ts";
import type { MemoryUse } from "../gpu/buffers.ts";
import type { Gpu } from "../gpu/device.ts";
import { formatProfile, kernelSeconds, type KernelTime } from "../gpu/profiler.ts";
import type { StepTimes } from "../train/step_times.ts";
import { Tensor } from "../tensor/tensor.ts";
import { formatCount, formatShare } from "./format.ts";

/** What was measured. */
export interface Measurements {
  readonly kernels: readonly KernelTime[];
  readonly times: StepTimes;
  /** Seconds of a wait for the device when it has nothing to do. */
  readonly idleWait: number;
  readonly memory: MemoryUse;
  /** Resident set in bytes. */
  readonly resident: number;
}

const idleWaits = 7;

/** Takes the profiler's times and measures what a wait costs beyond the device's work. */
export async function measureProfile(gpu: Gpu, times: StepTimes): Promise<Measurements> {
  const kernels = await gpu.stream.profiler!.take();
  const memory = gpu.pool.use;
  const value = Tensor.zeros(gpu, [1]);
  const waits: number[] = [];
  for (let wait = 0; wait < idleWaits; wait++) {
    const start = performance.now();
    await value.read();
    waits.push((performance.now() - start) / 1000);
  }
  value.release();
  const idleWait = median(waits);
  return { kernels, times, idleWait, memory, resident: Deno.memoryUsage().rss };
}

/** The table of kernels, then the whole: kernels and the rest make up the steps' wall time. */
export function profileText({ kernels, times, idleWait, memory, resident }: Measurements): string {
  if (times.wall === 0) return "profile: there were no steps";
  const part = (seconds: number) => `${seconds.toFixed(2)} s (${formatShare(seconds / times.wall)})`;
  const busy = kernelSeconds(kernels);
  return [
    formatProfile(kernels),
    `steps ${times.wall.toFixed(2)} s: kernels ${part(busy)}, copies, gaps and idle device ${
      part(times.wall - busy)
    }`,
    `host: recording ${part(times.recording)}, compiling kernels ${
      part(times.compiling)
    }, waiting for images ${part(times.images)}, waiting for the device ${part(times.device)}`,
    `${formatCount(times.deviceWaits)} waits for losses, each ${
      (1000 * idleWait).toFixed(1)
    } ms when the device is idle: ${part(times.deviceWaits * idleWait)}`,
    `device memory: ${formatCount(memory.held)} bytes in ${formatCount(memory.buffers)} buffers, ${
      formatCount(memory.used)
    } in use at the end, peak ${formatCount(memory.peak)}; resident set ${formatCount(resident)} bytes`,
  ].join("\n");
}
