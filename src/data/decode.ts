import sharp from "sharp";
import type { DecodedImage } from "./source.ts";

/**
 * Decodes a JPEG, PNG or WebP file of any size, bit depth, colour space and EXIF orientation. An image whose shorter
 * side is longer than `shorterSide` is shrunk to it, aspect kept; none is enlarged. Transparency is composited on
 * white.
 *
 * @param bytes the file's bytes
 * @param shorterSide longest allowed shorter side, in pixels
 * @throws Error (of the decoding library) when the file is broken or truncated
 */
export async function decodeImage(
  bytes: Uint8Array,
  shorterSide: number,
): Promise<DecodedImage & { pixels: Uint8Array<ArrayBuffer> }> {
  // "error" refuses truncated and corrupt pixel data, but not the harmless oddities that many cameras write.
  const { data, info } = await sharp(bytes, { failOn: "error", autoOrient: true })
    .resize({ width: shorterSide, height: shorterSide, fit: "outside", withoutEnlargement: true })
    .flatten({ background: "#ffffff" })
    .toColourspace("srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, pixels: toRgba(data, info.channels) };
}

/** Adds the fourth byte; the library's own way takes as long as the decoding of a small image. */
function toRgba(data: Uint8Array, channels: number): Uint8Array<ArrayBuffer> {
  const pixels = new Uint8Array(data.length / channels * 4);
  const green = channels > 2 ? 1 : 0, blue = 2 * green;
  for (let from = 0, to = 0; to < pixels.length; from += channels, to += 4) {
    pixels[to] = data[from];
    pixels[to + 1] = data[from + green];
    pixels[to + 2] = data[from + blue];
    pixels[to + 3] = 255;
  }
  return pixels;
}

/** Makes the decoding library single-threaded and uncached, as fits a Worker that is one of several. */
export function limitDecoder(): void {
  sharp.concurrency(1);
  sharp.cache(false);
}
