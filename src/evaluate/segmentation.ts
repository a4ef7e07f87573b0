/** How well classes of pixels are told: one confusion matrix over a whole set, and what follows from it. */
import { DataError, ShapeError } from "../errors.ts";

/** What is known of one class. */
export interface ClassOverlap {
  /** Intersection over union, TP / (TP + FP + FN); null where the class is neither there nor predicted. */
  readonly iou: number | null;
  /** TP / (TP + FN); null where no pixel is of the class. */
  readonly accuracy: number | null;
  /** Pixels of the class. */
  readonly pixels: number;
  /** Pixels that were taken for it, among those that count. */
  readonly predicted: number;
}

/** The measures of a set; null where no pixel counts. */
export interface SegmentationMetrics {
  /** Mean of IoU over the classes that have one. Never a mean over images. */
  readonly mIoU: number | null;
  /** Share of the pixels that count which are right. */
  readonly pixelAccuracy: number | null;
  /** Mean of accuracy over the classes that have one. */
  readonly meanAccuracy: number | null;
  readonly perClass: readonly ClassOverlap[];
  /** Pixels that count. */
  readonly pixels: number;
  /** Pixels without a true class, left out. */
  readonly ignored: number;
}

/** Counts of pixels by true and predicted class, exact up to 2^53 of them. */
export class PixelConfusion {
  /** [classes, classes], row-major: true class, then predicted. */
  readonly counts: Float64Array<ArrayBuffer>;
  #ignored = 0;

  /**
   * @param classes how many there are
   * @param ignore true class of pixels that do not count, beyond the classes
   * @throws {DataError} when it is one of them
   */
  constructor(readonly classes: number, readonly ignore = 255) {
    if (!Number.isInteger(classes) || classes < 1 || (ignore >= 0 && ignore < classes)) {
      throw new DataError(`${classes} classes and ${ignore} for pixels that do not count do not go together`);
    }
    this.counts = new Float64Array(classes * classes);
  }

  /** Pixels left out so far. */
  get ignored(): number {
    return this.#ignored;
  }

  /**
   * Adds an image, at the resolution of its label.
   *
   * @param truth class of each pixel, or `ignore`
   * @param prediction class of each pixel; what it says where truth is `ignore` does not matter
   * @param name of the image, for messages
   * @throws {ShapeError} for different numbers of pixels
   * @throws {DataError} for a class that there is not; nothing of the image is counted then
   */
  add(truth: ArrayLike<number>, prediction: ArrayLike<number>, name = "an image"): void {
    if (truth.length !== prediction.length) {
      throw new ShapeError(`${name}: ${truth.length} pixels are labelled and ${prediction.length} predicted`);
    }
    const { classes, ignore } = this;
    const counts = new Float64Array(classes * classes);
    let ignored = 0;
    for (let at = 0; at < truth.length; at++) {
      const actual = truth[at];
      if (actual === ignore) {
        ignored++;
        continue;
      }
      const predicted = prediction[at];
      if (!isClass(actual, classes)) throw this.#noClass(name, "label", at, actual);
      if (!isClass(predicted, classes)) throw this.#noClass(name, "prediction", at, predicted);
      counts[actual * classes + predicted]++;
    }
    this.#include(counts, ignored);
  }

  /** Adds what another one counted, e.g. on another part of the set. */
  merge(other: PixelConfusion): void {
    if (other.classes !== this.classes) {
      throw new ShapeError(`confusions of ${this.classes} and ${other.classes} classes do not add up`);
    }
    this.#include(other.counts, other.ignored);
  }

  /** The measures of what was counted. */
  metrics(): SegmentationMetrics {
    const { classes, counts } = this;
    const all = Array.from({ length: classes }, (_, index) => index);
    const pixels = counts.reduce((sum, count) => sum + count, 0);
    const right = all.reduce((sum, index) => sum + counts[index * classes + index], 0);
    const perClass = all.map((index): ClassOverlap => {
      const hit = counts[index * classes + index];
      const actual = all.reduce((sum, other) => sum + counts[index * classes + other], 0);
      const predicted = all.reduce((sum, other) => sum + counts[other * classes + index], 0);
      const union = actual + predicted - hit;
      return {
        iou: union > 0 ? hit / union : null,
        accuracy: actual > 0 ? hit / actual : null,
        pixels: actual,
        predicted,
      };
    });
    return {
      mIoU: meanOf(perClass.map(({ iou }) => iou)),
      pixelAccuracy: pixels > 0 ? right / pixels : null,
      meanAccuracy: meanOf(perClass.map(({ accuracy }) => accuracy)),
      perClass,
      pixels,
      ignored: this.#ignored,
    };
  }

  #noClass(name: string, what: string, pixel: number, value: number): DataError {
    return new DataError(
      `${name}: the ${what} of pixel ${pixel} is ${value}; classes are 0 to ${this.classes - 1}`,
    );
  }

  #include(counts: Float64Array, ignored: number): void {
    counts.forEach((count, at) => this.counts[at] += count);
    this.#ignored += ignored;
  }
}

function isClass(value: number, classes: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < classes;
}

/** The mean of those that are there; null where none is. */
function meanOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}
