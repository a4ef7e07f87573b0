/**
 * Resizing on the host, bit for bit as Pillow's `Image.resize(…, BILINEAR)` and so torchvision's `Resize` on photos: a
 * triangle filter as wide as the larger of an input and an output pixel, first along rows, then along columns, with weights
 * of 22 fractional bits and each pass rounded to 8 bits.
 */

/** Which inputs make each of some outputs along one axis, and with which weights. */
export interface Taps {
  /** First input of each output, counted from the image's edge. */
  readonly first: Int32Array;
  /** Inputs of each output. */
  readonly counts: Int32Array;
  /** [outputs, most]: weights in units of 2^-22, those beyond an output's count 0. */
  readonly weights: Int32Array;
  readonly most: number;
}

const weightBits = 22;
const half = 1 << (weightBits - 1);

/**
 * The taps of outputs [from, from + count) of an axis of `inputs` pixels that becomes one of `outputs` pixels.
 *
 * Output x is the mean of the inputs i weighted by max(0, 1 - |i + 1/2 - (x + 1/2) scale| / max(scale, 1)), with
 * scale = inputs / outputs.
 */
export function bilinearTaps(inputs: number, outputs: number, from: number, count: number): Taps {
  const scale = inputs / outputs;
  const support = Math.max(scale, 1);
  const most = 2 * Math.ceil(support) + 1;
  const first = new Int32Array(count);
  const counts = new Int32Array(count);
  const weights = new Int32Array(count * most);
  for (let output = 0; output < count; output++) {
    const centre = (from + output + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(inputs, Math.trunc(centre + support + 0.5));
    const exact = Array.from(
      { length: end - start },
      (_, at) => Math.max(0, 1 - Math.abs((at + start - centre + 0.5) * (1 / support))),
    );
    const total = exact.reduce((sum, weight) => sum + weight, 0);
    first[output] = start;
    counts[output] = end - start;
    exact.forEach((weight, at) =>
      weights[output * most + at] = Math.trunc(0.5 + weight / total * 2 ** weightBits)
    );
  }
  return { first, counts, weights, most };
}

/** The inputs that taps read: [start, end). */
export function tapRange({ first, counts }: Taps): readonly [start: number, end: number] {
  const last = first.length - 1;
  return [first[0], first[last] + counts[last]];
}

/** A part of an 8-bit image. */
export interface ImagePart {
  /** Place of its first row and column in the image. */
  readonly top: number;
  readonly left: number;
  readonly width: number;
  readonly height: number;
  /** 1 (gray), 2 (gray and one that is ignored), 3 (red, green, blue) or 4 (and one that is ignored). */
  readonly channels: number;
  /** [height, width, channels]. */
  readonly pixels: Uint8Array;
}

/**
 * Resizes a part of an image.
 *
 * @param part has at least the rows and columns that the taps read
 * @returns [outputs of `rows`, outputs of `columns`, 4] bytes: red, green, blue, 255
 */
export function resample(part: ImagePart, rows: Taps, columns: Taps): Uint8Array<ArrayBuffer> {
  const { channels, pixels } = part;
  const [green, blue] = channels > 2 ? [1, 2] : [0, 0];
  const width = columns.first.length;
  const height = rows.first.length;
  const [firstRow, endRow] = tapRange(rows);

  const narrow = new Uint8Array(4 * width * (endRow - firstRow));
  for (let row = firstRow; row < endRow; row++) {
    const line = (row - part.top) * part.width - part.left;
    for (let x = 0; x < width; x++) {
      let r = half, g = half, b = half;
      let from = (line + columns.first[x]) * channels;
      const start = x * columns.most;
      for (let at = start; at < start + columns.counts[x]; at++, from += channels) {
        const weight = columns.weights[at];
        r += weight * pixels[from];
        g += weight * pixels[from + green];
        b += weight * pixels[from + blue];
      }
      const to = 4 * ((row - firstRow) * width + x);
      narrow[to] = r >> weightBits;
      narrow[to + 1] = g >> weightBits;
      narrow[to + 2] = b >> weightBits;
    }
  }

  const output = new Uint8Array(4 * width * height);
  for (let y = 0; y < height; y++) {
    const start = y * rows.most;
    for (let x = 0; x < width; x++) {
      let r = half, g = half, b = half;
      let from = 4 * ((rows.first[y] - firstRow) * width + x);
      for (let at = start; at < start + rows.counts[y]; at++, from += 4 * width) {
        const weight = rows.weights[at];
        r += weight * narrow[from];
        g += weight * narrow[from + 1];
        b += weight * narrow[from + 2];
      }
      const to = 4 * (y * width + x);
      output[to] = r >> weightBits;
      output[to + 1] = g >> weightBits;
      output[to + 2] = b >> weightBits;
      output[to + 3] = 255;
    }
  }
  return output;
}
