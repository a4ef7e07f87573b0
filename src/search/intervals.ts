/**
 * How far scores depend on the images: a bootstrap over them (Efron, "Bootstrap methods: another look at the jackknife",
 * Annals of Statistics 1979). A resample draws as many images as there are, with replacement, the same ones for every
 * candidate, so that two candidates are compared by the difference that they have on the same images: most of what moves a
 * score from one set of images to another moves all scores alike.
 *
 * An image's features are taken as they are: with batch statistics they depend on the images beside it in its batch, and
 * that is not drawn again.
 */
import { quantile } from "../quantile.ts";
import { purpose, Random } from "../random.ts";
import type { ImageSums } from "./image_sums.ts";
import type { TableFormat } from "./similarity/score_table.ts";
import type { PrefixTree } from "./tree.ts";

/** Resamples of the images. */
export const resamples = 1000;

/** The share of resamples that an interval holds. */
export const intervalLevel = 0.95;

/** The percentile interval of resampled values. */
export type Interval = readonly [low: number, high: number];

/** The percentile interval of values, in any order. */
export function intervalOf(values: Float64Array): Interval {
  const sorted = values.toSorted();
  const outside = (1 - intervalLevel) / 2;
  return [quantile(sorted, outside), quantile(sorted, 1 - outside)];
}

/** Whether two candidates' scores cannot be told apart: the interval of their difference over the same images holds zero. */
export function indistinguishable(one: Float64Array, other: Float64Array): boolean {
  const [low, high] = intervalOf(one.map((value, index) => value - other[index]));
  return low <= 0 && high >= 0;
}

/**
 * Resamples of so many blocks, with replacement: [resamples, blocks] numbers of blocks.
 *
 * @param blocks at most 2^16
 */
export function drawBlocks(blocks: number, seed: number): Uint32Array {
  const random = new Random(seed, purpose.bootstrap, 1);
  const draws = new Uint32Array(resamples * blocks);
  // Two draws of a word, which is dear; beyond the last whole multiple none is taken, so that all are as likely.
  const end = 2 ** 16 - 2 ** 16 % blocks;
  for (let at = 0; at < draws.length;) {
    const word = random.word();
    for (const half of [word & 0xffff, word >>> 16]) {
      if (half < end && at < draws.length) draws[at++] = half % blocks;
    }
  }
  return draws;
}

/** Scores of candidates on resampled images. */
export class ResampledScores {
  /** [blocks, resamples]: how often each block was drawn. */
  readonly #times: Float64Array;
  /** Images of each resample. */
  readonly #images: Float64Array;
  /** Of each place, the slot that was computed last: neighbours in the tree share most. */
  readonly #last: { slot: number; scores: Float64Array }[];

  /** @param seed the same seed draws the same images */
  constructor(
    readonly tree: Pick<PrefixTree, "places" | "candidateSlots">,
    readonly metric: TableFormat,
    readonly sums: ImageSums,
    seed: number,
  ) {
    const { blocks, counts } = sums;
    this.#times = new Float64Array(blocks * resamples);
    drawBlocks(blocks, seed).forEach((block, at) =>
      this.#times[block * resamples + Math.floor(at / blocks)]++
    );
    this.#images = this.#sumsOf(counts);
    this.#last = tree.places.map(() => ({ slot: -1, scores: new Float64Array(0) }));
  }

  /** The score of a candidate, by its place in the tree, on each resample: the mean over its places. */
  of(candidate: number): Float64Array {
    const { places, candidateSlots } = this.tree;
    const mean = new Float64Array(resamples);
    places.forEach((_, place) => {
      const slot = candidateSlots[candidate * places.length + place];
      if (this.#last[place].slot !== slot) this.#last[place] = { slot, scores: this.#ofSlot(slot) };
      const { scores } = this.#last[place];
      for (let at = 0; at < resamples; at++) mean[at] += scores[at] / places.length;
    });
    return mean;
  }

  #ofSlot(slot: number): Float64Array {
    const { sums: { components, images, blocks }, metric } = this;
    const values = this.sums.ofSlot(slot);
    const columns = Array.from(
      { length: components },
      (_, component) =>
        Float64Array.from({ length: blocks }, (_, block) => values[block * components + component]),
    );
    const whole = columns.map((column) => column.reduce((sum, value) => sum + value, 0) / images);
    const drawn = columns.map((column) => this.#sumsOf(column));
    const means = new Float64Array(components);
    return Float64Array.from({ length: resamples }, (_, at) => {
      for (let component = 0; component < components; component++) {
        means[component] = drawn[component][at] / this.#images[at];
      }
      return metric.scoreOfImages(means, whole);
    });
  }

  /** The sum over what each resample drew of a value for each block. */
  #sumsOf(values: Float64Array | Uint32Array): Float64Array {
    const sums = new Float64Array(resamples);
    const times = this.#times;
    // Block by block, along the resamples as they lie in memory.
    for (let block = 0, at = 0; block < values.length; block++) {
      const value = values[block];
      for (let resample = 0; resample < resamples; resample++) sums[resample] += value * times[at++];
    }
    return sums;
  }
}
