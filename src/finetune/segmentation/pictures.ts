/** A photo with the classes of its pixels drawn over it, for pages. */
import { type DenseClass, ignoredClass } from "../../data/dense/target.ts";
import type { Size } from "../../data/dense/placement.ts";

/** Part of the classes' colour in a drawn pixel. */
const strength = 0.6;

/** A picture of a photo, shown at some size, as rows of red, green, blue and opacity. */
export interface Picture extends Size {
  readonly pixels: Uint8Array;
}

/**
 * Draws classes over a photo of the same size; pixels without a class are left as they are.
 *
 * @param values [height, width]
 */
export function drawClasses(
  { width, height, pixels }: Picture,
  values: Uint8Array,
  classes: readonly DenseClass[],
): Picture {
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
