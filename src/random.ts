/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 *
 * A number is a pure function of (seed, purpose, counters…), never of how many were drawn before. So the
 * augmentation of image 7 in step 1000 is the same whether the run was interrupted, resumed or reordered.
 */

const multiplier0 = 0xd2511f53;
const multiplier1 = 0xcd9e8d57;
const weyl0 = 0x9e3779b9;
const weyl1 = 0xbb67ae85;

/** Separate streams under one seed. A new use of randomness gets a new number here, so that no two share draws. */
export const purpose = {
  initialisation: 1,
  dataOrder: 2,
  heldOut: 3,
  architecture: 4,
  augmentation: 5,
  denseAugmentation: 40,
  keyShuffle: 6,
  queue: 7,
  synthetic: 8,
  candidates: 9,
  test: 10,
  calibration: 11,
  tuning: 12,
  bootstrap: 13,
  validation: 14,
  labelledSubset: 15,
  linearProbe: 19,
  timing: 20,
  dropout: 24,
  headInitialisation: 30,
  regionSampling: 31,
} as const;

/** One of the streams in {@linkcode purpose}. */
export type Purpose = typeof purpose[keyof typeof purpose];

function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff, aHigh = a >>> 16, bLow = b & 0xffff, bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  return (aHigh * bHigh + Math.floor((aLow * bHigh + middle) / 0x10000)) >>> 0;
}

/** The Philox4x32-10 block function: four 32-bit words from a 128-bit counter and a 64-bit key. */
export function philox(
  counter: readonly number[],
  key: readonly [number, number],
): Uint32Array<ArrayBuffer> {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(multiplier0, c0), low0 = Math.imul(multiplier0, c0) >>> 0;
    const high1 = multiplyHigh(multiplier1, c2), low1 = Math.imul(multiplier1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + weyl0) >>> 0;
    k1 = (k1 + weyl1) >>> 0;
  }
  return Uint32Array.of(c0, c1, c2, c3);
}

/** A short sequence of draws that belongs to one (seed, purpose, first, second), e.g. one image of one step. */
export class Random {
  readonly #key: readonly [number, number];
  readonly #first: number;
  readonly #second: number;
  #block = 0;
  #words = new Uint32Array(0);
  #next = 0;

  /**
   * @param seed the run's seed, an integer from 0 to 2^32 - 1
   * @param stream what the numbers are for
   * @param first first counter, e.g. the step
   * @param second second counter, e.g. the sample within the step
   */
  constructor(seed: number, stream: Purpose, first = 0, second = 0) {
    this.#key = [seed >>> 0, stream];
    this.#first = first >>> 0;
    this.#second = second >>> 0;
  }

  /** A uniform integer in [0, 2^32). */
  word(): number {
    if (this.#next === this.#words.length) {
      this.#words = philox([this.#block++, 0, this.#first, this.#second], this.#key);
      this.#next = 0;
    }
    return this.#words[this.#next++];
  }

  /** A uniform number in [low, high), with 32 bits of resolution. */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.word() / 0x1_0000_0000);
  }

  /** A uniform integer in [0, limit); `limit` at most 2^32. */
  integer(limit: number): number {
    return Math.floor(this.uniform() * limit);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.uniform() < probability;
  }

  /** A standard normal number (Box-Muller, one of the pair). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** One element of a non-empty list. */
  pick<T>(list: readonly T[]): T {
    return list[this.integer(list.length)];
  }

  /** A random order of 0 … length - 1 (Fisher-Yates). */
  permutation(length: number): Uint32Array {
    const order = Uint32Array.from({ length }, (_, index) => index);
    for (let last = length - 1; last > 0; last--) {
      const other = this.integer(last + 1);
      [order[last], order[other]] = [order[other], order[last]];
    }
    return order;
  }
}
