/**
 * The command stream: everything that runs on the device is recorded here, in order, and submitted in few pieces.
 *
 * Dispatches that follow each other share one compute pass. Their parameters collect in one uniform arena that is
 * uploaded with the submit; a bind group is made once for each set of buffers and then found again.
 */
import { GpuError } from "../errors.ts";
import type { PooledBuffer } from "./buffers.ts";
import type { Kernel } from "./kernel.ts";
import type { CompiledKernel, PipelineCache } from "./pipelines.ts";
import type { KernelConstants } from "./wgsl.ts";
import type { Profiler } from "./profiler.ts";

/** A range of a buffer, as kernels are bound to it. Tensors are such ranges. */
export interface BufferRange {
  readonly storage: PooledBuffer;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** What a dispatch computes and moves, for `--profile` and the benchmarks. */
export interface Work {
  /** Floating-point operations; a fused multiply-add counts two. */
  flops?: number;
  /** Bytes read and written, each tensor counted once. */
  bytes?: number;
  /** What the profiler counts the launch under, in place of the kernel's name. */
  tag?: string;
}

/** One launch of a kernel. */
export interface Dispatch {
  kernel: Kernel;
  constants?: KernelConstants;
  /** A range for each storage binding, by the name it has in the kernel; what a variant does not declare is ignored. */
  buffers: Record<string, BufferRange | undefined>;
  /** A value for each field of the kernel's `struct Params`. */
  params: Record<string, number>;
  /** Number of workgroups. */
  grid: readonly [number, number, number];
  work?: Work;
}

const arenaBytes = 1 << 18;
const bindGroupLimit = 16384;

/** Whether a uniform field can hold the number; a typed array would wrap it around without a word. */
function isWhole(value: number, type: "u32" | "i32"): boolean {
  return value === (type === "u32" ? value >>> 0 : value | 0);
}

/** Workgroups for `count` invocations in rows of at most 65 535; kernels find their number with `include/grid`. */
export function linearGrid(count: number, workgroupSize: number): [number, number, number] {
  const groups = Math.ceil(count / workgroupSize);
  if (groups <= 65535) return [groups, 1, 1];
  const rows = Math.ceil(groups / 65535);
  return [Math.ceil(groups / rows), rows, 1];
}

/** Records and submits device work. */
export class CommandStream {
  readonly #device: GPUDevice;
  readonly #pipelines: PipelineCache;
  readonly #arena: ArrayBuffer;
  readonly #words: Uint32Array;
  readonly #floats: Float32Array;
  readonly #integers: Int32Array;
  readonly #arenaBuffer: GPUBuffer;
  readonly #alignment: number;
  #arenaUsed = 0;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #bindGroups = new Map<string, GPUBindGroup>();
  #dispatches = 0;
  #submitSeconds = 0;
  /** Set to measure each dispatch with device timestamps. */
  profiler: Profiler | undefined;

  constructor(device: GPUDevice, pipelines: PipelineCache) {
    this.#device = device;
    this.#pipelines = pipelines;
    this.#alignment = device.limits.minUniformBufferOffsetAlignment;
    this.#arena = new ArrayBuffer(arenaBytes);
    this.#words = new Uint32Array(this.#arena);
    this.#floats = new Float32Array(this.#arena);
    this.#integers = new Int32Array(this.#arena);
    this.#arenaBuffer = device.createBuffer({
      label: "parameters of dispatches",
      size: arenaBytes,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
  }

  /** Number of dispatches recorded so far. */
  get dispatches(): number {
    return this.#dispatches;
  }

  /** Seconds spent on handing work over. Mesa's software driver takes no more before it has done the last. */
  get submitSeconds(): number {
    return this.#submitSeconds;
  }

  /** Records one launch. A grid with an empty dimension is left out. */
  dispatch(call: Dispatch): void {
    if (call.grid.some((size) => size === 0)) return;
    if (call.grid.some((size) => size > 65535)) {
      throw new GpuError(
        `${call.kernel.name}: a grid of ${call.grid.join(" x ")} workgroups; at most 65535 a dimension`,
      );
    }
    const kernel = this.#pipelines.get(call.kernel, call.constants);
    const offset = this.#writeParams(kernel, call.params);
    const bindGroup = this.#bindGroup(kernel, call.buffers);
    const pass = this.#openPass(call, kernel);
    pass.setPipeline(kernel.pipeline);
    pass.setBindGroup(0, bindGroup, [offset]);
    pass.dispatchWorkgroups(...call.grid);
    this.#dispatches++;
    if (this.profiler) this.#closePass();
  }

  /** Records a copy of whole ranges of equal length. */
  copy(source: BufferRange, target: BufferRange): void {
    if (source.byteLength !== target.byteLength) {
      throw new GpuError(`copy of ${source.byteLength} bytes into ${target.byteLength} bytes`);
    }
    this.#openEncoder().copyBufferToBuffer(
      source.storage.buffer,
      source.byteOffset,
      target.storage.buffer,
      target.byteOffset,
      source.byteLength,
    );
  }

