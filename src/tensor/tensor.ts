/** Tensors: a shape over a range of GPU memory, contiguous and row-major (images: NCHW). */
import { LifetimeError, ShapeError } from "../errors.ts";
import type { PooledBuffer } from "../gpu/buffers.ts";
import type { Gpu } from "../gpu/device.ts";
import type { BufferRange } from "../gpu/dispatch.ts";
import { elements, type Shape } from "../shape.ts";

/**
 * A contiguous array of 32-bit values on the device. A tensor either owns its memory ({@linkcode Tensor.create}), or is
 * a view of another tensor. Whatever touches the memory of a tensor that was released, or of a view of one, throws
 * {@linkcode LifetimeError}.
 */
export class Tensor implements BufferRange {
  readonly #buffer: PooledBuffer;
  #released = false;

  /**
   * @param base what this is a view of; undefined for the owner of the memory
   * @param detached no gradient flows from this view to its base
   */
  private constructor(
    readonly gpu: Gpu,
    buffer: PooledBuffer,
    readonly byteOffset: number,
    readonly shape: Shape,
    readonly base?: Tensor,
    readonly detached = false,
  ) {
    this.#buffer = buffer;
  }

  /** A tensor with undefined contents. */
  static create(gpu: Gpu, shape: Shape): Tensor {
    return new Tensor(gpu, gpu.pool.acquire(Math.max(4 * elements(shape), 4)), 0, shape);
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

  /** The owner of the memory: the tensor itself, or what it is a view of in the end. */
  get root(): Tensor {
    return this.base?.root ?? this;
  }

  /** The memory. Throws {@linkcode LifetimeError} when it was given back. */
  get storage(): PooledBuffer {
    this.#expectAlive();
    return this.#buffer;
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

  /**
   * The same memory under another shape of as many elements. Gradients of the view are gradients of what it shows. The
   * view does not own the memory.
   */
  view(shape: Shape): Tensor {
    if (elements(shape) !== this.length) {
      throw new ShapeError(
        `a view of shape [${shape.join(", ")}] on a tensor of shape [${this.shape.join(", ")}]`,
      );
    }
    return this.#part(0, shape);
  }

  /**
   * Elements `start` to `start + elements(shape)` as a tensor of their own, a view. Kernels can be bound to it where
   * `start` is a multiple of 64; copies and reading take any.
   */
  slice(start: number, shape: Shape): Tensor {
    if (!Number.isInteger(start) || start < 0 || start + elements(shape) > this.length) {
      throw new ShapeError(`elements ${start} to ${start + elements(shape)} of a tensor with ${this.length}`);
    }
    return this.#part(start, shape);
  }

  /** The same values as a constant: a view through which no gradient flows. */
  detach(): Tensor {
    return this.#part(0, this.shape, true);
  }

  /**
   * Gives the memory back to the pool; of a view, ends the view alone. Throws {@linkcode LifetimeError} the second time.
   */
  release(): void {
    if (this.#released) {
      throw new LifetimeError(`a tensor of shape [${this.shape.join(", ")}] was released twice`);
    }
    this.#released = true;
    if (!this.base) this.gpu.pool.release(this.#buffer);
  }

  [Symbol.dispose](): void {
    this.release();
  }

  #part(start: number, shape: Shape, detached = false): Tensor {
    return new Tensor(this.gpu, this.storage, this.byteOffset + 4 * start, shape, this, detached);
  }

  #expectAlive(): void {
    if (this.#released) {
      throw new LifetimeError(`a tensor of shape [${this.shape.join(", ")}] was used after its release`);
    }
    if (this.base) this.base.#expectAlive();
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
