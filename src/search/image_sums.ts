/** What each image contributes to each score, kept on the host: from it follows how far scores depend on the images. */

/** Bytes that the contributions of all scores may take on the host. */
const mostBytes = 2 ** 28;

/** More blocks than this say nothing more. */
const mostBlocks = 4096;

/** Fewer blocks of images than this say nothing about other images. */
export const fewestBlocks = 10;

/**
 * Blocks of consecutive images that are kept apart: each image for itself where 256 MiB hold that, else as many blocks as
 * they hold, nearly equal, and at most 4096; 0 where that would be fewer than {@linkcode fewestBlocks}.
 *
 * @param slots scores
 * @param components numbers of an image for each
 */
export function imageBlocks(images: number, slots: number, components: number): number {
  const blocks = Math.min(images, mostBlocks, Math.floor(mostBytes / (4 * slots * components)));
  return blocks < fewestBlocks ? 0 : blocks;
}

/** Consecutive images, counted through a search. */
export interface ImageRange {
  readonly first: number;
  readonly count: number;
}

/** Sums over blocks of images for each score. */
export class ImageSums {
  /** Images of each block. */
  readonly counts: Uint32Array;

  /**
   * @param images of the search
   * @param components numbers of an image
   * @param values [slots, blocks, components], what was collected before; added to
   */
  constructor(
    readonly images: number,
    readonly blocks: number,
    readonly components: number,
    readonly values: Float32Array<ArrayBuffer>,
  ) {
    this.counts = new Uint32Array(blocks);
    for (let image = 0; image < images && blocks > 0; image++) this.counts[this.#blockOf(image)]++;
  }

  /**
   * Those of a search: what was collected before, or none.
   *
   * @param blocks default as many as the host's memory is to hold
   */
  static of(
    images: number,
    slots: number,
    components: number,
    values?: Float32Array<ArrayBuffer>,
    blocks: number = imageBlocks(images, slots, components),
  ): ImageSums {
    return new ImageSums(
      images,
      blocks,
      components,
      values ?? new Float32Array(slots * blocks * components),
    );
  }

  /**
   * Adds the numbers of consecutive images.
   *
   * @param values [slots, places, components]
   * @param firstSlot the first of these slots
   * @param first the first of these images, counted through the search
   * @param count images; the first of the places
   */
  add(
    values: Float32Array,
    places: number,
    firstSlot: number,
    { first, count }: ImageRange,
  ): void {
    const { blocks, components } = this;
    const slots = values.length / (places * components);
    const targets = Uint32Array.from(
      { length: count },
      (_, image) => this.#blockOf(first + image) * components,
    );
    for (let slot = 0; slot < slots; slot++) {
      const to = (firstSlot + slot) * blocks * components;
      const from = slot * places * components;
      for (let image = 0; image < count; image++) {
        for (let component = 0; component < components; component++) {
          this.values[to + targets[image] + component] += values[from + image * components + component];
        }
      }
    }
  }

  /** The sums of a slot, [blocks, components]. */
  ofSlot(slot: number): Float32Array {
    const length = this.blocks * this.components;
    return this.values.subarray(slot * length, (slot + 1) * length);
  }

  #blockOf(image: number): number {
    return Math.floor(image * this.blocks / this.images);
  }
}
