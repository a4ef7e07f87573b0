/**
 * What the kernels of RoIAlign read: which pixels each bin touches with which weight, made on the host from the regions.
 * Positions are computed in float32 as PyTorch does, so that a sample at a boundary falls on the same side.
 */
import { ShapeError } from "../../errors.ts";

const f32 = Math.fround;

/** How regions are sampled. */
export interface RoiSampling {
  /** Bins along each side of a region. */
  readonly bins: number;
  /** Samples of a bin along each axis; 0 for as many as it is long, rounded up. */
  readonly samplingRatio: number;
  /** Whether pixels have their centres at whole numbers and a half, as detectron2 and mmdet take it. */
  readonly aligned: boolean;
}

/** Sparse weights of the bins of one region along one axis: bin b has the pairs `starts[b]` to `starts[b + 1]`. */
export interface AxisWeights {
  readonly starts: readonly number[];
  readonly pixels: readonly number[];
  readonly weights: readonly number[];
}

/** Most samples of a region along one axis. */
const mostSamples = 1 << 20;

/**
 * The mean of a bin's samples along one axis: a sample at v takes pixels floor(v) and floor(v) + 1 by their distance; beyond
 * -1 or the length it counts as 0, between these and the outermost pixels as those.
 *
 * @param from where the region begins along the axis, in pixels of the image
 * @param to where it ends
 * @param scale pixels of the feature map for each of the image
 * @param length pixels of the feature map along the axis
 * @throws {ShapeError} for a region that is not finite, or that takes more than a million samples
 */
export function axisWeights(
  from: number,
  to: number,
  scale: number,
  length: number,
  { bins, samplingRatio, aligned }: RoiSampling,
): AxisWeights {
  const offset = aligned ? 0.5 : 0;
  const start = f32(f32(from * f32(scale)) - offset);
  let size = f32(f32(f32(to * f32(scale)) - offset) - start);
  if (!aligned) size = Math.max(size, 1);
  const bin = f32(size / bins);
  const samples = samplingRatio > 0 ? samplingRatio : Math.max(0, Math.ceil(bin));
  if (!(samples * bins <= mostSamples) || !Number.isFinite(start)) {
    throw new ShapeError(
      `roiAlign: a region from ${from} to ${to} takes ${samples * bins} samples along one axis; ` +
        `regions are finite and take at most ${mostSamples}. Clip them to the image`,
    );
  }
  const starts = [0];
  const pixels: number[] = [];
  const weights: number[] = [];
  for (let index = 0; index < bins; index++) {
    const found = new Map<number, number>();
    for (let sample = 0; sample < samples; sample++) {
      const within = f32(f32(f32(sample + 0.5) * bin) / samples);
      const position = f32(f32(start + f32(index * bin)) + within);
      if (position < -1 || position > length) continue;
      const value = Math.max(position, 0);
      const low = Math.min(Math.trunc(value), length - 1);
      const high = Math.min(low + 1, length - 1);
      const share = high === low ? 0 : value - low;
      found.set(low, (found.get(low) ?? 0) + (1 - share) / samples);
      found.set(high, (found.get(high) ?? 0) + share / samples);
    }
    for (const pixel of [...found.keys()].sort((a, b) => a - b)) {
      pixels.push(pixel);
      weights.push(found.get(pixel)!);
    }
    starts.push(pixels.length);
  }
  return { starts, pixels, weights };
}

/** The same weights by pixel: pixel `first + i` has the pairs `starts[i]` to `starts[i + 1]`, its bins ascending. */
export interface TransposedWeights {
  readonly first: number;
  readonly starts: readonly number[];
  readonly bins: readonly number[];
  readonly weights: readonly number[];
}

/** Turns sparse weights around. */
export function transposeWeights({ starts, pixels, weights }: AxisWeights): TransposedWeights {
  const first = pixels.length === 0 ? 0 : pixels.reduce((least, pixel) => Math.min(least, pixel));
  const count = pixels.length === 0 ? 0 : pixels.reduce((most, pixel) => Math.max(most, pixel)) - first + 1;
  const counts = new Array<number>(count + 1).fill(0);
  for (const pixel of pixels) counts[pixel - first + 1]++;
  for (let at = 0; at < count; at++) counts[at + 1] += counts[at];
  const next = counts.slice();
  const bins = new Array<number>(pixels.length);
  const turned = new Array<number>(pixels.length);
  for (let bin = 0; bin + 1 < starts.length; bin++) {
    for (let at = starts[bin]; at < starts[bin + 1]; at++) {
      const to = next[pixels[at] - first]++;
      bins[to] = bin;
      turned[to] = weights[at];
    }
  }
  return { first, starts: counts, bins, weights: turned };
}

/** A region on one feature map. */
export interface PlacedRegion {
  readonly image: number;
  /** Its place in the output. */
  readonly place: number;
  readonly rows: AxisWeights;
  readonly columns: AxisWeights;
}

/** Words of a table that grows: whole numbers, and float32 as their bits. */
export class TableWriter {
  #words = new Uint32Array(1 << 12);
  #floats = new Float32Array(this.#words.buffer);
  #length = 0;

  /** Where the next word will lie. */
  get length(): number {
    return this.#length;
  }

