/**
 * Boxes on the host: corners x1, y1, x2, y2 of each, one after the other, in pixels. A side is x2 - x1, without a pixel more.
 * All arithmetic is rounded to float32 step by step, as PyTorch's is, so that comparisons and ties fall out alike.
 */

const f32 = Math.fround;

/** Corners of boxes, four numbers each. */
export type Boxes = Float32Array<ArrayBuffer>;

/** Height and width of an image, in pixels. */
export interface ImageSize {
  readonly height: number;
  readonly width: number;
}

/** Number of boxes. */
export function boxCount(boxes: Boxes): number {
  return boxes.length / 4;
}

/** The boxes at some indices, in their order. */
export function takeBoxes(boxes: Boxes, indices: ArrayLike<number>): Boxes {
  const taken = new Float32Array(4 * indices.length);
  for (let at = 0; at < indices.length; at++) {
    for (let corner = 0; corner < 4; corner++) taken[4 * at + corner] = boxes[4 * indices[at] + corner];
  }
  return taken;
}

/** All boxes of some lists, in their order. */
export function joinBoxes(...lists: readonly Boxes[]): Boxes {
  const joined = new Float32Array(lists.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const list of lists) {
    joined.set(list, at);
    at += list.length;
  }
  return joined;
}

/** The parts of boxes within an image; a box outside it keeps a place at its edge, and no area. */
export function clipBoxes(boxes: Boxes, { height, width }: ImageSize): Boxes {
  return boxes.map((value, at) => Math.min(Math.max(value, 0), at % 2 === 0 ? width : height));
}

/** Boxes in another size of their image, as torchvision's `resize_boxes`: by the ratios of the sides in float32. */
export function resizeBoxes(boxes: Boxes, from: ImageSize, to: ImageSize): Boxes {
  const ratios = [f32(to.width / from.width), f32(to.height / from.height)];
  return boxes.map((value, at) => value * ratios[at % 2]);
}

/** Area of each box. */
export function boxAreas(boxes: Boxes): Float32Array<ArrayBuffer> {
  return Float32Array.from(
    { length: boxCount(boxes) },
    (_, box) => f32(boxes[4 * box + 2] - boxes[4 * box]) * f32(boxes[4 * box + 3] - boxes[4 * box + 1]),
  );
}

/** Indices of boxes of which both sides have at least some length. */
export function largeBoxes(boxes: Boxes, leastSide: number): number[] {
  const least = f32(leastSide);
  const found: number[] = [];
  for (let box = 0; box < boxCount(boxes); box++) {
    const at = 4 * box;
    if (f32(boxes[at + 2] - boxes[at]) >= least && f32(boxes[at + 3] - boxes[at + 1]) >= least) {
      found.push(box);
    }
  }
  return found;
}

/**
 * Intersection over union of box `a` of a list and box `b` of another, in float32; 0 where neither has an area.
 * @param areas of the two boxes
 */
export function boxIou(
  list: Boxes,
  a: number,
  other: Boxes,
  b: number,
  areas: readonly [a: number, b: number],
): number {
  const i = 4 * a, j = 4 * b;
  const width = f32(Math.min(list[i + 2], other[j + 2]) - Math.max(list[i], other[j]));
  if (!(width > 0)) return 0;
  const height = f32(Math.min(list[i + 3], other[j + 3]) - Math.max(list[i + 1], other[j + 1]));
  if (!(height > 0)) return 0;
  const intersection = f32(width * height);
  const union = f32(f32(areas[0] + areas[1]) - intersection);
  return union === 0 ? 0 : f32(intersection / union);
}

/** Intersection over union of all pairs: row a, column b. */
export function iouMatrix(a: Boxes, b: Boxes): Float32Array<ArrayBuffer> {
  const areasA = boxAreas(a), areasB = boxAreas(b);
  const columns = boxCount(b);
  const matrix = new Float32Array(boxCount(a) * columns);
  for (let row = 0; row < boxCount(a); row++) {
    for (let column = 0; column < columns; column++) {
      matrix[row * columns + column] = boxIou(a, row, b, column, [areasA[row], areasB[column]]);
    }
  }
  return matrix;
}
