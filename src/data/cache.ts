import type { DecodedImage } from "./image_set.ts";

/**
 * Decoded images by index, up to a number of bytes. What is in stays in: every epoch visits every image once in a
 * new order, so evicting the least recently used would throw out what the next epoch needs and never hit.
 */
export class ImageCache {
  readonly #images = new Map<number, DecodedImage>();
  readonly #limit: number;
  #bytes = 0;

  /** @param limit most bytes of pixels to hold */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes of pixels held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The image, or undefined when it is not held. */
  get(index: number): DecodedImage | undefined {
    return this.#images.get(index);
  }

  /** Keeps the image if it fits; returns whether it did. */
  add(index: number, image: DecodedImage): boolean {
    if (this.#images.has(index)) return true;
    if (this.#bytes + image.pixels.byteLength > this.#limit) return false;
    this.#images.set(index, image);
    this.#bytes += image.pixels.byteLength;
    return true;
  }

  /** Lets go of everything. */
  clear(): void {
    this.#images.clear();
    this.#bytes = 0;
  }
}
