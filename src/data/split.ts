import { ConfigurationError } from "../errors.ts";
import { purpose, Random } from "../random.ts";

/** Which images are trained on and which are kept for evaluation; both ascending, together every index once. */
export interface Split {
  train: Uint32Array;
  heldOut: Uint32Array;
}

/**
 * Splits `length` images at random into `heldOut` for evaluation and the rest for training; the same for the same
 * seed.
 *
 * @param length number of images
 * @param heldOut how many to keep for evaluation, 0 for none
 * @throws ConfigurationError when nothing would be left to train on
 */
export function splitHeldOut(length: number, heldOut: number, seed: number): Split {
  if (!Number.isInteger(heldOut) || heldOut < 0) {
    throw new ConfigurationError(`data.heldOut is ${heldOut}. Allowed: a whole number from 0.`);
  }
  if (heldOut >= length) {
    throw new ConfigurationError(
      `data.heldOut is ${heldOut}, but there are only ${length} images, so none is left to train on. Hold out fewer ` +
        `(0 for none, and no kNN), or give more images.`,
    );
  }
  const order = new Random(seed, purpose.heldOut).permutation(length);
  return { heldOut: order.slice(0, heldOut).sort(), train: order.slice(heldOut).sort() };
}
