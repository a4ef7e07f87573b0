import type { DecodedImage, ImageUse } from "./image_set.ts";

/**
 * Decoded images by use and index, up to a number of bytes. What is in stays in: every epoch visits every image once in a
 * new order, so evicting the least recently used would throw out what the next epoch needs and never hit.
 */
export class ImageCache {
  readonly #images = {
    training: new Map<number, DecodedImage>(),
    evaluation: new Map<number, DecodedImage>(),
  };
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
  get(index: number, use: ImageUse = "training"): DecodedImage | undefined {
    return this.#images[use].get(index);
  }

  /** Keeps the image if it fits; returns whether it did. */
  add(index: number, image: DecodedImage, use: ImageUse = "training"): boolean {
    if (this.#images[use].has(index)) return true;
    if (this.#bytes + image.pixels.byteLength > this.#limit) return false;
    this.#images[use].set(index, image);
    this.#bytes += image.pixels.byteLength;
    return true;
  }

  /** Lets go of everything. */
  clear(): void {
    for (const images of Object.values(this.#images)) images.clear();
    this.#bytes = 0;
  }
}
