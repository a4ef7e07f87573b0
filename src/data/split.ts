/** Which images of a set are trained on and which are held out: decided here for all commands. */
import { dataSeed } from "../config/data_seed.ts";
import type { Config } from "../config/schema.ts";
import { ConfigurationError, DataError } from "../errors.ts";
import { purpose, Random } from "../random.ts";
import type { DataRecord, ImageList } from "../store/data_record.ts";
import { carryHeldOut, describeChange, stillTrainedOn } from "./changes.ts";
import type { ImageSource, TensorSource } from "./image_set.ts";

/** Which images are trained on and which are kept for evaluation; both ascending, no index in both. */
export interface Split {
  train: Uint32Array;
  heldOut: Uint32Array;
}

/** The split of a set that may hold unreadable images, which are in neither part. */
export interface UsableSplit extends Split {
  /** The images that are held out and those that would be if they could be read, ascending: what a run keeps to. */
  reserved: Uint32Array;
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

/** How many images a configuration holds out of a set: none where kNN would not look at them. */
export function heldOutCount({ data, knn }: Config, labelled: boolean): number {
  return labelled && knn.every > 0 && data.test === null ? data.heldOut : 0;
}

/**
 * The split that a configuration asks for. It is one of the listed images, before broken files are left out: a broken file
 * moves no other from one side to the other.
 *
 * @throws ConfigurationError when nothing would be left to train on
 */
export function splitImages(config: Config, source: ImageSource | TensorSource): UsableSplit {
  const { length, labels, broken } = source;
  const split = splitHeldOut(length, heldOutCount(config, labels !== undefined), dataSeed(config));
  return without(split, (index) => broken?.has(index) ?? false);
}

function without({ train, heldOut }: Split, isLeftOut: (index: number) => boolean): UsableSplit {
  const kept = (indices: Uint32Array) => indices.filter((index) => !isLeftOut(index));
  return { train: kept(train), heldOut: kept(heldOut), reserved: heldOut };
}

/** All of a set's indices but the held-out ones, and these. */
function splitBy(length: number, heldOut: readonly number[]): Split {
  const kept = new Set(heldOut);
  const all = Uint32Array.from({ length }, (_, index) => index);
  return { train: all.filter((index) => !kept.has(index)), heldOut: Uint32Array.from(heldOut) };
}

/** The recorded split, for images that are as they were. */
export function recordedSplit({ list, heldOut, unreadable }: DataRecord): UsableSplit {
  const leftOut = new Set(unreadable.map(([index]) => index));
  return without(splitBy(list.images, heldOut), (index) => leftOut.has(index));
}

/**
 * The split of a run that goes on with changed images: what was held out stays so.
 *
 * @throws ConfigurationError when nothing would be left to train on
 */
export function acceptedSplit(
  config: Config,
  source: ImageSource | TensorSource,
  record: DataRecord,
  present: ImageList,
): UsableSplit {
  const heldOut = carryHeldOut(record, present);
  if (!heldOut) return splitImages(config, source);
  const split = without(splitBy(source.length, heldOut), (index) => source.broken?.has(index) ?? false);
  if (split.train.length > 0) return split;
  throw new DataError(
    `${source.name}: of the changed images none is left to train on; the rest was held out.`,
  );
}

/**
 * The images that a run was trained on and that are there as they were, to be chosen from when it is searched or cut.
 *
 * @param record undefined for a run of a version that kept none
 * @param present the images as they are now
 * @param onWarning told what could not be held to
 * @throws DataError when none of them is left
 */
export function trainedOn(
  config: Config,
  source: ImageSource | TensorSource,
  record: DataRecord | undefined,
  present: ImageList,
  onWarning: (message: string) => void,
): Uint32Array {
  if (!record) {
    const { train, heldOut } = splitImages(config, source);
    if (present.kind === "made") return train; // they cannot have changed
    onWarning(
      `the run has no record of its images (data.json), as it was made by an older version. ` +
        (heldOut.length > 0
          ? `${heldOut.length} of those that are there now are taken to be held out; if images were added, removed or ` +
            `broken since, they are others.`
          : "All that are there now are taken to be trained on."),
    );
    return train;
  }
  const change = describeChange(record.list, present);
  if (change === undefined) return recordedSplit(record).train;
  const train = stillTrainedOn(record, present);
  if (train.length === 0) {
    throw new DataError(
      `${source.name} is no longer what the run was trained on: ${change}. Which of these images were held out cannot ` +
        `be told. Restore the images, or give others with --data.`,
    );
  }
  onWarning(
    `${source.name} has changed since the run began: ${change}. Only the ${train.length} images that it was trained on ` +
      "and that are as they were are chosen from.",
  );
  return train;
}
