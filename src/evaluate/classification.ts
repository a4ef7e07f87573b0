/** What a classifier gets right and wrong, from labels and predictions: intervals, confusions, classes. */
import { DataError, ShapeError } from "../errors.ts";

/** The standard normal distribution has 95 % between its negative and this. */
const normal95 = 1.959963984540054;

/**
 * The 95 % score interval of a share (Wilson 1927), which stays within 0 and 1 and holds for few images, too.
 *
 * @param right how many of `count` were right
 * @returns its two ends; 0 and 1 where nothing was counted
 * @throws {DataError} for counts that cannot be
 */
export function wilsonInterval(right: number, count: number): [low: number, high: number] {
  if (!(Number.isInteger(right) && Number.isInteger(count) && right >= 0 && right <= count)) {
    throw new DataError(`An interval needs whole numbers, right of count; not ${right} of ${count}.`);
  }
  if (count === 0) return [0, 1];
  const share = right / count, spread = normal95 ** 2 / count;
  const centre = (share + spread / 2) / (1 + spread);
  const half = normal95 / (1 + spread) * Math.sqrt(share * (1 - share) / count + spread / (4 * count));
  // The ends of none and of all are exact; rounding would leave a little beside them.
  return [right === 0 ? 0 : centre - half, right === count ? 1 : centre + half];
}

/**
 * Counts how often each class was taken for each.
 *
 * @param labels the class of each image
 * @param predictions the class that each image was given
 * @param classes how many there are
 * @returns counts, [actual][predicted]
 * @throws {ShapeError} for lists of different lengths
 * @throws {DataError} for a class that is none of 0 to `classes` − 1
 */
export function confusionMatrix(
  labels: ArrayLike<number>,
  predictions: ArrayLike<number>,
  classes: number,
): number[][] {
  if (labels.length !== predictions.length) {
    throw new ShapeError(`${labels.length} labels and ${predictions.length} predictions do not go together.`);
  }
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let image = 0; image < labels.length; image++) {
    for (const one of [labels[image], predictions[image]]) {
      if (!(Number.isInteger(one) && one >= 0 && one < classes)) {
        throw new DataError(`Image ${image} has class ${one}; allowed are 0 to ${classes - 1}.`);
      }
    }
    counts[labels[image]][predictions[image]]++;
  }
  return counts;
}

/** How many images there are of each actual class. */
export function classCounts(confusion: readonly (readonly number[])[]): number[] {
  return confusion.map((row) => row.reduce((sum, count) => sum + count, 0));
}

/** How many images were given a class that is not theirs. */
export function wrongCount(confusion: readonly (readonly number[])[]): number {
  return classCounts(confusion).reduce((sum, count, actual) => sum + count - confusion[actual][actual], 0);
}

/** Part of each class's images, 0 to 1, that was recognised; null for a class without images. */
export function perClassAccuracy(confusion: readonly (readonly number[])[]): (number | null)[] {
  return classCounts(confusion).map((count, actual) =>
    count === 0 ? null : confusion[actual][actual] / count
  );
}

/** Images of one class that were taken for another. */
export interface Confusion {
  readonly actual: number;
  readonly predicted: number;
  readonly count: number;
  /** Part of the actual class's images, 0 to 1. */
  readonly share: number;
}

/** All confusions that occurred, the most frequent first; among equals the one of the larger share, then by class. */
export function frequentConfusions(confusion: readonly (readonly number[])[]): Confusion[] {
  const totals = classCounts(confusion);
  return confusion.flatMap((row, actual) =>
    row.flatMap((count, predicted) =>
      count > 0 && predicted !== actual ? [{ actual, predicted, count, share: count / totals[actual] }] : []
    )
  ).sort((a, b) => b.count - a.count || b.share - a.share);
}
