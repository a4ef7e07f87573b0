/** A photo with objects drawn over it, for pages. */
import { type RunLengths, unpackMask } from "../../data/dense/run_lengths.ts";
import type { CornerBox } from "../../data/dense/run_lengths.ts";
import type { DecodedImage } from "../../data/image_set.ts";

/** Part of the colour in a pixel of a mask. */
const strength = 0.45;

/** An object as it is drawn. */
export interface DrawnObject {
  readonly box?: CornerBox;
  readonly mask?: RunLengths;
  readonly colour: readonly [red: number, green: number, blue: number];
}

/** Draws masks of the photo's size as a tint, and boxes as frames of a pixel; what lies outside is left out. */
export function drawObjects(
  { width, height, pixels }: DecodedImage,
  objects: readonly DrawnObject[],
): DecodedImage {
  const drawn = pixels.slice();
  const blend = (at: number, colour: DrawnObject["colour"], share: number) =>
    colour.forEach((value, channel) => {
      const place = 4 * at + channel;
      drawn[place] = Math.round((1 - share) * drawn[place] + share * value);
    });
  for (const { mask, colour } of objects) {
    if (!mask) continue;
    unpackMask(mask).forEach((inside, at) => {
      if (inside) blend(at, colour, strength);
    });
  }
  for (const { box, colour } of objects) {
    if (!box) continue;
    const [x, y, wide, high] = box;
    const clamp = (value: number, length: number) => Math.min(Math.max(Math.round(value), 0), length - 1);
    const [left, right] = [clamp(x, width), clamp(x + wide - 1, width)];
    const [top, bottom] = [clamp(y, height), clamp(y + high - 1, height)];
    for (let column = left; column <= right; column++) {
      for (const row of [top, bottom]) blend(row * width + column, colour, 1);
    }
    for (let row = top; row <= bottom; row++) {
      for (const column of [left, right]) blend(row * width + column, colour, 1);
    }
  }
  return { width, height, pixels: drawn };
}
