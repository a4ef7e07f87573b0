import { DataError } from "../errors.ts";
import { ImageCache } from "./cache.ts";
import { DecodePool } from "./decode_pool.ts";
import { evaluationResize } from "./evaluation_image.ts";
import { trimSlashes } from "./path.ts";
import { compareCodepoints, countEnding, type FolderListing, scanFolder } from "./scan.ts";
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

class FolderSource implements ImageSource {
  readonly kind = "images";
  readonly name: string;
  readonly length: number;
  readonly labels: Int32Array | undefined;
  readonly classes: readonly string[] | undefined;
  readonly origin: ImageOrigin;
  readonly leftOut: readonly SkippedFile[];
  readonly skipped: SkippedFile[] = [];
  readonly broken = new Set<number>();
  readonly #root: string;
  readonly #options: SourceOptions;
  readonly #pool: DecodePool;
  readonly #cache: ImageCache;
  readonly #paths: readonly string[];

  constructor(name: string, root: string, listing: FolderListing, options: SourceOptions) {
    this.name = name;
    this.#root = root;
    this.#options = options;
    this.#paths = listing.paths;
    this.length = listing.paths.length;
    this.origin = { kind: "images", root, paths: listing.paths };
    this.classes = listing.classes;
    this.labels = listing.labels;
    this.leftOut = listing.leftOut.map(({ path, reason }) => ({ path: `${root}/${path}`, reason }));
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
        `the cache is full after about ${start + length} of the ${total} images of "${this.#root}" (` +
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
      `all ${total} images of "${this.#root}" are broken, the first is "${path}": ${reason}`,
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
      const paths = missing.map((file) => `${this.#root}/${this.#paths[file]}`);
      const results = await this.#pool.decode(paths, use);
      results.forEach((result, position) => {
        const file = missing[position];
        if ("reason" in result) return this.#reportBroken(file, result.reason);
        if (result.image.orientation) this.#options.onOriented?.(paths[position], result.image);
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
    const path = `${this.#root}/${this.#paths[file]}`;
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

/** Files that are named one by one; more are counted. */
const mostNamed = 20;

/** Says, or refuses with `strict`, what of a folder is not in the set. */
export function reportListing(
  folder: string,
  listing: FolderListing,
  { strict, onWarning }: SourceOptions,
): void {
  const { stray, leftOut, reachedAgain, otherFiles } = listing;
  if (strict && leftOut.length > 0) {
    const [{ path, reason }] = leftOut;
    throw new DataError(
      `"${folder}/${path}" cannot be used: ${reason}; ${leftOut.length} in all cannot. Mend or remove them, or run ` +
        `without --strict to leave them out`,
    );
  }
  const warn = (message: string) => onWarning?.(message);
  for (const { path, reason } of leftOut.slice(0, mostNamed)) {
    warn(`leaving out "${folder}/${path}": ${reason}`);
  }
  if (leftOut.length > mostNamed) {
    const endings = new Map<string, number>();
    for (const { path } of leftOut) countEnding(endings, path);
    warn(`${leftOut.length} files and folders of "${folder}" are left out in all (${formatCounts(endings)})`);
  }
  if (reachedAgain.length > 0) {
    warn(
      `${reachedAgain.length} link(s) in "${folder}" lead to what is listed already, which counts once; the first is ` +
        `"${folder}/${reachedAgain[0]}"`,
    );
  }
  if (otherFiles.size > 0) {
    warn(`files of "${folder}" that are not named like images: ${formatCounts(otherFiles)}`);
  }
  if (stray > 0) {
    warn(
      `"${folder}" has ${stray} image(s) beside its class folders, so it is used without labels; ` +
        `move them into a class folder to have labels`,
    );
  }
}

/** Counts by name, largest first: `.txt 12, .json 3`. */
function formatCounts(counts: ReadonlyMap<string, number>): string {
  const sorted = [...counts].sort(([a, many], [b, few]) => few - many || compareCodepoints(a, b));
  const named = sorted.slice(0, mostNamed).map(([name, many]) => `${name} ${many}`);
  return [...named, ...(sorted.length > mostNamed ? ["…"] : [])].join(", ");
}

/**
 * Opens a folder of JPEG, PNG, WebP, GIF, TIFF or AVIF files, one folder per class or flat and unlabelled, in codepoint
 * order of the paths. Files are decoded by Workers and cached up to a limit; beyond it they are decoded anew at each
 * load. A broken file keeps its place in the listing, so that no other image's index depends on it.
 *
 * @throws ConfigurationError when the folder is missing or no folder
 * @throws DataError when it holds no usable image, or with `strict` one that is not
 */
export async function openFolder(name: string, root: string, options: SourceOptions): Promise<ImageSource> {
  const folder = trimSlashes(root);
  const listing = await scanFolder(folder);
  reportListing(folder, listing, options);
  return await openListing(name, folder, listing, options);
}

/**
 * Opens listed files, in the order of the list.
 *
 * @param root the folder to which their paths are relative
 * @throws DataError when none is usable, or with `strict` one is not
 */
export async function openListing(
  name: string,
  root: string,
  listing: FolderListing,
  options: SourceOptions,
): Promise<ImageSource> {
  const source = new FolderSource(name, root, listing, options);
  try {
    if (options.preload ?? true) await source.preload();
  } catch (error) {
    source.release();
    throw error;
  }
  return source;
}
