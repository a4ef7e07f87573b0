/** Tensors: a shape over a range of GPU memory, contiguous and row-major (images: NCHW). */
import { ShapeError } from "../errors.ts";
import type { PooledBuffer } from "../gpu/buffers.ts";
import type { Gpu } from "../gpu/device.ts";
import type { BufferRange } from "../gpu/stream.ts";

/** Sizes of the dimensions, outermost first. */
export type Shape = readonly number[];

/** Number of elements of a shape. */
export function elements(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * A contiguous array of 32-bit values on the device. A tensor either owns its buffer ({@linkcode Tensor.create}) and
 * gives it back with {@linkcode release}, or is a view into memory that somebody else owns.
 */
export class Tensor implements BufferRange {
  #released = false;

  /** Most code wants {@linkcode Tensor.create} or {@linkcode Tensor.from}. */
  constructor(
    readonly gpu: Gpu,
    readonly storage: PooledBuffer,
    readonly byteOffset: number,
    readonly shape: Shape,
    readonly owner: boolean,
  ) {}

  /** A tensor with undefined contents. */
  static create(gpu: Gpu, shape: Shape): Tensor {
    return new Tensor(gpu, gpu.pool.acquire(Math.max(4 * elements(shape), 4)), 0, shape, true);
  }

  /** A tensor of zeros. */
  static zeros(gpu: Gpu, shape: Shape): Tensor {
    const tensor = Tensor.create(gpu, shape);
    gpu.stream.clear(tensor);
    return tensor;
  }

  /** Uploads values. Throws {@linkcode ShapeError} when their number is not that of the shape. */
  static from(
    gpu: Gpu,
    values: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Int32Array<ArrayBuffer>,
    shape: Shape = [values.length],
  ): Tensor {
    const tensor = Tensor.create(gpu, shape);
    tensor.write(values);
    return tensor;
  }

  /** Number of elements. */
  get length(): number {
    return elements(this.shape);
  }

  /** Bytes of the contents. */
  get byteLength(): number {
    return 4 * this.length;
  }

  /** Replaces the contents. See {@linkcode CommandStream.write} for when to upload. */
  write(values: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Int32Array<ArrayBuffer>): void {
    if (values.length !== this.length) {
      throw new ShapeError(`${values.length} values for a tensor of shape [${this.shape.join(", ")}]`);
    }
    this.gpu.stream.write(this, values);
  }

  /** Reads the contents back as 32-bit floats. To read several tensors use `gpu.read`, which waits once. */
  async read(): Promise<Float32Array<ArrayBuffer>> {
    const [bytes] = await this.gpu.read(this);
    return new Float32Array(bytes);
  }

  /** The same memory under another shape of as many elements. The view does not own the memory. */
  view(shape: Shape): Tensor {
    if (elements(shape) !== this.length) {
      throw new ShapeError(
        `a view of shape [${shape.join(", ")}] on a tensor of shape [${this.shape.join(", ")}]`,
      );
    }
    return new Tensor(this.gpu, this.storage, this.byteOffset, shape, false);
  }

  /** Elements `start` to `start + elements(shape)` as a tensor of their own. The view does not own the memory. */
  slice(start: number, shape: Shape): Tensor {
    if (start < 0 || start + elements(shape) > this.length) {
      throw new ShapeError(`elements ${start} to ${start + elements(shape)} of a tensor with ${this.length}`);
    }
    return new Tensor(this.gpu, this.storage, this.byteOffset + 4 * start, shape, false);
  }

  /** Gives the memory back to the pool. Nothing may be recorded on this tensor afterwards. */
  release(): void {
    if (!this.owner) return;
    if (this.#released) {
      throw new ShapeError(`a tensor of shape [${this.shape.join(", ")}] was released twice`);
    }
    this.#released = true;
    this.gpu.pool.release(this.storage);
  }
}

/** Throws {@linkcode ShapeError} unless `actual` is `expected`; -1 in `expected` allows any size. */
export function expectShape(operation: string, what: string, actual: Shape, expected: Shape): void {
  if (
    actual.length === expected.length && expected.every((size, axis) => size < 0 || size === actual[axis])
  ) return;
  const wanted = expected.map((size) => size < 0 ? "any" : size).join(", ");
  throw new ShapeError(`${operation}: ${what} has shape [${actual.join(", ")}]; expected [${wanted}]`);
}
