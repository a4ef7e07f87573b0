import sharp from "sharp";
import type { DecodedImage } from "./source.ts";

/**
 * Length of the shorter side that a decoded image is shrunk to: the usual evaluation resize (256 for a crop of 224),
 * so that training, evaluation and search can all work from the same cached pixels.
 */
export function storedSide(imageSize: number): number {
  return Math.round(imageSize * 256 / 224);
}

/**
 * Decodes a JPEG, PNG or WebP file of any size, bit depth, colour space and EXIF orientation. An image whose shorter
 * side is longer than `shorterSide` is shrunk to it, aspect kept; none is enlarged. Transparency is composited on
 * white.
 *
 * @param bytes the file's bytes
 * @param shorterSide longest allowed shorter side, in pixels
 * @throws Error (of the decoding library) when the file is broken or truncated
 */
export async function decodeImage(bytes: Uint8Array, shorterSide: number): Promise<DecodedImage> {
  // "error" refuses truncated and corrupt pixel data, but not the harmless oddities that many cameras write.
  const { data, info } = await sharp(bytes, { failOn: "error", autoOrient: true })
    .resize({ width: shorterSide, height: shorterSide, fit: "outside", withoutEnlargement: true })
    .flatten({ background: "#ffffff" })
    .toColourspace("srgb")
    .ensureAlpha()
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, pixels: data };
}

/** Makes the decoding library single-threaded and uncached, as fits a Worker that is one of several. */
export function limitDecoder(): void {
  sharp.concurrency(1);
  sharp.cache(false);
}
