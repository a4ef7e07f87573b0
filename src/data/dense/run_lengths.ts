/**
 * Masks as runs of equal pixels, as COCO keeps them: column by column, the first run of zeros. Areas, boxes, unions and
 * overlaps come from the runs; no mask is unpacked for them. Numbers and texts are pycocotools' own.
 */
import { DataError, ShapeError } from "../../errors.ts";

/** A mask as runs. */
export interface RunLengths {
  readonly height: number;
  readonly width: number;
  /** Lengths of zeros, ones, zeros, …, down the columns; they add up to height x width. The first may be 0. */
  readonly counts: Uint32Array;
}

/** [x, y, width, height] in pixels; width and height without + 1. */
export type CornerBox = readonly [x: number, y: number, width: number, height: number];

/**
 * Packs a mask.
 *
 * @param mask [height, width], row-major; what is not 0 counts as 1
 * @throws {ShapeError} for another number of pixels
 */
export function packMask(mask: ArrayLike<number>, height: number, width: number): RunLengths {
  if (mask.length !== height * width) {
    throw new ShapeError(
      `a mask of ${height} x ${width} pixels has ${height * width} values, not ${mask.length}`,
    );
  }
  const counts: number[] = [];
  let value = 0, run = 0;
  for (let x = 0; x < width; x++) {
    for (let at = x; at < mask.length; at += width) {
      if ((mask[at] !== 0) !== (value === 1)) {
        counts.push(run);
        run = 0;
        value = 1 - value;
      }
      run++;
    }
  }
  counts.push(run);
  return { height, width, counts: Uint32Array.from(counts) };
}

/** The mask [height, width], row-major, 0 or 1. */
export function unpackMask({ height, width, counts }: RunLengths): Uint8Array<ArrayBuffer> {
  const mask = new Uint8Array(height * width);
  for (const [start, end] of runsOfOnes(counts)) {
    let x = Math.floor(start / height), y = start % height;
    for (let at = start; at < end; at++) {
      mask[y * width + x] = 1;
      if (++y === height) {
        y = 0;
        x++;
      }
    }
  }
  return mask;
}

/** Half-open ranges of ones, as positions down the columns. */
function* runsOfOnes(counts: Uint32Array): Generator<readonly [start: number, end: number]> {
  for (let run = 0, position = 0; run < counts.length; position += counts[run++]) {
    if (run % 2 === 1 && counts[run] > 0) yield [position, position + counts[run]];
  }
}

/**
 * Runs that others wrote, as numbers.
 *
 * @throws {DataError} unless they are whole numbers that add up to height x width
 */
export function runsOf(counts: readonly number[], height: number, width: number): RunLengths {
  let sum = 0;
  for (const [at, count] of counts.entries()) {
    if (!Number.isInteger(count) || count < 0) {
      throw new DataError(`run ${at} of a mask is ${count}; runs are whole numbers from 0`);
    }
    sum += count;
  }
  if (sum !== height * width) {
    throw new DataError(
      `the runs of a mask add up to ${sum} pixels; ${width} x ${height} pixels are ${height * width}`,
    );
  }
  return { height, width, counts: Uint32Array.from(counts) };
}

/** Runs as COCO's text: from the fourth on the difference to the run two before, in groups of five bits, low first. */
export function compressRuns({ counts }: RunLengths): string {
  let text = "";
  for (let at = 0; at < counts.length; at++) {
    let rest = counts[at] - (at > 2 ? counts[at - 2] : 0);
    for (let more = true; more;) {
      const group = rest & 0x1f;
      rest >>= 5;
      more = group & 0x10 ? rest !== -1 : rest !== 0;
      text += String.fromCharCode(group + (more ? 0x20 : 0) + 48);
    }
  }
  return text;
}

/**
 * Reads the text of {@linkcode compressRuns}.
 *
 * @throws {DataError} for letters that it does not have, a text that ends early, or runs that do not fit the size
 */
export function parseRuns(text: string, height: number, width: number): RunLengths {
  const counts: number[] = [];
  let value = 0, shift = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at) - 48;
    if (code < 0 || code > 0x3f) {
      throw new DataError(
        `letter ${at} of the runs of a mask is ${JSON.stringify(text[at])}, which none has`,
      );
    }
    if (shift > 30) throw new DataError(`run ${counts.length} of a mask is longer than any image`);
    value += (code & 0x1f) * 2 ** shift;
    shift += 5;
    if (code & 0x20) continue;
    if (code & 0x10) value -= 2 ** shift;
    counts.push(value + (counts.length > 2 ? counts[counts.length - 2] : 0));
    value = shift = 0;
  }
  if (shift > 0) throw new DataError("the runs of a mask end early");
  return runsOf(counts, height, width);
}

/** Number of ones. */
export function runsArea({ counts }: RunLengths): number {
  let area = 0;
  for (let at = 1; at < counts.length; at += 2) area += counts[at];
  return area;
}

/** The tightest box around the ones; all 0 for an empty mask. */
export function runsBox({ height, counts }: RunLengths): CornerBox {
  let left = Infinity, top = Infinity, right = 0, bottom = 0;
  for (const [start, end] of runsOfOnes(counts)) {
    const [first, last] = [Math.floor(start / height), Math.floor((end - 1) / height)];
    left = Math.min(left, first);
    right = Math.max(right, last + 1);
    // A run over several columns reaches the bottom of one and the top of the next.
    top = Math.min(top, first < last ? 0 : start % height);
    bottom = Math.max(bottom, first < last ? height : (end - 1) % height + 1);
  }
  return right === 0 ? [0, 0, 0, 0] : [left, top, right - left, bottom - top];
}

/**
 * Joins masks of one size.
 *
 * @param masks at least one
 * @throws {ShapeError} for masks of different sizes
 */
export function uniteRuns(masks: readonly RunLengths[]): RunLengths {
  return masks.reduce((united, mask) => {
    expectSameSize(united, mask);
    const counts: number[] = [];
    let value = false, run = 0;
    walkTogether(united.counts, mask.counts, (length, first, second) => {
      if ((first || second) !== value) {
        counts.push(run);
        run = 0;
        value = !value;
      }
      run += length;
    });
    counts.push(run);
    return { ...united, counts: Uint32Array.from(counts) };
  });
}

/** Number of pixels that are one in both. */
export function commonArea(one: RunLengths, other: RunLengths): number {
  expectSameSize(one, other);
  let area = 0;
  walkTogether(one.counts, other.counts, (length, first, second) => {
    if (first && second) area += length;
  });
  return area;
}

/** Calls back for each stretch over which neither mask changes. */
function walkTogether(
  one: Uint32Array,
  other: Uint32Array,
  visit: (length: number, first: boolean, second: boolean) => void,
): void {
  let i = 0, j = 0;
  let left = one[0] ?? 0, right = other[0] ?? 0;
  while (i < one.length && j < other.length) {
    const length = Math.min(left, right);
    if (length > 0) visit(length, i % 2 === 1, j % 2 === 1);
    left -= length;
    right -= length;
    if (left === 0) left = one[++i];
    if (right === 0) right = other[++j];
  }
}

function expectSameSize(one: RunLengths, other: RunLengths): void {
  if (one.height === other.height && one.width === other.width) return;
  throw new ShapeError(
    `masks of ${one.width} x ${one.height} and ${other.width} x ${other.height} pixels do not go together`,
  );
}
