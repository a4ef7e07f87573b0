/** How many images a batch has: what was asked for, or what the device memory and the metric allow. */
import { DataError, UsageError } from "../errors.ts";
import { batchBounds } from "../data/chosen_images.ts";
import { fittingBatch, type MemoryQuestion, walkMemory } from "./memory.ts";

/** What a batch must keep to. */
export interface BatchRequest {
  /** Images of a batch that are wanted. */
  readonly batch: number;
  /** Images of the search. */
  readonly images: number;
  /** Where the images come from, for messages. */
  readonly source: string;
  /** The fewest images of a batch that the metric and batchnorm allow. */
  readonly fewest: number;
  /** Bytes of device memory; Infinity for no limit. */
  readonly memory: number;
  /** Bytes that weights and tables take besides. */
  readonly fixed: number;
  /** Bytes that a single buffer may have on this adapter. */
  readonly largest: number;
}

/**
 * Images of a batch, at most what is wanted.
 *
 * @throws {DataError} for fewer images than a batch needs
 * @throws {UsageError} when not even the smallest batch fits into the memory, naming what it needs
 */
export function chooseBatch(question: MemoryQuestion, request: BatchRequest): number {
  const { images, source, fewest, memory, fixed, largest } = request;
  if (images < fewest) {
    throw new DataError(
      `${source} has ${images} image${
        images === 1 ? "" : "s"
      }; a batch needs at least ${fewest} for this metric. ` +
        `Give more images, or take another metric.`,
    );
  }
  const fits = fittingBatch(question, request, memory - fixed, largest);
  if (fits === undefined) {
    const needed = fixed + walkMemory(question, fewest, images).total;
    throw new UsageError(
      memory < needed
        ? `${memory} bytes of memory are too little: this search needs ${needed} bytes with batches of ${fewest} images. ` +
          `Allow that, or use ${question.mode === "recalibrated" ? "fewer images" : "a narrower space"}.`
        : `Feature maps of ${question.imageSize} x ${question.imageSize} images are larger than the ${largest} bytes ` +
          `that this adapter binds at once, even with batches of ${fewest}. Use smaller images.`,
      { about: "memory" },
    );
  }
  const sizes = batchBounds(images, fits).map(([first, end]) => end - first);
  if (Math.min(...sizes) >= fewest) return fits;
  throw new UsageError(
    `${images} images in batches of at most ${fits} leave a batch of ${
      Math.min(...sizes)
    }; this metric needs ` +
      `${fewest}. Change the number of images, or of those in a batch.`,
    { about: "batch" },
  );
}
