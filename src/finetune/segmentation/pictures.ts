/** A photo with the classes of its pixels drawn over it, for pages. */
import { type DenseClass, ignoredClass } from "../../data/dense/target.ts";
import type { DecodedImage } from "../../data/image_set.ts";

/** Part of the classes' colour in a drawn pixel. */
const strength = 0.6;

/**
 * Draws classes over a photo of the same size; pixels without a class are left as they are.
 *
 * @param values [height, width]
 */
export function drawClasses(
  { width, height, pixels }: DecodedImage,
  values: Uint8Array,
  classes: readonly DenseClass[],
): DecodedImage {
  const drawn = pixels.slice();
  for (let at = 0; at < values.length; at++) {
    if (values[at] === ignoredClass) continue;
    const { colour } = classes[values[at]];
    for (let channel = 0; channel < 3; channel++) {
      const place = 4 * at + channel;
      drawn[place] = Math.round((1 - strength) * pixels[place] + strength * colour[channel]);
    }
  }
  return { width, height, pixels: drawn };
}
