/**
 * One synthetic image: a region of one of ten textures on a smooth ground with clutter, partly covered by blobs, under
 * uneven light, with noise. Colours, contrast sign, rotation, scale and place are random and tell nothing of the class.
 */
import { purpose, Random } from "../../random.ts";
import type { DecodedImage } from "../image_set.ts";
import { Blob } from "./blob.ts";
import { textures } from "./textures.ts";

/** A box around the visible part of an object, in pixels: x0 ≤ x < x1, y0 ≤ y < y1. */
export interface Box {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
  label: number;
}

/** An image with everything that is known about it. */
export interface SyntheticScene {
  image: DecodedImage;
  /** Class of the texture, 0 to 9. */
  label: number;
  /** [height, width]: class + 1 where the texture is visible, 0 elsewhere. */
  mask: Uint8Array;
  boxes: Box[];
}

/** Names of the classes, in the order of their labels. */
export const syntheticClasses: readonly string[] = textures.map((texture) => texture.name);

type Colour = readonly [number, number, number];

// These numbers decide how fast the set is learnt; they were chosen by contrastive training of a small network.
const saturation = 0.25;
const leastContrast = 0.7;
const leastCoverage = 0.75;

const luma = ([red, green, blue]: Colour) => 0.299 * red + 0.587 * green + 0.114 * blue;

/**
 * A muted colour: a random gray with a quarter of a random colour's hue. With full colours a contrastive learner tells
 * images apart by their palette and never looks at the structure.
 */
function randomColour(random: Random): Colour {
  const full: Colour = [random.uniform(), random.uniform(), random.uniform()];
  const own = luma(full), wanted = random.uniform();
  const mute = (channel: number) => wanted + saturation * (channel - own);
  return [mute(full[0]), mute(full[1]), mute(full[2])];
}

/** Ink and paper that stay apart in grayscale, as augmentation removes colour; either may be the darker. */
function randomInks(random: Random): [Colour, Colour] {
  let ink: Colour, paper: Colour;
  do {
    ink = randomColour(random);
    paper = randomColour(random);
  } while (Math.abs(luma(ink) - luma(paper)) < leastContrast);
  return [ink, paper];
}

interface Patch {
  blob: Blob;
  colour: Colour;
}

function randomPatches(random: Random, count: number, smallest: number, largest: number): Patch[] {
  return Array.from({ length: count }, () => ({
    blob: new Blob(random, random.uniform(), random.uniform(), random.uniform(smallest, largest), 0.25),
    colour: randomColour(random),
  }));
}

/** A linear ramp over the image: value at its centre plus the slope along a random direction. */
function randomRamp(random: Random, strength: number): (x: number, y: number) => number {
  const angle = random.uniform(0, 2 * Math.PI), slope = random.uniform(0, strength);
  const dx = slope * Math.cos(angle), dy = slope * Math.sin(angle);
  return (x, y) => (x - 0.5) * dx + (y - 0.5) * dy;
}

/** Triangular noise in (-1, 1) from a counter; Random would draw 3 numbers a pixel ten times slower. */
function noiseAt(seed: number, counter: number): number {
  let word = Math.imul(counter ^ seed, 0x9e3779b1);
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  word ^= word >>> 16;
  return ((word & 0xffff) + (word >>> 16)) / 65535 - 1;
}

function boundingBox(mask: Uint8Array, size: number, label: number): Box[] {
  let x0 = size, y0 = size, x1 = 0, y1 = 0;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      if (mask[y * size + x] === 0) continue;
      x0 = Math.min(x0, x);
      x1 = Math.max(x1, x + 1);
      y0 = Math.min(y0, y);
      y1 = y + 1;
    }
  }
  return x1 > 0 ? [{ x0, y0, x1, y1, label }] : [];
}

/**
 * Draws image `index` of the synthetic set, a pure function of its arguments. Class is index modulo 10. Everything is
 * sized relative to the image, so the same index at another size shows the same scene.
 *
 * @param index number of the image, from 0
 * @param options.seed seed of the set
 * @param options.size side in pixels
 */
export function syntheticScene(index: number, options: { seed: number; size: number }): SyntheticScene {
  const { seed, size } = options;
  const random = new Random(seed, purpose.synthetic, index);
  const label = index % textures.length;
  const { pattern, cell: [smallest, largest] } = textures[label];

  const cell = smallest * (largest / smallest) ** random.uniform();
  const angle = random.uniform(0, 2 * Math.PI);
  const stretch = Math.exp(random.uniform(-0.2, 0.2));
  const toU = Math.cos(angle) / cell, toV = Math.sin(angle) / cell;
  const phaseU = random.uniform(0, 64), phaseV = random.uniform(0, 64);
  const weight = random.uniform(-1, 1);
  const pixelsPerCell = cell * size;
  const [ink, paper] = randomInks(random);

  const region = new Blob(random, random.uniform(0.35, 0.65), random.uniform(0.35, 0.65), 0.5, 0.2);
  region.fit(random.uniform(leastCoverage, 1));
  const clutter = randomPatches(random, random.integer(3), 0.06, 0.25);
  const occluders = randomPatches(random, random.integer(2), 0.05, 0.13);

  const ground = randomColour(random);
  const groundRamps = [randomRamp(random, 0.3), randomRamp(random, 0.3), randomRamp(random, 0.3)];
  const light = randomRamp(random, 0.4);
  const noise = random.uniform(0, 0.04);
  const noiseSeed = random.word();

  const pixels = new Uint8Array(4 * size * size);
  const mask = new Uint8Array(size * size);
  const colour = [0, 0, 0];
  for (let row = 0; row < size; row++) {
    const y = (row + 0.5) / size;
    for (let column = 0; column < size; column++) {
      const x = (column + 0.5) / size;
      const at = row * size + column;
      const cover = occluders.find((patch) => patch.blob.level(x, y) < 1);
      if (cover) {
        for (let channel = 0; channel < 3; channel++) colour[channel] = cover.colour[channel];
      } else if (region.level(x, y) < 1) {
        const distance = pattern(
          (x * toU + y * toV) * stretch + phaseU,
          (y * toU - x * toV) / stretch + phaseV,
          weight,
        );
        const amount = Math.min(1, Math.max(0, 0.5 + distance * pixelsPerCell));
        for (let channel = 0; channel < 3; channel++) {
          colour[channel] = paper[channel] + amount * (ink[channel] - paper[channel]);
        }
        mask[at] = label + 1;
      } else {
        const patch = clutter.find((candidate) => candidate.blob.level(x, y) < 1);
        for (let channel = 0; channel < 3; channel++) {
          colour[channel] = patch ? patch.colour[channel] : ground[channel] + groundRamps[channel](x, y);
        }
      }
      const brightness = 1 + light(x, y);
      for (let channel = 0; channel < 3; channel++) {
        const value = colour[channel] * brightness + noise * noiseAt(noiseSeed, 3 * at + channel);
        pixels[4 * at + channel] = Math.min(255, Math.max(0, Math.round(255 * value)));
      }
      pixels[4 * at + 3] = 255;
    }
  }
  return {
    image: { width: size, height: size, pixels },
    label,
    mask,
    boxes: boundingBox(mask, size, label),
  };
}
