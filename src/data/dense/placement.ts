/**
 * Where the pixels of a photo come to lie in a network's input, and what that makes of its labels and objects: the photo is
 * resized as a whole, a window is cut out and mirrored, the rest of the input is padding, on the right and at the bottom.
 */
import { DataError, ShapeError } from "../../errors.ts";
import { unpackMask } from "./run_lengths.ts";
import type { InstanceTarget, LabelTarget } from "./target.ts";

/** In pixels. */
export interface Size {
  readonly height: number;
  readonly width: number;
}

/** A part of an image, in whole pixels. */
export interface Window extends Size {
  readonly top: number;
  readonly left: number;
}

/** How a photo is shown. */
export interface Placement {
  /** Of the annotation; the photo may be stored smaller. */
  readonly source: Size;
  /** Of the whole photo when it is resized. */
  readonly resized: Size;
  /** What of the resized photo is shown. */
  readonly window: Window;
  /** Whether the window is mirrored left to right. */
  readonly flip: boolean;
}

/** Shows a whole photo, resized. */
export function wholePlacement(source: Size, resized: Size = source): Placement {
  const { height, width } = resized;
  return { source, resized: { height, width }, window: { top: 0, left: 0, height, width }, flip: false };
}

/** How detectors resize photos. */
export interface DetectionResize {
  /** Wanted length of the shorter side. */
  readonly shortSide: number;
  /** Most of the longer side, for which the shorter one stays shorter. */
  readonly longSide: number;
  /** torchvision rounds down what a scale of single precision gives; mmdet and detectron2 to the nearest. Default "down". */
  readonly rounding?: "down" | "nearest";
}

/**
 * The size that a detector sees a photo at, to the pixel as torchvision's `GeneralizedRCNNTransform`.
 *
 * @throws {DataError} when a side would vanish
 */
export function detectionSize(
  source: Size,
  { shortSide, longSide, rounding = "down" }: DetectionResize,
): Size {
  const shorter = Math.min(source.height, source.width), longer = Math.max(source.height, source.width);
  // A number over a tensor is the number times the reciprocal there, each rounded to single precision.
  const ratio = (wanted: number, given: number) =>
    rounding === "down" ? Math.fround(Math.fround(1 / given) * wanted) : wanted / given;
  const scale = Math.min(ratio(shortSide, shorter), ratio(longSide, longer));
  const scaled = (side: number) => Math.floor(side * scale + (rounding === "down" ? 0 : 0.5));
  const size = { height: scaled(source.height), width: scaled(source.width) };
  if (size.height < 1 || size.width < 1) {
    throw new DataError(
      `an image of ${source.width} x ${source.height} pixels is too narrow to be resized to a longer side of ${longSide}`,
    );
  }
  return size;
}

/** The size that holds all of some, each side a multiple of some number. */
export function batchSize(sizes: readonly Size[], multiple: number): Size {
  const side = (of: (size: Size) => number) => Math.ceil(Math.max(...sizes.map(of)) / multiple) * multiple;
  return { height: side(({ height }) => height), width: side(({ width }) => width) };
}

/** Places of windows that together show a whole, the last ones moved back inside (mmseg's sliding windows). */
export function slidingWindows(whole: Size, window: Size, stride: Size): Window[] {
  const along = (length: number, part: number, step: number) => {
    const count = Math.max(1, Math.ceil((length - part) / step) + 1);
    return Array.from({ length: count }, (_, at) => Math.max(0, Math.min(at * step, length - part)));
  };
  const height = Math.min(window.height, whole.height), width = Math.min(window.width, whole.width);
  return along(whole.height, window.height, stride.height).flatMap((top) =>
    along(whole.width, window.width, stride.width).map((left) => ({ top, left, height, width }))
  );
}

/** For each place along an axis of the window the place of the source whose pixel it shows: the one below its middle. */
function sourcePlaces(
  first: number,
  count: number,
  resized: number,
  source: number,
  flip: boolean,
): Uint32Array {
  const places = new Uint32Array(count);
  for (let at = 0; at < count; at++) {
    const shown = first + (flip ? count - 1 - at : at);
    places[at] = Math.floor((2 * shown + 1) * source / (2 * resized));
  }
  return places;
}

function windowPlaces(
  { source, resized, window, flip }: Placement,
): { rows: Uint32Array; columns: Uint32Array } {
  return {
    rows: sourcePlaces(window.top, window.height, resized.height, source.height, false),
    columns: sourcePlaces(window.left, window.width, resized.width, source.width, flip),
  };
}

function expectSource({ source }: Placement, { width, height }: Size): void {
  if (source.width === width && source.height === height) return;
  throw new ShapeError(
    `a placement of ${source.width} x ${source.height} pixels is not one of ${width} x ${height}`,
  );
}

/** Values of a source's pixels as they are shown, nearest neighbours. */
function showNearest(
  values: Uint8Array,
  placement: Placement,
  size: Size,
  padding: number,
): Uint8Array<ArrayBuffer> {
  const { rows, columns } = windowPlaces(placement);
  const { window, source } = placement;
  if (window.height > size.height || window.width > size.width) {
    throw new ShapeError(
      `a window of ${window.width} x ${window.height} does not fit into ${size.width} x ${size.height}`,
    );
  }
  const shown = new Uint8Array(size.height * size.width).fill(padding);
  rows.forEach((row, y) => {
    const from = row * source.width, to = y * size.width;
    columns.forEach((column, x) => shown[to + x] = values[from + column]);
  });
  return shown;
}

