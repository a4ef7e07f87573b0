/** Scores of many candidates, summed on the device and read back together; and what each image contributes to them. */
import { ShapeError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { Tensor } from "../../tensor/tensor.ts";

/** Numbers of a slot: the lanes of the scoring kernels add to `slotValues / components` places of it. */
export const slotValues = 64;

/** What a metric keeps in a slot. */
export interface TableFormat {
  /** Numbers that a lane keeps: lane l has those from `components * l` on. */
  readonly components: number;
  /**
   * The score from the sums over all lanes and image batches; NaN when nothing was accumulated or the features were not
   * finite.
   */
  score(sums: readonly number[]): number;
  /** Numbers of an image: what the score was made of, as far as that image decided. */
  readonly imageComponents: number;
  /**
   * The score that other images would have given, to first order in how they differ from all.
   *
   * @param means of each number over these images
   * @param whole the same over all images
   */
  scoreOfImages(means: ArrayLike<number>, whole: ArrayLike<number>): number;
}

/** What a mean of cosines keeps: their sum and their number, and the mean of each image. */
export class MeanFormat implements TableFormat {
  readonly components = 2;
  readonly imageComponents = 1;

  /** Mean from (sum of cosines, number of them). */
  score([sum, count]: readonly number[]): number {
    return sum / count;
  }

  /** The mean over other images, exactly: each has as many cosines. */
  scoreOfImages(means: ArrayLike<number>): number {
    return means[0];
  }
}

/**
 * A slot for each place that is compared, e.g. a node of the prefix tree: what hangs below a node shares its score. Takes
 * 256 bytes a slot on the device, and 4 for each number of an image.
 */
export class ScoreTable {
  readonly #values: Tensor;
  /** What each image contributes, [slots, images, imageComponents]; undefined where no images are kept. */
  readonly imageValues: Tensor | undefined;

  /**
   * @param slots at most {@linkcode ScoreTable.limit}, else {@linkcode ShapeError}
   * @param images images whose numbers are kept beside the sums; each is to be compared once before they are read
   */
  constructor(gpu: Gpu, readonly format: TableFormat, readonly slots: number, readonly images = 0) {
    const limit = ScoreTable.limit(gpu);
    if (!Number.isInteger(slots) || slots < 1 || slots > limit) {
      throw new ShapeError(`a score table of ${slots} slots; this adapter allows 1 to ${limit}`);
    }
    this.#values = Tensor.zeros(gpu, [slots, slotValues]);
    this.imageValues = images === 0 ? undefined : Tensor.create(gpu, [slots, images, format.imageComponents]);
  }

  /** The most slots that a table can have on this adapter. A search over more empties its table in between. */
  static limit(gpu: Gpu): number {
    return Math.floor(gpu.pool.limit / (4 * slotValues));
  }

  /** The sums on the device, [slots, 64]. */
  get values(): Tensor {
    return this.#values;
  }

  /**
   * Throws {@linkcode ShapeError} unless the table has this slot, was made for this format, and has a place for each of
   * `count` images from `firstImage` on, where it keeps images.
   */
  check(format: TableFormat, slot: number, firstImage = 0, count = 0): void {
    if (format !== this.format) {
      throw new ShapeError("a score table is used with another metric than its own");
    }
    if (!Number.isInteger(slot) || slot < 0 || slot >= this.slots) {
      throw new ShapeError(`slot ${slot} of a score table of ${this.slots} slots`);
    }
    if (this.images > 0 && firstImage + count > this.images) {
      throw new ShapeError(
        `images ${firstImage} to ${firstImage + count - 1} of a score table of ${this.images} images`,
      );
    }
  }

  /** Waits for the device and returns the sums of the first `count` slots over all lanes, [count, components]. */
  async sums(count: number = this.slots): Promise<Float64Array<ArrayBuffer>> {
    return (await this.read(count)).sums;
  }

  /**
   * Waits for the device and returns, of the first `count` slots, the sums over all lanes, [count, components], and the
   * numbers of the images, [count, images, imageComponents].
   */
  async read(
    count: number = this.slots,
  ): Promise<{ sums: Float64Array<ArrayBuffer>; images: Float32Array<ArrayBuffer> }> {
    const { components, imageComponents } = this.format;
    const [lanes, images = new ArrayBuffer()] = await this.#values.gpu.read(
      this.#values.slice(0, [count, slotValues]),
      ...this.imageValues ? [this.imageValues.slice(0, [count, this.images, imageComponents])] : [],
    );
    const values = new Float32Array(lanes);
    const sums = new Float64Array(count * components);
    for (let slot = 0; slot < count; slot++) {
      for (let at = 0; at < slotValues; at++) {
        sums[slot * components + at % components] += values[slot * slotValues + at];
      }
    }
    return { sums, images: new Float32Array(images) };
  }

  /** Waits for the device and returns the scores of the first `count` slots; NaN where nothing was accumulated. */
  async scores(count: number = this.slots): Promise<Float64Array> {
    const { components } = this.format;
    const sums = await this.sums(count);
    return Float64Array.from(
      { length: count },
      (_, slot) => this.format.score([...sums.subarray(slot * components, (slot + 1) * components)]),
    );
  }

  /** Forgets all sums. */
  clear(): void {
    this.#values.gpu.stream.clear(this.#values);
  }

  /** Releases the memory; nothing may read it afterwards. */
  release(): void {
    this.#values.release();
    this.imageValues?.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
