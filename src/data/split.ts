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
    throw new ConfigurationError(`held-out images: ${heldOut} given, a whole number from 0 is needed`);
  }
  if (heldOut >= length) {
    throw new ConfigurationError(
      `${heldOut} images are to be held out for evaluation, but the set has ${length}, so none is left to train on; ` +
        `hold out fewer or give more images`,
    );
  }
  const order = new Random(seed, purpose.heldOut).permutation(length);
  return { heldOut: order.slice(0, heldOut).sort(), train: order.slice(heldOut).sort() };
}
