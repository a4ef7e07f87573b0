/** Masks of regions, laid over their images. On the host. */
import type { ImageSize } from "./boxes.ts";

const f32 = Math.fround;

/**
 * Where a mask's values lie: `expanded` as torchvision, which takes it with a rim of zeros as an image of whole pixels and
 * truncates its corners; `centres` as detectron2 and mmdet, which look from each pixel's centre into the mask.
 */
export type PasteRule = "expanded" | "centres";

/** What a mask says of the pixels of a part of its image; elsewhere it says 0. */
export interface PastedMask {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** Probability of each pixel, row by row. */
  readonly values: Float32Array<ArrayBuffer>;
}

/** Two places of a mask, along one axis, and the share of the second. */
interface Between {
  readonly low: number;
  readonly high: number;
  readonly share: number;
}

/** Pixels of the image along one axis, and where each looks into the mask. */
interface PastedAxis {
  readonly first: number;
  readonly places: readonly Between[];
}

/** Bilinear resizing of a mask with a rim of one zero to the box enlarged alike, whose corners are truncated. */
function expandedAxis(from: number, to: number, side: number, length: number): PastedAxis {
  const padded = side + 2;
  const half = f32(f32(f32(to - from) * 0.5) * f32(padded / side));
  const centre = f32(f32(to + from) * 0.5);
  const first = Math.trunc(f32(centre - half)), last = Math.trunc(f32(centre + half));
  const size = Math.max(last - first + 1, 1);
  const scale = f32(padded / size);
  const start = Math.max(first, 0), end = Math.min(last + 1, length);
  const places = Array.from({ length: Math.max(end - start, 0) }, (_, at): Between => {
    const place = Math.max(f32(f32(scale * f32(start + at - first + 0.5)) - 0.5), 0);
    const low = Math.min(Math.floor(place), padded - 1);
    return { low: low - 1, high: Math.min(low + 1, padded - 1) - 1, share: f32(place - low) };
  });
  return { first: start, places };
}

/** Where the centres of pixels lie in the mask; beyond its outermost centres it fades to zero. */
function centredAxis(from: number, to: number, side: number, length: number): PastedAxis {
  const start = Math.max(Math.floor(from) - 1, 0), end = Math.min(Math.ceil(to) + 1, length);
  const places = Array.from({ length: Math.max(end - start, 0) }, (_, at): Between => {
    const place = (start + at + 0.5 - from) / (to - from) * side - 0.5;
    const low = Math.floor(place);
    return { low, high: low + 1, share: place - low };
  });
  return { first: start, places };
}

/**
 * Lays a mask over its image.
 *
 * @param mask probabilities [side, side]
 * @param box corners in pixels of the image; one without area has no mask under the rule `centres`
 */
export function pasteMask(
  mask: Float32Array,
  box: ArrayLike<number>,
  image: ImageSize,
  rule: PasteRule = "expanded",
): PastedMask {
  const side = Math.sqrt(mask.length);
  const axis = rule === "expanded" ? expandedAxis : centredAxis;
  const empty = rule === "centres" && !(box[2] > box[0] && box[3] > box[1]);
  const rows = axis(box[1], box[3], side, empty ? 0 : image.height);
  const columns = axis(box[0], box[2], side, empty ? 0 : image.width);
  const at = (row: number, column: number) =>
    row < 0 || row >= side || column < 0 || column >= side ? 0 : mask[row * side + column];
  const values = new Float32Array(rows.places.length * columns.places.length);
  rows.places.forEach(({ low: top, high: bottom, share: down }, y) =>
    columns.places.forEach(({ low: left, high: right, share: across }, x) => {
      const upper = (1 - across) * at(top, left) + across * at(top, right);
      const lower = (1 - across) * at(bottom, left) + across * at(bottom, right);
      values[y * columns.places.length + x] = (1 - down) * upper + down * lower;
    })
  );
  return {
    x: columns.first,
    y: rows.first,
    width: columns.places.length,
    height: rows.places.length,
    values,
  };
}

/** The pixels of an image that a mask takes, 1, and the others, 0, row by row: from a probability on. */
export function maskPixels(
  { x, y, width, height, values }: PastedMask,
  image: ImageSize,
  threshold = 0.5,
): Uint8Array<ArrayBuffer> {
  const pixels = new Uint8Array(image.height * image.width);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const inside = values[row * width + column] >= threshold;
      pixels[(y + row) * image.width + x + column] = Number(inside);
    }
  }
  return pixels;
}
