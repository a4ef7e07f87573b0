import { ConfigurationError } from "../errors.ts";
import { purpose, Random } from "../random.ts";

/** Fewest shards, and fewest images, that are shuffled together, as far as there are any. */
const shardsTogether = 8, imagesTogether = 8192;

/**
 * The order in which an epoch visits images: `indices` shuffled by (seed, epoch), so that a resumed run continues in
 * the same order.
 *
 * Of a set in shards few are visited at a time: the shards are shuffled by (seed, epoch); in that order they are taken
 * together until there are 8 of them with 8192 images; and the images of group g are shuffled by (seed, epoch, g + 1).
 *
 * @param indices the images of the set, e.g. {@linkcode Split.train}; ascending where it is in shards
 * @param epoch number of the epoch, from 0
 * @param shards index of the first image of each shard, ascending; absent for a set that is not in shards
 */
export function epochOrder(
  indices: Uint32Array,
  seed: number,
  epoch: number,
  shards?: Uint32Array,
): Uint32Array {
  if (!shards) return shuffle(indices, seed, epoch);
  const ends = Array.from(shards, (_, at) => lengthBelow(indices, shards[at + 1] ?? Infinity));
  const permuted = Array.from(
    new Random(seed, purpose.dataOrder, epoch).permutation(shards.length),
    (shard) => indices.subarray(ends[shard - 1] ?? 0, ends[shard]),
  );
  const groups = groupShards(permuted).map((group, at) => shuffle(concatenate(group), seed, epoch, at + 1));
  return concatenate(groups);
}

/** Cuts a list of shards where there are enough to be shuffled together. */
function groupShards(shards: readonly Uint32Array[]): Uint32Array[][] {
  const groups: Uint32Array[][] = [[]];
  let images = 0;
  for (const shard of shards) {
    const last = groups[groups.length - 1];
    if (last.length >= shardsTogether && images >= imagesTogether) {
      groups.push([shard]);
      images = shard.length;
    } else {
      last.push(shard);
      images += shard.length;
    }
  }
  return groups;
}

function concatenate(parts: readonly Uint32Array[]): Uint32Array {
  const whole = new Uint32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function shuffle(indices: Uint32Array, seed: number, epoch: number, group = 0): Uint32Array {
  return new Random(seed, purpose.dataOrder, epoch, group).permutation(indices.length).map((at) =>
    indices[at]
  );
}

/** How many of ascending numbers are below a limit. */
function lengthBelow(ascending: Uint32Array, limit: number): number {
  let low = 0, high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How to cut an order into batches. */
export interface BatchOptions {
  batchSize: number;
  /** Drop the last batch when it is smaller than the others; otherwise it is kept. */
  dropLast: boolean;
}

/**
 * Number of batches of an epoch over `length` images.
 *
 * @throws ConfigurationError when there would be none
 */
export function batchCount(length: number, { batchSize, dropLast }: BatchOptions): number {
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new ConfigurationError(`batch size ${batchSize}: give a whole number from 1`);
  }
  const count = dropLast ? Math.floor(length / batchSize) : Math.ceil(length / batchSize);
  if (count === 0) {
    throw new ConfigurationError(
      `a batch size of ${batchSize} leaves no batch of ${length} training images; give a batch size of at most ` +
        `${length}, or more images`,
    );
  }
  return count;
}

/**
 * Cuts an order into batches; views into `order`, no copies.
 *
 * @throws ConfigurationError when there would be none
 */
export function batchesOf(order: Uint32Array, options: BatchOptions): Uint32Array[] {
  const { batchSize } = options;
  return Array.from(
    { length: batchCount(order.length, options) },
    (_, batch) => order.subarray(batch * batchSize, (batch + 1) * batchSize),
  );
}
