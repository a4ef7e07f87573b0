/** Placements and colour changes in float64 and plain loops, written from their definitions, to compare with. */
import type { ColourStep } from "../../../src/data/dense/dense_crop.ts";
import type { Placement, Size } from "../../../src/data/dense/placement.ts";
import type { DecodedImage } from "../../../src/data/image_set.ts";

const clamp = (value: number) => Math.min(1, Math.max(0, value));

/** The value of an axis's middle of a shown pixel, in the source's pixels. */
export function sourceMiddle(placement: Placement, x: number, y: number, size: Size): [x: number, y: number] {
  const { window, resized, flip } = placement;
  const shown = window.left + (flip ? window.width - 1 - x : x);
  return [
    (shown + 0.5) * size.width / resized.width,
    (window.top + y + 0.5) * size.height / resized.height,
  ];
}

function taps(middle: number, inputs: number, support: number): [place: number, weight: number][] {
  const all = Array.from({ length: inputs }, (_, place): [number, number] => [
    place,
    Math.max(0, 1 - Math.abs(place + 0.5 - middle) / support),
  ]).filter(([, weight]) => weight > 0);
  const sum = all.reduce((total, [, weight]) => total + weight, 0);
  return all.map(([place, weight]) => [place, weight / sum]);
}

/** To hue in turns, saturation, value, and back. */
function toHsv([r, g, b]: number[]): number[] {
  const value = Math.max(r, g, b), chroma = value - Math.min(r, g, b);
  if (chroma === 0) return [0, 0, value];
  const hue = value === r ? (g - b) / chroma : value === g ? 2 + (b - r) / chroma : 4 + (r - g) / chroma;
  return [(hue + 6) / 6 % 1, chroma / value, value];
}

function toRgb([hue, saturation, value]: number[]): number[] {
  const channel = (n: number) => {
    const k = (n + hue * 6) % 6;
    return value - value * saturation * Math.max(0, Math.min(k, 4 - k, 1));
  };
  return [channel(5), channel(3), channel(1)];
}

function change(colour: number[], { operation, amount }: ColourStep): number[] {
  if (operation === "add") return colour.map((value) => clamp(value + amount));
  if (operation === "multiply") return colour.map((value) => clamp(value * amount));
  const [hue, saturation, value] = toHsv(colour);
  if (operation === "chroma") return toRgb([hue, Math.min(1, saturation * amount), value]);
  return toRgb([(hue + amount + 2) % 1, saturation, value]);
}

/** [3, height, width]. */
export function referenceCrop(
  image: DecodedImage,
  placement: Placement,
  colours: readonly ColourStep[],
  target: Size & { mean: readonly number[]; std: readonly number[] },
  antialias: boolean,
): number[] {
  const { height, width, mean, std } = target;
  const result = new Array<number>(3 * height * width).fill(0);
  const { window, resized } = placement;
  const support = (inputs: number, outputs: number) => antialias ? Math.max(1, inputs / outputs) : 1;
  for (let y = 0; y < window.height; y++) {
    for (let x = 0; x < window.width; x++) {
      const [middleX, middleY] = sourceMiddle(placement, x, y, image);
      let colour = [0, 0, 0];
      for (const [v, rowWeight] of taps(middleY, image.height, support(image.height, resized.height))) {
        for (const [u, weight] of taps(middleX, image.width, support(image.width, resized.width))) {
          const at = 4 * (v * image.width + u);
          colour = colour.map((sum, channel) => sum + rowWeight * weight * image.pixels[at + channel] / 255);
        }
      }
      for (const step of colours) colour = change(colour, step);
      colour.forEach((value, channel) => {
        result[(channel * height + y) * width + x] = (value - mean[channel]) / std[channel];
      });
    }
  }
  return result;
}
