/**
 * GPU memory: buffers in size classes that are used again, and an exact account of their bytes.
 *
 * Elastic widths ask for other sizes in every step. Classes of four per octave waste at most a fifth and make the set
 * of buffers converge after a few steps. A released buffer may be handed out at once, even while commands that use it
 * are only recorded: commands run in the order of recording, so its next user runs later.
 */
import { DeviceLimitError } from "../errors.ts";

/** A buffer from the pool. `id` names it in bind group keys. */
export interface PooledBuffer {
  readonly id: number;
  readonly buffer: GPUBuffer;
  /** Bytes of the buffer, that is, of its size class. */
  readonly capacity: number;
}

/** Bytes held by the pool, now and at most. */
export interface MemoryUse {
  /** Bytes in buffers that tensors use now. */
  used: number;
  /** Bytes in all buffers that exist. */
  held: number;
  /** The highest `held` so far. */
  peak: number;
  /** Number of buffers that exist. */
  buffers: number;
  /** The largest request so far. */
  largest: number;
}

const smallest = 256;

/** The size class of a request: the least of {1, 1.25, 1.5, 1.75} x 2^n bytes, from 256 on, that holds it. */
export function sizeClass(bytes: number): number {
  if (bytes <= smallest) return smallest;
  const octave = 2 ** Math.floor(Math.log2(bytes));
  return Math.ceil(bytes / (octave / 4)) * (octave / 4);
}

/** Hands out storage buffers and takes them back. */
export class BufferPool {
  readonly #device: GPUDevice;
  readonly #limit: number;
  /**
   * Buffers that nobody uses by capacity, the oldest last. It is handed out first: so the same sequence of requests gets
   * the same buffers, whatever came before it, and finds its bind groups again.
   */
  readonly #free = new Map<number, PooledBuffer[]>();
  #nextId = 0;
  #used = 0;
  #held = 0;
  #peak = 0;
  #buffers = 0;
  #largest = 0;
  /**
   * Whether a request beyond {@linkcode limit} is refused. A device that takes no memory can go on, to learn what all would
   * need.
   */
  bounded = true;
  /**
   * The most bytes to hold. Before more are held, buffers that nobody uses are destroyed; what does not fit even then is
   * refused.
   */
  budget = Infinity;
  /** Called before buffers are destroyed for want of room: commands that are only recorded may still use them. */
  onPressure: () => void = () => {};
  /** Called with each buffer that is destroyed, so that bind groups which name it can be dropped. */
  onDestroy: (buffer: PooledBuffer) => void = () => {};

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#limit = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
  }

  /** The largest request that can be met, in bytes. */
  get limit(): number {
    return this.#limit;
  }

  /** The present account. */
  get use(): MemoryUse {
    return {
      used: this.#used,
      held: this.#held,
      peak: this.#peak,
      buffers: this.#buffers,
      largest: this.#largest,
    };
  }

  /** A buffer of at least `bytes` bytes with undefined contents. */
  acquire(bytes: number): PooledBuffer {
    this.#largest = Math.max(this.#largest, bytes);
    if (this.bounded && bytes > this.#limit) {
      throw new DeviceLimitError(
        `a tensor of ${bytes} bytes was asked for; this adapter binds at most ${this.#limit} bytes at once. ` +
          `Use a smaller batch or smaller images.`,
      );
    }
    const capacity = Math.max(bytes, Math.min(sizeClass(bytes), this.#limit));
    const reused = this.#free.get(capacity)?.pop();
    const pooled = reused ?? this.#create(capacity);
    this.#used += capacity;
    return pooled;
  }

  #create(capacity: number): PooledBuffer {
    if (this.#held + capacity > this.budget) this.#makeRoom(capacity);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = this.#device.createBuffer({ size: capacity, usage });
    this.#buffers++;
    this.#held += capacity;
    this.#peak = Math.max(this.#peak, this.#held);
    return { id: this.#nextId++, buffer, capacity };
  }

  #makeRoom(capacity: number): void {
    this.onPressure();
    this.trim();
    if (this.#held + capacity <= this.budget) return;
    throw new DeviceLimitError(
      `${
        this.#held + capacity
      } bytes of device memory are needed at least, and ${this.budget} are allowed. Allow more, ` +
        `or use a smaller batch or smaller images.`,
    );
  }

  /** Takes a buffer back. The caller must not record any further use of it. */
  release(pooled: PooledBuffer): void {
    this.#used -= pooled.capacity;
    let list = this.#free.get(pooled.capacity);
    if (!list) this.#free.set(pooled.capacity, list = []);
    let place = list.length;
    while (place > 0 && list[place - 1].id < pooled.id) place--;
    list.splice(place, 0, pooled);
  }

  /** Destroys every buffer that nobody uses. Only after the commands that used them were submitted. */
  trim(): void {
    for (const list of this.#free.values()) {
      for (const pooled of list) {
        this.#held -= pooled.capacity;
        this.#buffers--;
        this.onDestroy(pooled);
        pooled.buffer.destroy();
      }
    }
    this.#free.clear();
  }
}
