/** Opening the device, and the one object that everything above holds: {@linkcode Gpu}. */
import { GpuError } from "../errors.ts";
import { BufferPool } from "./buffers.ts";
import { PipelineCache } from "./pipelines.ts";
import { Profiler } from "./profiler.ts";
import { silentDevice } from "./rehearsal.ts";
import { CommandStream } from "./stream.ts";
import type { BufferRange } from "./dispatch.ts";
import { Tuning } from "./tuning.ts";

/** Facts about the adapter that kernels are chosen by. */
export interface AdapterFacts {
  description: string;
  vendor: string;
  /** A driver that runs shaders on the CPU. */
  software: boolean;
  /** Lanes of a subgroup where that number is fixed and subgroup operations work; else 0. */
  subgroupLanes: number;
  /** Device timestamps can be taken. */
  timestamps: boolean;
}

/** Facts that replace the adapter's own, to run another device's kernel variants. */
export interface AssumedFacts {
  readonly software?: boolean;
  /** May be given up, not claimed. */
  readonly subgroupLanes?: 0;
}

/** Limits that kernels and buffers are sized by; the defaults of WebGPU are far below what adapters have. */
export const wantedLimits = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupStorageSize",
  "minUniformBufferOffsetAlignment",
] as const;

/** Bytes that one wait brings back, unless a single range is larger. */
const stagingBytes = 2 ** 28;

/**
 * The subgroup width that kernels may rely on. Deno's wgpu runs subgroup operations although neither the adapter nor
 * naga lists the feature, so it is asked for and given up when refused.
 */
function fixedSubgroupLanes(info: GPUAdapterInfo): number {
  const { subgroupMinSize: least, subgroupMaxSize: most } = info;
  return least !== undefined && least === most ? least : 0;
}

async function requestDevice(adapter: GPUAdapter): Promise<{ device: GPUDevice; subgroups: boolean }> {
  const limits = Object.fromEntries(wantedLimits.map((name) => [name, adapter.limits[name]]));
  const timestamps: GPUFeatureName[] = adapter.features.has("timestamp-query") ? ["timestamp-query"] : [];
  const request = (features: GPUFeatureName[]) =>
    adapter.requestDevice({ label: "scion", requiredLimits: limits, requiredFeatures: features });
  if (fixedSubgroupLanes(adapter.info) > 0) {
    try {
      return { device: await request([...timestamps, "subgroups"]), subgroups: true };
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof DOMException)) throw error;
    }
  }
  return { device: await request(timestamps), subgroups: false };
}

/** Whether an adapter is a driver that runs shaders on the processor. */
export function isSoftware({ isFallbackAdapter, description }: GPUAdapterInfo): boolean {
  return isFallbackAdapter === true || /llvmpipe|swiftshader|basic render/i.test(description);
}

/** The opened device with its memory, its kernels and its command stream. */
export class Gpu {
  readonly pool: BufferPool;
  readonly pipelines: PipelineCache;
  readonly stream: CommandStream;
  /** Choices between kernel variants. */
  readonly tuning: Tuning = new Tuning();
  #failure: GpuError | undefined;
  #closed = false;