/**
 * Labels as the input shows them, by nearest neighbours: no class is mixed with another.
 *
 * @param size of the input
 * @param padding class of what is not the photo
 * @returns [size.height, size.width]
 */
export function placeLabels(
  target: LabelTarget,
  placement: Placement,
  size: Size,
  padding: number,
): Uint8Array<ArrayBuffer> {
  expectSource(placement, target);
  return showNearest(target.values, placement, size, padding);
}

/** Number of pixels of each class in a window; found without making the window. */
export function windowCounts({ values }: LabelTarget, placement: Placement): Uint32Array {
  const { rows, columns } = windowPlaces(placement);
  const counts = new Uint32Array(256);
  for (const row of rows) {
    const from = row * placement.source.width;
    for (const column of columns) counts[values[from + column]]++;
  }
  return counts;
}

/**
 * Predicted classes of the input's pixels at the label's resolution, where they are scored; what the window does not show is
 * `padding`.
 *
 * @param classes [size.height, size.width]
 * @returns [source.height, source.width]
 */
export function labelsAtSource(
  classes: Uint8Array,
  { source, resized, window, flip }: Placement,
  size: Size,
  padding: number,
): Uint8Array<ArrayBuffer> {
  const back = (count: number, resizedSide: number, first: number, shown: number, mirrored: boolean) =>
    Int32Array.from({ length: count }, (_, at) => {
      const place = Math.floor((2 * at + 1) * resizedSide / (2 * count)) - first;
      if (place < 0 || place >= shown) return -1;
      return mirrored ? shown - 1 - place : place;
    });
  const rows = back(source.height, resized.height, window.top, window.height, false);
  const columns = back(source.width, resized.width, window.left, window.width, flip);
  const result = new Uint8Array(source.height * source.width).fill(padding);
  rows.forEach((row, y) => {
    if (row < 0) return;
    columns.forEach((column, x) => {
      if (column >= 0) result[y * source.width + x] = classes[row * size.width + column];
    });
  });
  return result;
}

/** Corners x0, y0, x1, y1 of boxes, as the input has them, in the source's pixels. */
export function boxesAtSource(
  boxes: ArrayLike<number>,
  { source, resized, window, flip }: Placement,
): Float64Array<ArrayBuffer> {
  const x = (shown: number) =>
    ((flip ? window.width - shown : shown) + window.left) * source.width / resized.width;
  const y = (shown: number) => (shown + window.top) * source.height / resized.height;
  const result = new Float64Array(boxes.length);
  for (let at = 0; at < boxes.length; at += 4) {
    const [left, right] = [x(boxes[at]), x(boxes[at + 2])];
    result.set([Math.min(left, right), y(boxes[at + 1]), Math.max(left, right), y(boxes[at + 3])], at);
  }
  return result;
}

/** Objects as the input shows them. */
export interface PlacedObjects extends Size {
  /** Corners x0, y0, x1, y1 of each in pixels, within the window. */
  readonly boxes: Float32Array<ArrayBuffer>;
  /** Number of the class of each + 1, as detectors count: 0 is background. */
  readonly labels: Int32Array<ArrayBuffer>;
  /** [height, width] of each, 0 or 1; absent where there are none. */
  readonly masks?: readonly Uint8Array<ArrayBuffer>[];
  /** Place of each in the target's list. */
  readonly instances: Uint32Array<ArrayBuffer>;
  /** Objects that would be trained on but for what is left of their boxes: less than `leastSide` wide or high. */
  readonly dropped: number;
}

/**
 * The objects that are trained on, as the input shows them: crowds and ignored ones are left out, boxes are clipped to the
 * window, and those of less than `leastSide` pixels left out.
 *
 * @param leastSide in pixels of the input
 */
export function placeObjects(target: InstanceTarget, placement: Placement, leastSide = 1): PlacedObjects {
  expectSource(placement, target);
  const { source, resized, window, flip } = placement;
  const { height, width } = window;
  const x = (at: number) => Math.min(width, Math.max(0, at * resized.width / source.width - window.left));
  const y = (at: number) => Math.min(height, Math.max(0, at * resized.height / source.height - window.top));
  const boxes: number[] = [], labels: number[] = [], instances: number[] = [];
  const masks: Uint8Array<ArrayBuffer>[] = [];
  let dropped = 0;
  for (const [at, { box, classIndex, crowd, ignored, mask }] of target.instances.entries()) {
    if (crowd || ignored) continue;
    const [left, right] = [x(box[0]), x(box[0] + box[2])];
    const [top, bottom] = [y(box[1]), y(box[1] + box[3])];
    if (!(right - left >= leastSide && bottom - top >= leastSide)) {
      dropped++;
      continue;
    }
    boxes.push(flip ? width - right : left, top, flip ? width - left : right, bottom);
    labels.push(classIndex + 1);
    instances.push(at);
    if (mask) masks.push(showNearest(unpackMask(mask), placement, window, 0));
  }
  return {
    height,
    width,
    boxes: Float32Array.from(boxes),
    labels: Int32Array.from(labels),
    ...(masks.length > 0 && { masks }),
    instances: Uint32Array.from(instances),
    dropped,
  };
}