  /** Records a copy into a buffer that is not of the pool, e.g. one for reading back. */
  copyOut(source: BufferRange, target: GPUBuffer, targetOffset: number): void {
    this.#openEncoder().copyBufferToBuffer(
      source.storage.buffer,
      source.byteOffset,
      target,
      targetOffset,
      source.byteLength,
    );
  }

  /** Records zeros into a range. */
  clear(range: BufferRange): void {
    this.#openEncoder().clearBuffer(range.storage.buffer, range.byteOffset, range.byteLength);
  }

  /**
   * Uploads data. What was recorded before is submitted first, because the queue's uploads would otherwise overtake
   * it; so upload at the start of a step, not in its middle.
   */
  write(range: BufferRange, data: ArrayBufferView<ArrayBuffer>): void {
    if (data.byteLength !== range.byteLength) {
      throw new GpuError(`upload of ${data.byteLength} bytes into a range of ${range.byteLength} bytes`);
    }
    this.submit();
    this.#device.queue.writeBuffer(range.storage.buffer, range.byteOffset, data);
  }

  /** Hands everything recorded so far to the device. */
  submit(): void {
    if (!this.#encoder) return;
    this.#closePass();
    this.profiler?.resolve(this.#encoder);
    if (this.#arenaUsed > 0) {
      this.#device.queue.writeBuffer(this.#arenaBuffer, 0, this.#arena, 0, this.#arenaUsed);
      this.#arenaUsed = 0;
    }
    const commands = this.#encoder.finish();
    const start = performance.now();
    this.#device.queue.submit([commands]);
    this.#submitSeconds += (performance.now() - start) / 1000;
    this.#encoder = undefined;
  }

  /** Runs work whose dispatches the profiler, where there is one, does not count. */
  async unprofiled<T>(work: () => Promise<T>): Promise<T> {
    const { profiler } = this;
    this.submit();
    this.profiler = undefined;
    try {
      return await work();
    } finally {
      this.submit();
      this.profiler = profiler;
    }
  }

  /** Drops the bind groups; called when buffers that they may name are destroyed. */
  forgetBindGroups(): void {
    this.#bindGroups.clear();
  }

  #openEncoder(): GPUCommandEncoder {
    this.#closePass();
    return this.#encoder ??= this.#device.createCommandEncoder();
  }

  #openPass(call: Dispatch, kernel: CompiledKernel): GPUComputePassEncoder {
    this.#encoder ??= this.#device.createCommandEncoder();
    if (!this.#pass) {
      const timestampWrites = this.profiler?.begin(kernel.name, call.work ?? {});
      this.#pass = this.#encoder.beginComputePass(timestampWrites ? { timestampWrites } : undefined);
    }
    return this.#pass;
  }

  #closePass(): void {
    this.#pass?.end();
    this.#pass = undefined;
  }

  #writeParams(kernel: CompiledKernel, params: Record<string, number>): number {
    let offset = Math.ceil(this.#arenaUsed / this.#alignment) * this.#alignment;
    if (offset + kernel.parameterBytes > arenaBytes || this.profiler?.full) {
      this.submit();
      offset = 0;
    }
    this.#arenaUsed = offset + kernel.parameterBytes;
    let word = offset / 4;
    for (const { name, type } of kernel.fields) {
      const value = params[name];
      if (value === undefined) {
        throw new GpuError(`${kernel.name}.wgsl: parameter '${name}' is not given`);
      }
      if (type !== "f32" && !isWhole(value, type)) {
        throw new GpuError(`${kernel.name}.wgsl: parameter '${name}' is ${value}; a ${type} is needed`);
      }
      const view = type === "f32" ? this.#floats : type === "i32" ? this.#integers : this.#words;
      view[word++] = value;
    }
    return offset;
  }

  #bindGroup(kernel: CompiledKernel, buffers: Dispatch["buffers"]): GPUBindGroup {
    let key = `${kernel.id}`;
    const ranges = kernel.bindings.map(({ name }) => {
      const range = buffers[name];
      if (!range) throw new GpuError(`${kernel.name}.wgsl: buffer '${name}' is not given`);
      return range;
    });
    for (const range of ranges) {
      key += `,${range.storage.id}:${range.byteOffset}:${range.byteLength}`;
    }
    const known = this.#bindGroups.get(key);
    if (known) return known;
    if (this.#bindGroups.size >= bindGroupLimit) this.#bindGroups.clear();
    const made = this.#device.createBindGroup({
      label: kernel.name,
      layout: kernel.layout,
      entries: [
        { binding: 0, resource: { buffer: this.#arenaBuffer, size: kernel.parameterBytes } },
        ...ranges.map(({ storage, byteOffset, byteLength }, index): GPUBindGroupEntry => ({
          binding: kernel.bindings[index].binding,
          resource: { buffer: storage.buffer, offset: byteOffset, size: byteLength },
        })),
      ],
    });
    this.#bindGroups.set(key, made);
    return made;
  }
}