  private constructor(readonly device: GPUDevice, readonly facts: AdapterFacts) {
    this.pool = new BufferPool(device);
    this.pipelines = new PipelineCache(device);
    this.stream = new CommandStream(device, this.pipelines, facts.software);
    this.pool.onDestroy = () => this.stream.forgetBindGroups();
    this.pool.onPressure = () => this.stream.submit();
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#failure ??= new GpuError(
        `the device refused a command: ${(event as GPUUncapturedErrorEvent).error.message}`,
      );
    });
    device.lost.then((info) => {
      if (this.#closed) return;
      this.#failure = new GpuError(
        `the device was lost (${info.reason}): ${info.message}. What was saved is whole. If it happens again, ` +
          `use a smaller batch.`,
      );
    });
  }

  /** Asks an adapter for a device with the adapter's own limits, and for the features that kernels can use. */
  static async request(adapter: GPUAdapter, assumed: AssumedFacts = {}): Promise<Gpu> {
    const { device, subgroups } = await requestDevice(adapter);
    return Gpu.from(device, adapter.info, { subgroups, assumed });
  }

  /**
   * Takes a device that the host has opened, e.g. a browser's.
   *
   * @param device with the limits that its tensors need; see {@linkcode wantedLimits}
   * @param info of its adapter
   * @param options whether subgroup operations may be used; default where the device says so
   */
  static from(
    device: GPUDevice,
    info: GPUAdapterInfo = device.adapterInfo,
    { subgroups = device.features.has("subgroups"), assumed = {} }: {
      readonly subgroups?: boolean;
      readonly assumed?: AssumedFacts;
    } = {},
  ): Gpu {
    return new Gpu(device, {
      description: info.description,
      vendor: info.vendor,
      software: isSoftware(info),
      subgroupLanes: subgroups ? fixedSubgroupLanes(info) : 0,
      timestamps: device.features.has("timestamp-query"),
      ...assumed,
    });
  }

  /**
   * A device with these facts and limits that runs nothing and takes no memory, to learn from its pool's account what a
   * recording would take. What is read from it is 0.
   */
  static rehearse(facts: AdapterFacts, limits: GPUSupportedLimits): Gpu {
    return new Gpu(silentDevice(limits), facts);
  }

  /** Raises what went wrong on the device since the last call: compiler errors, refused commands, a lost device. */
  async check(): Promise<void> {
    await this.pipelines.settle();
    if (this.#failure) throw this.#failure;
  }

  /** Submits, and waits until the device has run everything. */
  async finish(): Promise<void> {
    await this.stream.flush();
    await this.device.queue.onSubmittedWorkDone();
    this.stream.finished();
    await this.check();
  }

  /**
   * Brings ranges back to the host, all in one wait. Each wait costs at least 11 ms under Deno, so ask for many
   * ranges at once.
   */
  async read(...ranges: BufferRange[]): Promise<ArrayBuffer[]> {
    const results: ArrayBuffer[] = [];
    for (let first = 0; first < ranges.length;) {
      let end = first;
      let bytes = 0;
      do bytes += ranges[end++].byteLength; while (
        end < ranges.length && bytes + ranges[end].byteLength <= stagingBytes
      );
      results.push(...await this.#readTogether(ranges.slice(first, end), bytes));
      first = end;
    }
    return results;
  }

  async #readTogether(ranges: BufferRange[], total: number): Promise<ArrayBuffer[]> {
    const staging = this.device.createBuffer({
      label: "read back",
      size: Math.max(total, 4),
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    let offset = 0;
    const offsets = ranges.map((range) => {
      this.stream.copyOut(range, staging, offset);
      offset += range.byteLength;
      return offset - range.byteLength;
    });
    try {
      await this.stream.flush();
    } catch (error) {
      staging.destroy();
      throw error;
    }
    try {
      await staging.mapAsync(GPUMapMode.READ);
    } catch (error) {
      await this.check();
      throw new GpuError(`the device's results could not be read: ${error}`);
    }
    this.stream.finished();
    await this.check();
    const mapped = staging.getMappedRange();
    const results = ranges.map((range, index) =>
      mapped.slice(offsets[index], offsets[index] + range.byteLength)
    );
    staging.destroy();
    return results;
  }

  /** Starts to measure every dispatch. Throws {@linkcode GpuError} where the adapter takes no timestamps. */
  profile(): Profiler {
    if (!this.facts.timestamps) {
      throw new GpuError(
        "this adapter takes no timestamps (feature 'timestamp-query'), so --profile cannot measure",
      );
    }
    this.stream.submit();
    return this.stream.profiler = new Profiler(this.device);
  }

  /** Releases the device with all its memory. */
  release(): void {
    this.#closed = true;
    this.stream.profiler?.destroy();
    this.device.destroy();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
