/**
 * The command stream: everything that runs on the device is recorded here, in order, and submitted in few pieces
 * (`submission.ts`).
 *
 * Dispatches that follow each other share one compute pass. Their parameters collect in one uniform arena that is
 * uploaded with the submit; a bind group is made once for each set of buffers and then found again.
 */
import { DeviceLimitError, GpuError } from "../errors.ts";
import { type BufferRange, type Dispatch, launchesOf, type Work } from "./dispatch.ts";
import type { CompiledKernel, PipelineCache } from "./pipelines.ts";
import type { Profiler } from "./profiler.ts";
import { type Estimate, Submission } from "./submission.ts";

const arenaBytes = 1 << 18;
const bindGroupLimit = 16384;
/** Where bindings may begin on every device; some allow less. */
const bindingAlignment = 256;

/** Whether a uniform field can hold the number; a typed array would wrap it around without a word. */
function isWhole(value: number, type: "u32" | "i32"): boolean {
  return value === (type === "u32" ? value >>> 0 : value | 0);
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
  #flops = 0;
  /** What is recorded and not submitted. */
  readonly submission: Submission;
  /** Of what is recorded and in no part yet. */
  #estimate: Estimate = { work: 0, compilation: 0 };
  #discards = 0;
  #committing = false;
  /** Something that is committed was submitted already. */
  #committed = false;
  /** Ends {@linkcode flush} and {@linkcode breathe} when aborted: what is recorded is dropped, its reason thrown. */
  interrupt: AbortSignal | undefined;
  /** Set to measure each dispatch with device timestamps. */
  profiler: Profiler | undefined;

  /** @param software whether the driver runs shaders on the CPU */
  constructor(device: GPUDevice, pipelines: PipelineCache, software: boolean) {
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
    this.submission = new Submission(device, this.#arenaBuffer, software);
  }

  /** Number of dispatches recorded so far. */
  get dispatches(): number {
    return this.#dispatches;
  }

  /** Floating-point operations that the dispatches recorded so far say they make; a fused multiply-add counts two. */
  get flops(): number {
    return this.#flops;
  }

  /** Seconds spent on handing work over. Mesa's software driver takes no more before it has done the last. */
  get submitSeconds(): number {
    return this.submission.submitSeconds;
  }

  /**
   * Records one launch, or as many as its loop takes. A grid with an empty dimension is left out.
   * @throws LoopLimitError where the loops of an invocation are too long and cannot be cut
   */
  dispatch(call: Dispatch): void {
    if (call.grid.some((size) => size === 0)) return;
    if (call.grid.some((size) => size > 65535)) {
      throw new DeviceLimitError(
        `${call.kernel.name}: a grid of ${call.grid.join(" x ")} workgroups; at most 65535 a dimension`,
      );
    }
    for (const part of launchesOf(call)) this.#launch(part);
  }

  #launch(call: Dispatch): void {
    const pipelines = this.#pipelines.size;
    const kernel = this.#pipelines.get(call.kernel, call.constants);
    if (typeof call.turns !== "number" && !kernel.fields.some(({ name }) => name === "endRound")) {
      throw new GpuError(`${kernel.name}.wgsl: its loop cannot be cut: no parameter 'endRound'`);
    }
    this.#makeRoom(kernel, call.work ?? {}, this.#pipelines.size > pipelines);
    const offset = this.#writeParams(kernel, call.params);
    const bindGroup = this.#bindGroup(kernel, call.buffers);
    const pass = this.#openPass(call, kernel);
    pass.setPipeline(kernel.pipeline);
    pass.setBindGroup(0, bindGroup, [offset]);
    pass.dispatchWorkgroups(...call.grid);
    this.#dispatches++;
    this.#flops += call.work?.flops ?? 0;
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

  /**
   * Hands everything recorded so far to the device at once. A software driver takes it when it has done the last, so
   * where work can be long, {@linkcode flush} is better.
   */
  submit(): void {
    this.#endPart();
    this.submission.submitAll();
    this.profiler?.submitted();
    this.#committing = this.#committed = false;
  }

  /**
   * Hands everything recorded so far to the device; where it is long, in parts, between which the event loop has its
   * turn. Resolves when all is handed over, not when it is done.
   *
   * @throws the reason of {@linkcode interrupt}, when it is aborted; what was not submitted then is dropped
   */
  async flush(): Promise<void> {
    this.#endPart();
    if (!await this.submission.drain(this.interrupt, this.#committed)) {
      this.discard();
      throw this.interrupt!.reason;
    }
    this.profiler?.submitted();
    this.#committing = this.#committed = false;
  }

  /**
   * Lets the event loop have its turn where recording takes long.
   * @throws the reason of {@linkcode interrupt}, when it is aborted; what was recorded then is dropped
   */
  async breathe(): Promise<void> {
    await this.submission.breathe();
    if (!this.interrupt?.aborted) return;
    this.discard();
    throw this.interrupt.reason;
  }

  /**
   * What is recorded from here to the next {@linkcode flush} or {@linkcode submit} changes what cannot be restored: it is
   * run to its end even if it is interrupted, once some of it was submitted.
   */
  commit(): void {
    if (this.submission.pending) this.#endPart();
    this.#committing = true;
  }

  /** How often recorded work was dropped. */
  get discards(): number {
    return this.#discards;
  }

  /** Drops what was recorded and not submitted. */
  discard(): void {
    this.#discards++;
    this.#closePass();
    this.#encoder = undefined;
    this.#arenaUsed = 0;
    this.#estimate = { work: 0, compilation: 0 };
    this.submission.discard();
    this.profiler?.discard();
    this.#committing = this.#committed = false;
  }

  /** Runs work that an interrupt does not end. */
  async uninterrupted<T>(work: () => Promise<T>): Promise<T> {
    const { interrupt } = this;
    this.interrupt = undefined;
    try {
      return await work();
    } finally {
      this.interrupt = interrupt;
    }
  }

  /** To be called when the device has run everything. */
  finished(): void {
    this.submission.finished();
  }

  /** Ends the part before a launch with which it would be long, or whose parameters have no room in it. */
  #makeRoom(kernel: CompiledKernel, work: Work, newPipeline: boolean): void {
    const submission = this.submission;
    const longer = { ...this.#estimate };
    submission.estimate(longer, work, newPipeline);
    const full = this.#nextOffset() + kernel.parameterBytes > arenaBytes || this.profiler?.full;
    const long = this.#encoder !== undefined && submission.seconds(longer) > submission.partSeconds;
    if (!full && !long) {
      this.#estimate = longer;
      return;
    }
    const short = submission.fits(this.#estimate);
    this.#endPart();
    submission.estimate(this.#estimate, work, newPipeline);
    if (!short) return;
    submission.submitAll();
    this.profiler?.submitted();
    this.#committed ||= this.#committing;
  }

  #nextOffset(): number {
    return Math.ceil(this.#arenaUsed / this.#alignment) * this.#alignment;
  }

  #endPart(): void {
    if (!this.#encoder) return;
    this.#closePass();
    this.profiler?.resolve(this.#encoder);
    this.submission.add({
      commands: this.#encoder.finish(),
      parameters: this.#arenaUsed > 0 ? this.#arena.slice(0, this.#arenaUsed) : undefined,
      estimate: this.#estimate,
      committed: this.#committing,
    });
    this.#encoder = undefined;
    this.#arenaUsed = 0;
    this.#estimate = { work: 0, compilation: 0 };
  }

  /** Runs work whose dispatches the profiler, where there is one, does not count. */
  async unprofiled<T>(work: () => Promise<T>): Promise<T> {
    const { profiler } = this;
    await this.flush();
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
    const offset = this.#nextOffset();
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
      if (range.byteOffset % bindingAlignment !== 0) {
        throw new GpuError(
          `${kernel.name}.wgsl: buffer '${name}' begins at byte ${range.byteOffset} of its memory; kernels are bound ` +
            `at multiples of ${bindingAlignment} alone`,
        );
      }
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
