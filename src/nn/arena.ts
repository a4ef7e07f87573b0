/**
 * Many tensors in few buffers. Weights, gradients, momentum and moving averages share one layout, so that the optimiser,
 * the moving average and clearing the gradients are one launch for each buffer, whatever the number of parameters.
 */
import { DeviceLimitError, GpuError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { Tensor } from "../tensor/tensor.ts";
import { elements, type Shape } from "../shape.ts";

/** Where one tensor lies. */
export interface Placement {
  readonly shape: Shape;
  readonly chunk: number;
  /** First element within the chunk. */
  readonly start: number;
}

/** Elements between the starts of tensors: storage bindings begin at multiples of 256 bytes on every device. */
const alignment = 64;

/** Places named tensors one after the other in chunks that a kernel can bind whole. */
export class ArenaLayout {
  readonly placements: Map<string, Placement> = new Map();
  /** Elements of each chunk, a multiple of 64. */
  readonly chunkLengths: number[] = [0];

  /** @param limit bytes that one binding may have */
  constructor(tensors: Iterable<readonly [name: string, shape: Shape]>, limit: number) {
    const chunkLimit = Math.floor(limit / 4 / alignment) * alignment;
    for (const [name, shape] of tensors) {
      const length = Math.ceil(elements(shape) / alignment) * alignment;
      if (length > chunkLimit) {
        throw new DeviceLimitError(
          `${name} has ${4 * length} bytes; this adapter binds at most ${limit}. Use a narrower space.`,
        );
      }
      if (this.chunkLengths[this.chunkLengths.length - 1] + length > chunkLimit) this.chunkLengths.push(0);
      const chunk = this.chunkLengths.length - 1;
      this.placements.set(name, { shape, chunk, start: this.chunkLengths[chunk] });
      this.chunkLengths[chunk] += length;
    }
  }

  /** Where a tensor ends within its chunk, the room up to the next one included. */
  endOf(name: string): number {
    const placement = this.placements.get(name);
    if (!placement) throw new GpuError(`there is no tensor named '${name}'`);
    return placement.start + Math.ceil(elements(placement.shape) / alignment) * alignment;
  }
}

/** One set of buffers with a layout. */
export class Arena {
  readonly chunks: readonly Tensor[];

  /** All zeros. */
  constructor(readonly gpu: Gpu, readonly layout: ArenaLayout) {
    this.chunks = layout.chunkLengths.map((length) => Tensor.zeros(gpu, [Math.max(length, alignment)]));
  }

  /** The tensor with this name, a view. */
  get(name: string): Tensor {
    const placement = this.layout.placements.get(name);
    if (!placement) throw new GpuError(`there is no tensor named '${name}'`);
    return this.chunks[placement.chunk].slice(placement.start, placement.shape);
  }

  /** Bytes of all of it. */
  get byteLength(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  }

  /** Names and tensors, in the order of the layout. */
  *entries(): Generator<[name: string, tensor: Tensor]> {
    for (const name of this.layout.placements.keys()) yield [name, this.get(name)];
  }

  /** Records zeros. */
  clear(): void {
    for (const chunk of this.chunks) this.gpu.stream.clear(chunk);
  }

  /** Records a copy of another arena with the same layout. */
  copyFrom(other: Arena): void {
    this.chunks.forEach((chunk, index) => this.gpu.stream.copy(other.chunks[index], chunk));
  }

  /** Releases the memory; nothing may read it afterwards. */
  release(): void {
    for (const chunk of this.chunks) chunk.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
