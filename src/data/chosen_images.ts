/** A random choice of a source's images as they are: what an extraction calibrates with and a search compares on. */
import type { Config } from "../config/schema.ts";
import { DataError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Random } from "../random.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type ImageSource, openSource, type TensorSource } from "./source.ts";
import { splitHeldOut } from "./split.ts";
import { openViews } from "./views.ts";

/** Which images to choose. */
export interface ImageRequest {
  /** Data specification; undefined for the images that the run was trained on, without those held out. */
  readonly source: string | undefined;
  /** Number of images; all where the source has fewer. */
  readonly images: number;
  /** Something the user should know. */
  onWarning(message: string): void;
}

/** Opened images; close them when done. */
export interface ChosenImages {
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
 * Opens a random choice of images.
 *
 * @param random makes the choice; the same generator chooses the same images
 * @param check refuses or warns of a source before any image is chosen
 * @throws {ConfigurationError} for a specification that cannot be used
 * @throws {DataError} for images that cannot be read, or ready-made ones of another size than the network's
 */
export async function openChosenImages(
  gpu: Gpu,
  { data, training }: Config,
  request: ImageRequest,
  random: Random,
  check: (source: ImageSource | TensorSource, spec: string) => void | Promise<void>,
): Promise<ChosenImages> {
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
    await check(source, spec);
    checkTensorSize(source, spec, data.imageSize);
    const heldOut = request.source === undefined && data.test === null ? data.heldOut : 0;
    const { train } = splitHeldOut(source.length, heldOut, training.seed);
    const chosen = random.permutation(train.length).slice(0, request.images).map((at) => train[at]).sort();
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

/** Ready-made inputs must have the network's size; other images are scaled to it. */
function checkTensorSize(source: ImageSource | TensorSource, spec: string, imageSize: number): void {
  if (source.kind !== "tensor" || (source.height === imageSize && source.width === imageSize)) return;
  throw new DataError(
    `${spec} has images of ${source.height} x ${source.width} pixels; the run's are ${imageSize} x ${imageSize} ` +
      `(data.imageSize). Give images of that size with --data.`,
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
