import sharp, { type Metadata, type Sharp } from "sharp";
import { type EvaluationSize, planEvaluation } from "./evaluation_image.ts";
import { describeDamage, sniffFormat } from "./formats.ts";
import type { DecodedImage, ImageUse } from "./image_set.ts";
import { resample } from "./resample.ts";

/** Why a file cannot be used as an image, in words that do not depend on what else is decoded at the time. */
export class ImageFault extends Error {}

/** Most pixels of a file: a bit more than what a camera of 250 megapixels takes. */
const mostPixels = 2 ** 28;
/** Longest side of a file, JPEG's own limit. */
const longestSide = 65535;
/** Most pixels of a stored image over those of a square one of evaluation's resize: a strip of 64 such squares. */
const mostStoredSquares = 64;
/**
 * Longest side of a stored image over evaluation's resize. Resizing reads all pixels of a crop that one output pixel
 * covers, in one loop of the kernel, whose length is bounded.
 */
const longestStored = 224;
/**
 * Longest shorter side from which evaluation's image is made in one exact step; all pixels of larger ones would take much
 * memory.
 */
const longestExact = 6144;
/** Kinds of sample that have a defined way to 8 bits. */
const sampleKinds: readonly string[] = ["uchar", "ushort"];

type Pixels = DecodedImage & { pixels: Uint8Array<ArrayBuffer> };

/** Sides that images are decoded to, in pixels. */
export interface DecodeSizes extends Required<EvaluationSize> {
  /** Longest shorter side of training's images. */
  readonly storedSide: number;
}

interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/**
 * Decodes a JPEG, PNG, WebP, GIF, TIFF or AVIF file of 8 or 16 bits a sample, any colour space and EXIF orientation; by
 * its contents, whatever it is named. Transparency is composited on white; colour profiles are ignored but for CMYK; of an
 * animation or of several pages the first is taken. See docs/images.md.
 *
 * For training an image whose shorter side is longer than `storedSide` is shrunk to it, aspect kept; none is enlarged. For
 * evaluation the result is `imageSize` squared, see {@linkcode planEvaluation}.
 *
 * @param bytes the file's bytes
 * @throws {ImageFault} saying what is wrong: no image, another format, damaged or truncated, too large
 */
export async function decodeImage(bytes: Uint8Array, use: ImageUse, sizes: DecodeSizes): Promise<Pixels> {
  if (bytes.length === 0) throw new ImageFault("it is empty");
  const sniffed = sniffFormat(bytes);
  if ("other" in sniffed) {
    throw new ImageFault(`it holds ${sniffed.other}; JPEG, PNG, WebP, GIF, TIFF and AVIF are read`);
  }
  const { format } = sniffed;
  try {
    const header = await sharp(bytes, { limitInputPixels: false }).metadata();
    checkHeader(header, sizes.resize);
    // "error" refuses truncated and corrupt pixel data, but not the harmless oddities that many cameras write.
    const file = sharp(bytes, {
      failOn: "error",
      autoOrient: true,
      limitInputPixels: mostPixels,
      ignoreIcc: header.space !== "cmyk",
    });
    const decode = use === "training" ? decodeForTraining : decodeForEvaluation;
    const { orientation = 1 } = header;
    return { ...await decode(file, header.autoOrient, sizes), ...(orientation > 1 && { orientation }) };
  } catch (error) {
    if (error instanceof ImageFault) throw error;
    throw new ImageFault(describeDamage(format, bytes), { cause: error });
  }
}

async function decodeForTraining(file: Sharp, image: ImageSize, sizes: DecodeSizes): Promise<Pixels> {
  const side = storableSide(image, sizes);
  const { pixels, channels, width, height } = await readPixels(
    file.resize({ width: side, height: side, fit: "outside", withoutEnlargement: true }),
  );
  return { width, height, pixels: toRgba(pixels, channels) };
}

async function decodeForEvaluation(file: Sharp, image: ImageSize, sizes: DecodeSizes): Promise<Pixels> {
  const shrink = Math.ceil(Math.min(image.width, image.height) / longestExact);
  const [width, height] = [image.width, image.height].map((side) => Math.ceil(side / shrink));
  const { rows, columns, part } = planEvaluation(width, height, sizes);
  const source = shrink > 1 ? file.resize({ width, height, fit: "fill" }) : file;
  const read = await readPixels(source.extract(part));
  const { imageSize } = sizes;
  return { width: imageSize, height: imageSize, pixels: resample({ ...part, ...read }, rows, columns) };
}

/** 8-bit pixels without transparency. */
async function readPixels(file: Sharp) {
  const { data, info } = await file.flatten({ background: "#ffffff" }).toColourspace("srgb")
    .raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  return { pixels: data, channels: info.channels, width: info.width, height: info.height };
}

/** The stored side of an image, less than wanted where a long strip would have more pixels than crops can read. */
function storableSide({ width, height }: ImageSize, { resize, storedSide }: DecodeSizes): number {
  const shape = Math.min(width, height) / Math.max(width, height);
  const most = Math.floor(resize * Math.min(Math.sqrt(mostStoredSquares * shape), longestStored * shape));
  return Math.min(storedSide, Math.max(resize, most));
}

/** Refuses what could be decoded but not used, before its pixels are. */
function checkHeader({ width, height, depth, channels }: Metadata, resize: number): void {
  const [shorter, longer] = [Math.min(width, height), Math.max(width, height)];
  if (longer > longestSide) {
    throw new ImageFault(`it has ${width} x ${height} pixels; a side has at most ${longestSide}`);
  }
  if (width * height > mostPixels) {
    throw new ImageFault(`it has ${width} x ${height} pixels, more than the ${mostPixels} that are read`);
  }
  const scale = Math.min(1, resize / shorter);
  const mostStored = mostStoredSquares * resize ** 2;
  if (scale * longer > longestStored * resize || scale * scale * width * height > mostStored) {
    throw new ImageFault(
      `it has ${width} x ${height} pixels, a strip too long to be resized to the network's input; cut it into pieces`,
    );
  }
  if (!sampleKinds.includes(depth)) {
    throw new ImageFault(`its samples are of type ${depth}; those of 8 or 16 bits without sign are read`);
  }
  if (channels > 5) throw new ImageFault(`it has ${channels} channels; at most 5 (CMYK and alpha) are read`);
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

// Contents decide which loader is used. Those of what is refused by its first bytes stay shut, should another format's be
// taken for it. Named one by one: blocking all and allowing some would for a moment refuse what other Workers decode.
sharp.block({
  operation:
    "Svg Pdf Magick Magick7 OpenSlide Vips Csv Matrix Raw Ppm Analyze Rad Fits Jp2k Jxl Nifti Openexr Mat Dcraw Uhdr"
      .split(" ").map((loader) => `VipsForeignLoad${loader}`),
});
