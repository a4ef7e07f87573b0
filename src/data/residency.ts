/**
 * Packs images of any sizes into few large buffers of one u32 a pixel (red in the lowest byte), the form that the
 * augmentation reads on the GPU: a small set whole and once, a large one batch by batch.
 */
import { DataError } from "../errors.ts";
import type { DecodedImage } from "./image_set.ts";

/** Images of a set in chunks. */
export interface PackedImages {
  /** [images, 4]: chunk, offset in pixels inside it, width, height. */
  table: Uint32Array<ArrayBuffer>;
  /** One u32 a pixel. */
  chunks: Uint32Array<ArrayBuffer>[];
}

/**
 * Packs images one after the other, into a new chunk when the next image would pass the limit. No image is split.
 *
 * @param images in the order of the table's rows
 * @param maximumChunkBytes most bytes of a chunk, e.g. the device's storage binding limit
 * @throws DataError when a single image is larger than a chunk
 */
export function packImages(images: readonly DecodedImage[], maximumChunkBytes: number): PackedImages {
  const table = new Uint32Array(4 * images.length);
  const chunkPixels: number[] = [];
  const limit = Math.floor(maximumChunkBytes / 4);
  images.forEach(({ width, height }, index) => {
    const pixels = width * height;
    if (pixels > limit) {
      throw new DataError(
        `image ${index} has ${width}x${height} pixels (${
          4 * pixels
        } bytes), more than the device binds at once ` +
          `(${maximumChunkBytes} bytes); use a smaller image size`,
      );
    }
    const last = chunkPixels.length - 1;
    if (last < 0 || chunkPixels[last] + pixels > limit) chunkPixels.push(0);
    const chunk = chunkPixels.length - 1;
    table.set([chunk, chunkPixels[chunk], width, height], 4 * index);
    chunkPixels[chunk] += pixels;
  });
  const chunks = chunkPixels.map((pixels) => new Uint32Array(pixels));
  const bytes = chunks.map((chunk) => new Uint8Array(chunk.buffer));
  images.forEach((image, index) => bytes[table[4 * index]].set(image.pixels, 4 * table[4 * index + 1]));
  return { table, chunks };
}
