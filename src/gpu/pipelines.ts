/**
 * Compute pipelines, one for each (kernel file, constants). Constants are tile sizes and switches; shapes go through
 * the uniform buffer, so an elastic network compiles a fixed, small set.
 */
import { GpuError } from "../errors.ts";
import type { Kernel } from "./kernel.ts";
import {
  expandKernel,
  type KernelConstants,
  type KernelInterface,
  parseInterface,
  type SourceLine,
} from "./wgsl.ts";

/** A compiled kernel with what the host needs to bind and launch it. */
export interface CompiledKernel extends KernelInterface {
  readonly id: number;
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Bytes of the uniform block. */
  readonly parameterBytes: number;
}

/** Turns the compiler's messages into one text that names kernel file and line. */
export function describeMessages(
  name: string,
  messages: readonly { type: string; lineNum: number; message: string }[],
  origin: SourceLine[],
): string {
  return messages.filter((message) => message.type === "error").map((message) => {
    const at = origin[message.lineNum - 1] ?? { file: `${name}.wgsl`, line: 0 };
    const summary = message.message.trim().split("\n").filter((line) => line.trim() !== "").slice(0, 6).join(
      "\n  ",
    );
    return `${at.file}:${at.line}: ${summary}`;
  }).join("\n");
}

/** Compiles kernels on first use and keeps them. */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #kernels = new Map<string, CompiledKernel & { readonly source: string }>();
  readonly #pending: Promise<GpuError | undefined>[] = [];
  #nextId = 0;
  #compileSeconds = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Number of pipelines compiled so far. */
  get size(): number {
    return this.#kernels.size;
  }

  /** Seconds that this thread spent on making pipelines. */
  get compileSeconds(): number {
    return this.#compileSeconds;
  }

  /** Names and constants of the pipelines compiled so far. */
  get keys(): string[] {
    return [...this.#kernels.keys()];
  }

  /**
   * A kernel for these constants, compiled. Errors of the compiler are raised by {@linkcode settle}.
   * @throws GpuError for another kernel of the same name
   */
  get(kernel: Kernel, constants: KernelConstants = {}): CompiledKernel {
    const { name, source } = kernel;
    const key = `${name} ${JSON.stringify(constants)}`;
    const known = this.#kernels.get(key);
    if (known) {
      if (known.source === source) return known;
      throw new GpuError(`two different kernels are named '${name}'. Give one another name.`);
    }
    const start = performance.now();
    const compiled = { ...this.#compile(kernel, constants), source };
    this.#compileSeconds += (performance.now() - start) / 1000;
    this.#kernels.set(key, compiled);
    return compiled;
  }

  /** Waits for the compiler's verdict on all kernels asked for since the last call. */
  async settle(): Promise<void> {
    if (this.#pending.length === 0) return;
    const failed = (await Promise.all(this.#pending.splice(0))).filter((error) => error !== undefined);
    if (failed.length > 0) throw new GpuError(failed.map((error) => error.message).join("\n"));
  }

  #compile(kernel: Kernel, constants: KernelConstants): CompiledKernel {
    const { name } = kernel;
    const { code, origin } = expandKernel(kernel, constants);
    const face = parseInterface(name, code);
    const device = this.#device;
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code, label: name });
    const layout = device.createBindGroupLayout({
      label: name,
      entries: [
        {
          binding: 0,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: "uniform", hasDynamicOffset: true },
        },
        ...face.bindings.map(({ binding, access }): GPUBindGroupLayoutEntry => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: access === "read" ? "read-only-storage" : "storage" },
        })),
      ],
    });
    const pipeline = device.createComputePipeline({
      label: name,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: "main" },
    });
    const scope = device.popErrorScope();
    this.#pending.push((async () => {
      const [error, info] = await Promise.all([scope, module.getCompilationInfo()]);
      const described = describeMessages(name, info.messages, origin);
      if (described) return new GpuError(described);
      if (error) return new GpuError(`${name}.wgsl: ${error.message}`);
    })());
    const parameterBytes = Math.ceil(Math.max(face.fields.length, 1) / 4) * 16;
    return { id: this.#nextId++, name, pipeline, layout, parameterBytes, ...face };
  }
}