  /** Makes room for `count` words; returns where they begin. */
  reserve(count: number): number {
    const start = this.#length;
    this.#length += count;
    if (this.#length > this.#words.length) {
      const larger = new Uint32Array(Math.max(this.#length, 2 * this.#words.length));
      larger.set(this.#words);
      this.#words = larger;
      this.#floats = new Float32Array(larger.buffer);
    }
    return start;
  }

  /** Writes a whole number into room that was made. */
  set(at: number, word: number): void {
    this.#words[at] = word;
  }

  /** Appends pairs of a whole number and a weight. */
  pairs(numbers: readonly number[], weights: readonly number[]): void {
    const start = this.reserve(2 * numbers.length);
    numbers.forEach((number, at) => this.#words[start + 2 * at] = number);
    weights.forEach((weight, at) => this.#floats[start + 2 * at + 1] = weight);
  }

  /** Writes a weight into room that was made. */
  setWeight(at: number, weight: number): void {
    this.#floats[at] = weight;
  }

  /** All words. */
  finish(): Uint32Array<ArrayBuffer> {
    return this.#words.slice(0, this.#length);
  }
}

/** Where a launch finds its part of the table, and how long its loops are. */
export interface ForwardPart {
  readonly base: number;
  readonly mostRows: number;
  readonly mostColumns: number;
}

const longest = ({ starts }: { readonly starts: readonly number[] }): number =>
  starts.reduce((most, start, at) => at === 0 ? 0 : Math.max(most, start - starts[at - 1]), 0);

/** Appends what `roi_align.wgsl` reads of one feature map. */
export function writeForward(
  table: TableWriter,
  regions: readonly PlacedRegion[],
  bins: number,
): ForwardPart {
  const each = 2 * (bins + 2);
  const base = table.reserve(each * regions.length);
  let mostRows = 0;
  let mostColumns = 0;
  regions.forEach(({ image, place, rows, columns }, index) => {
    const header = base + each * index;
    table.set(header, image);
    table.set(header + 1, place);
    [rows, columns].forEach((axis, which) => {
      const start = table.length;
      axis.starts.forEach((first, bin) =>
        table.set(header + 2 + which * (bins + 1) + bin, start + 2 * first)
      );
      table.pairs(axis.pixels, axis.weights);
    });
    mostRows = Math.max(mostRows, longest(rows));
    mostColumns = Math.max(mostColumns, longest(columns));
  });
  return { base, mostRows, mostColumns };
}

/** Where the gradient's launch finds its part of the table, and how long its loops are. */
export interface GradientPart {
  readonly base: number;
  readonly longestList: number;
  readonly mostBins: number;
}

/** Pixels of a row that share a list. */
export const gradientBlock = 16;

/** Appends what `roi_align_gradient.wgsl` reads of one feature map [images, channels, height, width]. */
export function writeGradient(
  table: TableWriter,
  regions: readonly PlacedRegion[],
  [images, , height, width]: readonly number[],
): GradientPart {
  const blocks = Math.ceil(width / gradientBlock);
  const lists = images * height * blocks;
  const counts = new Uint32Array(lists + 1);
  const turned = regions.map((region) => {
    const columns = transposeWeights(region.columns);
    const count = columns.starts.length - 1;
    const at = table.reserve(count + 3);
    table.set(at, columns.first);
    table.set(at + 1, count);
    const start = table.length;
    columns.starts.forEach((first, pixel) => table.set(at + 2 + pixel, start + 2 * first));
    table.pairs(columns.bins, columns.weights);
    return { columns, at, count };
  });
  /** Calls back for each list and row of bins that meet, by region, row of bins and block. */
  const forEachMeeting = (
    visit: (list: number, region: number, bin: number, weight: number) => void,
  ): void => {
    regions.forEach(({ image, rows: { starts, pixels, weights } }, index) => {
      const { columns: { first }, count } = turned[index];
      if (count === 0) return;
      const firstBlock = Math.floor(first / gradientBlock);
      const lastBlock = Math.floor((first + count - 1) / gradientBlock);
      for (let bin = 0; bin + 1 < starts.length; bin++) {
        for (let at = starts[bin]; at < starts[bin + 1]; at++) {
          const list = (image * height + pixels[at]) * blocks;
          for (let block = firstBlock; block <= lastBlock; block++) {
            visit(list + block, index, bin, weights[at]);
          }
        }
      }
    });
  };
  forEachMeeting((list) => counts[list + 1]++);
  const longestList = counts.reduce((most, count) => Math.max(most, count), 0);
  for (let list = 0; list < lists; list++) counts[list + 1] += counts[list];
  const base = table.reserve(lists + 1);
  const entries = table.reserve(4 * counts[lists]);
  counts.forEach((count, list) => table.set(base + list, entries + 4 * count));
  forEachMeeting((list, region, bin, weight) => {
    const to = entries + 4 * counts[list]++;
    table.set(to, regions[region].place);
    table.set(to + 1, bin);
    table.setWeight(to + 2, weight);
    table.set(to + 3, turned[region].at);
  });
  return {
    base,
    longestList,
    mostBins: turned.reduce((most, { columns }) => Math.max(most, longest(columns)), 0),
  };
}
