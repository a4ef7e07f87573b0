import { DataError } from "../errors.ts";
import { ImageCache } from "./cache.ts";
import { DecodePool } from "./decode_pool.ts";
import { trimSlashes } from "./path.ts";
import { type FolderListing, scanFolder } from "./scan.ts";
import { type DecodedImage, defaultCacheBytes, type ImageSource, type SkippedFile } from "./source.ts";
import type { SourceOptions } from "./source.ts";

/** Files that are decoded between two looks at the cache's limit and two calls of `onProgress`. */
const filesPerRound = 64;

/**
 * Length of the shorter side that a decoded image is shrunk to: the usual evaluation resize (256 for a crop of 224),
 * so that training, evaluation and search can all work from the same cached pixels.
 */
function storedSide(imageSize: number): number {
  return Math.round(imageSize * 256 / 224);
}

class FolderSource implements ImageSource {
  readonly kind = "images";
  readonly name: string;
  readonly classes: readonly string[] | undefined;
  readonly skipped: SkippedFile[] = [];
  labels: Int32Array | undefined;
  readonly #root: string;
  readonly #options: SourceOptions;
  readonly #pool: DecodePool;
  readonly #cache: ImageCache;
  readonly #broken = new Set<number>();
  readonly #paths: readonly string[];
  /** File number of each index; the cache, the broken files and the paths go by file number. */
  #files: Uint32Array;

  constructor(name: string, root: string, listing: FolderListing, options: SourceOptions) {
    this.name = name;
    this.#root = root;
    this.#options = options;
    this.#paths = listing.paths;
    this.classes = listing.classes;
    this.labels = listing.labels;
    this.#files = Uint32Array.from(listing.paths, (_, index) => index);
    const cores = navigator.hardwareConcurrency || 1;
    this.#pool = new DecodePool(options.workers ?? Math.min(4, cores), storedSide(options.imageSize));
    this.#cache = new ImageCache(options.cacheBytes ?? defaultCacheBytes);
  }

  get length(): number {
    return this.#files.length;
  }

  load(indices: readonly number[]): Promise<(DecodedImage | undefined)[]> {
    return this.#loadFiles(indices.map((index) => this.#files[index]));
  }

  close(): void {
    this.#pool.close();
    this.#cache.clear();
  }

  /**
   * Decodes files in order until all are decoded or one does not fit the cache, then drops the broken ones from the
   * set. The order makes the outcome depend on files and limit only, not on which Worker was faster.
   */
  async preload(): Promise<void> {
    const total = this.#files.length;
    for (let start = 0; start < total; start += filesPerRound) {
      const round = Array.from(this.#files.subarray(start, start + filesPerRound));
      await this.#loadFiles(round);
      this.#options.onProgress?.(Math.min(start + filesPerRound, total), total);
      if (round.some((file) => !this.#broken.has(file) && !this.#cache.get(file))) break;
    }
    if (this.#broken.size === 0) return;
    const labels = this.labels;
    this.#files = this.#files.filter((file) => !this.#broken.has(file));
    if (labels) this.labels = Int32Array.from(this.#files, (file) => labels[file]);
    if (this.#files.length === 0) {
      const { path, reason } = this.skipped[0];
      throw new DataError(
        `all ${total} images of "${this.#root}" are broken, the first is "${path}": ${reason}`,
      );
    }
  }

  async #loadFiles(files: readonly number[]): Promise<(DecodedImage | undefined)[]> {
    const wanted = files.filter((file) => !this.#cache.get(file) && !this.#broken.has(file));
    const missing = [...new Set(wanted)];
    const decoded = new Map<number, DecodedImage>();
    if (missing.length > 0) {
      const results = await this.#pool.decode(missing.map((file) => `${this.#root}/${this.#paths[file]}`));
      results.forEach((result, position) => {
        const file = missing[position];
        if ("reason" in result) return this.#reportBroken(file, result.reason);
        decoded.set(file, result.image);
        this.#cache.add(file, result.image);
      });
    }
    return files.map((file) => decoded.get(file) ?? this.#cache.get(file));
  }

  #reportBroken(file: number, reason: string): void {
    if (this.#broken.has(file)) return; // two loads at once may both have asked for it
    const path = `${this.#root}/${this.#paths[file]}`;
    if (this.#options.strict) {
      throw new DataError(
        `image "${path}" is broken: ${reason}; replace or remove it, or run without --strict to skip it`,
      );
    }
    this.#broken.add(file);
    this.skipped.push({ path, reason });
    this.#options.onWarning?.(`skipping broken image "${path}": ${reason}`);
  }
}

/**
 * Opens a folder of JPEG, PNG or WebP files, one folder per class or flat and unlabelled, in codepoint order of the
 * paths. Files are decoded by Workers and cached up to a limit; beyond it they are decoded anew at each load.
 *
 * @throws ConfigurationError when the folder is missing or no folder
 * @throws DataError when it holds no usable image, or a broken one with `strict`
 */
export async function openFolder(name: string, root: string, options: SourceOptions): Promise<ImageSource> {
  const folder = trimSlashes(root);
  const listing = await scanFolder(folder);
  if (listing.stray > 0) {
    options.onWarning?.(
      `"${folder}" has ${listing.stray} image(s) beside its class folders, so it is used without labels; ` +
        `move them into a class folder to have labels`,
    );
  }
  const source = new FolderSource(name, folder, listing, options);
  try {
    if (options.preload ?? true) await source.preload();
  } catch (error) {
    source.close();
    throw error;
  }
  return source;
}
