/** Images that lie in files, or in parts of files: decoded by Workers when they are wanted, and cached up to a limit. */
import { DataError } from "../errors.ts";
import { ImageCache } from "./cache.ts";
import { DecodePool } from "./decode_pool.ts";
import { evaluationResize } from "./evaluation_image.ts";
import type { FileRange } from "./image_file.ts";
import {
  type DecodedImage,
  defaultCacheBytes,
  type ImageOrigin,
  type ImageSource,
  type ImageUse,
  type SkippedFile,
  type SourceOptions,
} from "./image_set.ts";

/** Files that are decoded between two looks at the cache's limit and two calls of `onProgress`. */
const filesPerRound = 64;

/** Where the images of a set lie, and what is known of them before one is decoded. */
export interface StoredImages
  extends Pick<ImageSource, "name" | "length" | "labels" | "classes" | "shards" | "leftOut"> {
  readonly origin: ImageOrigin;
  /** Where all of them lie, for messages. */
  readonly place: string;
  /** What an image is called in messages. */
  nameOf(index: number): string;
  /** Its bytes. */
  rangeOf(index: number): FileRange;
}

/** An {@linkcode ImageSource} whose images are decoded on demand. A broken image keeps its index. */
export class DecodedSource implements ImageSource {
  readonly kind = "images";
  readonly name: string;
  readonly length: number;
  readonly labels: Int32Array | undefined;
  readonly classes: readonly string[] | undefined;
  readonly origin: ImageOrigin;
  readonly shards: Uint32Array | undefined;
  readonly leftOut: readonly SkippedFile[] | undefined;
  readonly skipped: SkippedFile[] = [];
  readonly broken = new Set<number>();
  readonly #images: StoredImages;
  readonly #options: SourceOptions;
  readonly #pool: DecodePool;
  readonly #cache: ImageCache;

  constructor(images: StoredImages, options: SourceOptions) {
    this.name = images.name;
    this.length = images.length;
    this.labels = images.labels;
    this.classes = images.classes;
    this.origin = images.origin;
    this.shards = images.shards;
    this.leftOut = images.leftOut;
    this.#images = images;
    this.#options = options;
    const cores = navigator.hardwareConcurrency || 1;
    const { imageSize, resize = evaluationResize(imageSize) } = options;
    // Larger than the input, so that an image of the input's size is known not to have been shrunk.
    const { storedSide = Math.max(resize, imageSize + 1) } = options;
    this.#pool = new DecodePool(options.workers ?? Math.min(4, cores), { imageSize, resize, storedSide });
    this.#cache = new ImageCache(options.cacheBytes ?? defaultCacheBytes);
  }

  release(): void {
    this.#pool.release();
    this.#cache.clear();
  }

  /**
   * Decodes files in order until all are decoded or one does not fit the cache. The order makes the outcome depend on
   * files and limit only, not on which Worker was faster.
   */
  async preload(): Promise<void> {
    const total = this.length;
    for (let start = 0; start < total; start += filesPerRound) {
      const length = Math.min(filesPerRound, total - start);
      const round = Array.from({ length }, (_, position) => start + position);
      await this.load(round, this.#options.use);
      this.#options.onProgress?.(start + length, total);
      if (round.every((file) => this.broken.has(file) || this.#cached(file, this.#options.use))) continue;
      this.#options.onWarning?.(
        `the cache is full after about ${
          start + length
        } of the ${total} images of "${this.#images.place}" (` +
          `${
            Math.ceil(this.#cache.bytes / 2 ** 20)
          } MiB): the others are decoded anew whenever they are needed. More ` +
          "data.cacheMegabytes or a smaller data.storedSide avoids that.",
      );
      break;
    }
    if (this.broken.size < total) return;
    const { path, reason } = this.skipped[0];
    throw new DataError(
      `all ${total} images of "${this.#images.place}" are broken, the first is "${path}": ${reason}`,
    );
  }

  async load(
    files: readonly number[],
    use: ImageUse = "training",
  ): Promise<(DecodedImage | undefined)[]> {
    const wanted = files.filter((file) => !this.#cached(file, use) && !this.broken.has(file));
    const missing = [...new Set(wanted)];
    const decoded = new Map<number, DecodedImage>();
    if (missing.length > 0) {
      const results = await this.#pool.decode(missing.map((file) => this.#images.rangeOf(file)), use);
      results.forEach((result, position) => {
        const file = missing[position];
        if ("reason" in result) return this.#reportBroken(file, result.reason);
        if (result.image.orientation) this.#options.onOriented?.(this.#images.nameOf(file), result.image);
        decoded.set(file, result.image);
        this.#cache.add(file, result.image, use);
      });
    }
    return files.map((file) => decoded.get(file) ?? this.#cached(file, use));
  }

  /** An image of the network's size was not shrunk, so it is evaluation's too: nothing is decoded twice for it. */
  #cached(file: number, use: ImageUse = "training"): DecodedImage | undefined {
    const training = this.#cache.get(file, "training");
    const { imageSize } = this.#options;
    if (use === "training" || (training?.width === imageSize && training.height === imageSize)) {
      return training;
    }
    return this.#cache.get(file, use);
  }

  #reportBroken(file: number, reason: string): void {
    if (this.broken.has(file)) return; // two loads at once may both have asked for it
    const path = this.#images.nameOf(file);
    if (this.#options.strict) {
      throw new DataError(
        `image "${path}" is broken: ${reason}; replace or remove it, or run without --strict to skip it`,
      );
    }
    this.broken.add(file);
    this.skipped.push({ path, reason });
    this.#options.onWarning?.(`skipping broken image "${path}": ${reason}`);
  }
}
