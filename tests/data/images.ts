import type { DecodedImage } from "../../src/data/image_set.ts";

/** An image of [height, width, 3] bytes. */
export function imageOfRgb(rgb: ArrayLike<number>, height: number, width: number): DecodedImage {
  const pixels = new Uint8Array(4 * width * height).fill(255);
  for (let at = 0; at < width * height; at++) {
    for (const channel of [0, 1, 2]) pixels[4 * at + channel] = rgb[3 * at + channel];
  }
  return { width, height, pixels };
}

/** Red, green and blue of an image's pixels, [height, width, 3]. */
export function rgbOf({ pixels }: DecodedImage): number[] {
  return Array.from(pixels).filter((_, at) => at % 4 < 3);
}
