/** Small pictures of images, for pages. */
import type Sharp from "sharp";
import { DataError } from "../errors.ts";
import type { DecodedImage, ImageSource, TensorSource } from "./image_set.ts";

/**
 * Square pictures of images: the middle of each, as JPEG in a `data:` address. Ready-made inputs,
 * whose normalisation nobody knows, are stretched from their least value to their greatest.
 *
 * @param side in pixels
 * @returns undefined where a file cannot be read
 * @throws {DataError} when the image library does not load
 */
export async function thumbnails(
  source: ImageSource | TensorSource,
  indices: readonly number[],
  side: number,
): Promise<(string | undefined)[]> {
  const sharp = await loadSharp();
  const images = source.kind === "images"
    ? await source.load(indices)
    : indices.map((index) => tensorImage(source, index));
  return await Promise.all(images.map((image) => image && dataAddress(sharp, image, side)));
}

/** An image as it is, made narrower where it is wider, as JPEG in a `data:` address. */
export async function pictureAddress(image: DecodedImage, width: number): Promise<string> {
  const sharp = await loadSharp();
  const jpeg = await sharp(image.pixels, { raw: { width: image.width, height: image.height, channels: 4 } })
    .removeAlpha()
    .resize({ width: Math.min(width, image.width) })
    .jpeg({ quality: 80 })
    .toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString("base64")}`;
}

/** Loaded here because runs on images that are made need it for nothing else. */
async function loadSharp(): Promise<typeof Sharp> {
  try {
    return (await import("sharp")).default;
  } catch (error) {
    const [reason] = String(error).split("\n", 1);
    throw new DataError(`the image library (sharp) does not load: ${reason}`, { cause: error });
  }
}

async function dataAddress(
  sharp: typeof Sharp,
  { width, height, pixels }: DecodedImage,
  side: number,
): Promise<string> {
  const jpeg = await sharp(pixels, { raw: { width, height, channels: 4 } })
    .removeAlpha()
    .resize({ width: side, height: side, fit: "cover" })
    .jpeg({ quality: 75 })
    .toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString("base64")}`;
}

function tensorImage({ images, height, width }: TensorSource, index: number): DecodedImage {
  const area = height * width;
  const values = images.subarray(index * 3 * area, (index + 1) * 3 * area);
  const low = values.reduce((least, value) => Math.min(least, value));
  const range = values.reduce((most, value) => Math.max(most, value)) - low || 1;
  const pixels = new Uint8Array(4 * area).fill(255);
  for (let channel = 0; channel < 3; channel++) {
    for (let at = 0; at < area; at++) {
      pixels[4 * at + channel] = Math.round(255 * (values[channel * area + at] - low) / range);
    }
  }
  return { width, height, pixels };
}
