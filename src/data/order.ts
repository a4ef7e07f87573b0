import { ConfigurationError } from "../errors.ts";
import { purpose, Random } from "../random.ts";

/**
 * The order in which an epoch visits images: `indices` shuffled by (seed, epoch), so that a resumed run continues in
 * the same order.
 *
 * @param indices the images of the set, e.g. {@linkcode Split.train}
 * @param epoch number of the epoch, from 0
 */
export function epochOrder(indices: Uint32Array, seed: number, epoch: number): Uint32Array {
  return new Random(seed, purpose.dataOrder, epoch).permutation(indices.length).map((at) => indices[at]);
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
