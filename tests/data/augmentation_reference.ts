/** The augmentation in float64 and plain loops, written from its definition, to compare the kernels with. */
import type { JitterStep, SampleParameters } from "../../src/data/augmentation.ts";
import type { DecodedImage } from "../../src/data/image_set.ts";

/** Rows of red, green and blue in [0, 1]. */
type Planes = [number[][], number[][], number[][]];

const clamp = (value: number) => Math.min(Math.max(value, 0), 1);
const grid = (height: number, width: number, at: (y: number, x: number) => number) =>
  Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => at(y, x)));

/** Triangle filter: for each output position the input positions with their normalised weights. */
function filter(inputs: number, outputs: number): [position: number, weight: number][][] {
  const scale = inputs / outputs;
  const support = Math.max(scale, 1);
  return Array.from({ length: outputs }, (_, output) => {
    const centre = (output + 0.5) * scale;
    const taps = Array.from({ length: inputs }, (_, position): [number, number] => [
      position,
      Math.max(0, 1 - Math.abs(position + 0.5 - centre) / support),
    ]).filter(([, weight]) => weight > 0);
    const total = taps.reduce((sum, [, weight]) => sum + weight, 0);
    return taps.map(([position, weight]) => [position, weight / total]);
  });
}

function crop(image: DecodedImage, { crop, flip }: SampleParameters, height: number, width: number): Planes {
  const rows = filter(crop.height, height);
  const columns = filter(crop.width, width);
  const plane = (channel: number) =>
    grid(height, width, (y, x) => {
      let sum = 0;
      for (const [v, rowWeight] of rows[y]) {
        for (const [u, columnWeight] of columns[flip ? width - 1 - x : x]) {
          const pixel = (crop.top + v) * image.width + crop.left + u;
          sum += rowWeight * columnWeight * image.pixels[4 * pixel + channel] / 255;
        }
      }
      return sum;
    });
  return [plane(0), plane(1), plane(2)];
}

const grayOf = (r: number, g: number, b: number) => 0.2989 * r + 0.587 * g + 0.114 * b;

function mapColours(planes: Planes, map: (r: number, g: number, b: number) => number[]): Planes {
  const [red, green, blue] = planes;
  const mapped = red.map((row, y) => row.map((value, x) => map(value, green[y][x], blue[y][x])));
  const plane = (channel: number) => mapped.map((row) => row.map((colour) => colour[channel]));
  return [plane(0), plane(1), plane(2)];
}

/** To hue, saturation and value, and back; the textbook way with its six sectors. */
function turnHue(r: number, g: number, b: number, turns: number): number[] {
  const value = Math.max(r, g, b);
  const chroma = value - Math.min(r, g, b);
  if (chroma === 0) return [r, g, b];
  let hue = value === r ? (g - b) / chroma : value === g ? 2 + (b - r) / chroma : 4 + (r - g) / chroma;
  hue = (hue + 6 * turns + 12) % 6;
  const sector = Math.floor(hue);
  const low = value - chroma;
  const falling = value - chroma * (hue - sector);
  const rising = value - chroma * (1 - hue + sector);
  return [
    [value, rising, low],
    [falling, value, low],
    [low, value, rising],
    [low, falling, value],
    [rising, low, value],
    [value, low, falling],
  ][sector];
}

function jitter(planes: Planes, { operation, amount }: JitterStep): Planes {
  if (operation === "hue") return mapColours(planes, (r, g, b) => turnHue(r, g, b, amount));
  const grays = planes[0].flatMap((row, y) => row.map((r, x) => grayOf(r, planes[1][y][x], planes[2][y][x])));
  const mean = grays.reduce((sum, gray) => sum + gray, 0) / grays.length;
  return mapColours(planes, (r, g, b) => {
    const other = operation === "brightness" ? 0 : operation === "contrast" ? mean : grayOf(r, g, b);
    return [r, g, b].map((value) => clamp(amount * value + (1 - amount) * other));
  });
}

function blurLine(line: number[], sigma: number): number[] {
  const radius = Math.ceil(3 * sigma);
  const mirrored = (at: number): number =>
    line.length === 1
      ? 0
      : at < 0
      ? mirrored(-at)
      : at >= line.length
      ? mirrored(2 * line.length - 2 - at)
      : at;
  return line.map((_, centre) => {
    let sum = 0, total = 0;
    for (let away = -radius; away <= radius; away++) {
      const weight = Math.exp(-0.5 * (away / sigma) ** 2);
      sum += weight * line[mirrored(centre + away)];
      total += weight;
    }
    return sum / total;
  });
}

function blur(plane: number[][], sigma: number): number[][] {
  const turned = (rows: number[][]) => grid(rows[0].length, rows.length, (y, x) => rows[x][y]);
  return turned(turned(plane.map((row) => blurLine(row, sigma))).map((row) => blurLine(row, sigma)));
}

/** [3, height, width], normalised. */
export function referenceAugment(
  image: DecodedImage,
  parameters: SampleParameters,
  target: { height: number; width: number; mean: readonly number[]; std: readonly number[] },
): number[] {
  let planes = crop(image, parameters, target.height, target.width);
  for (const step of parameters.jitter) planes = jitter(planes, step);
  if (parameters.grayscale) planes = mapColours(planes, (r, g, b) => Array(3).fill(grayOf(r, g, b)));
  if (parameters.sigma > 0) planes = planes.map((plane) => blur(plane, parameters.sigma)) as Planes;
  return planes.flatMap((plane, channel) =>
    plane.flat().map((value) => (value - target.mean[channel]) / target.std[channel])
  );
}
