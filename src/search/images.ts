/** The images that candidates are compared on, in equal batches. */
import type { Config } from "../config/schema.ts";
import { type ImageSource, openSource, type TensorSource } from "../data/source.ts";
import { splitHeldOut } from "../data/split.ts";
import { openViews } from "../data/views.ts";
import { DataError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { purpose, Random } from "../random.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Which images to compare on. */
export interface ImageRequest {
  /** Data specification; undefined for the images that the run was trained on, without those held out. */
  readonly source: string | undefined;
  /** Number of images; all where the source has fewer. */
  readonly images: number;
  /** Chooses the images. */
  readonly seed: number;
  /** Something the user should know. */
  onWarning(message: string): void;
}

/** Opened images; close them when done. */
export interface SearchImages {
  /** The specification that they come from. */
  readonly source: string;
  /** Number of images. */
  readonly count: number;
  /**
   * Some of the images, normalised, [end - first, 3, H, W]; the caller releases them. Uploads.
   *
   * @param first number of an image, from 0
   */
  load(first: number, end: number): Promise<Tensor>;
  close(): void;
}

/**
 * Opens a random choice of images, the same for the same seed.
 *
 * @throws {ConfigurationError} for a specification that cannot be used
 * @throws {DataError} for images that cannot be read, or ready-made ones of another size than the network's
 */
export async function openSearchImages(
  gpu: Gpu,
  config: Config,
  request: ImageRequest,
): Promise<SearchImages> {
  const { data, training } = config;
  const spec = request.source ?? data.source;
  const source = await openSource(spec, {
    imageSize: data.imageSize,
    seed: training.seed,
    strict: data.strict,
    cacheBytes: data.cacheMegabytes * 2 ** 20,
    // Most of a large set is never looked at.
    preload: false,
    onWarning: request.onWarning,
  });
  try {
    await checkSize(spec, source, data.imageSize, request.onWarning);
    const heldOut = request.source === undefined && data.test === null ? data.heldOut : 0;
    const { train } = splitHeldOut(source.length, heldOut, training.seed);
    const chosen = new Random(request.seed, purpose.candidates, 1).permutation(train.length)
      .slice(0, request.images).map((at) => train[at]).sort();
    const views = await openViews(gpu, source, {
      imageSize: data.imageSize,
      mean: data.mean,
      std: data.std,
      augmentation: "none",
      seed: training.seed,
      pool: train,
      residentBytes: 0,
    });
    return {
      source: spec,
      count: chosen.length,
      load: async (first, end) => (await views.evaluationBatch(chosen.subarray(first, end))).images,
      close() {
        views.close();
        source.close();
      },
    };
  } catch (error) {
    source.close();
    throw error;
  }
}

/** Ready-made inputs must have the network's size; others are scaled to it, and small ones gain nothing by that. */
async function checkSize(
  spec: string,
  source: ImageSource | TensorSource,
  imageSize: number,
  onWarning: (message: string) => void,
): Promise<void> {
  if (source.kind === "tensor") {
    if (source.height === imageSize && source.width === imageSize) return;
    throw new DataError(
      `${spec} has images of ${source.height} x ${source.width} pixels; the run's are ${imageSize} x ${imageSize} ` +
        `(data.imageSize). Give images of that size with --data.`,
    );
  }
  const [first] = await source.load([0]);
  if (!first || Math.min(first.width, first.height) >= imageSize) return;
  onWarning(
    `${spec} has images of ${first.width} x ${first.height} pixels; the run's are ${imageSize} x ${imageSize} ` +
      `(data.imageSize). They are enlarged, and the ranking is one for enlarged images.`,
  );
}

/** Bounds of equal batches: [first, end) of each. They differ by one image at most. */
export function batchBounds(images: number, batch: number): [first: number, end: number][] {
  const batches = Math.max(1, Math.ceil(images / batch));
  return Array.from({ length: batches }, (_, index) => [
    Math.floor(index * images / batches),
    Math.floor((index + 1) * images / batches),
  ]);
}
