/** A random choice of a source's images as they are: what an extraction calibrates with and a search compares on. */
import { type DataSource, sourceName } from "../config/data_source.ts";
import { dataSeed } from "../config/data_seed.ts";
import type { Config } from "../config/schema.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Random } from "../random.ts";
import { type DataRecord, digestText, type ImageList } from "../store/data_record.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { openSource } from "./source.ts";
import type { ImageSource, TensorSource } from "./image_set.ts";
import { listFiles, listImages } from "./manifest.ts";
import { isSameSet, sharesPart } from "./same_set.ts";
import { trainedOn } from "./split.ts";
import { expectTensorSize } from "./tensor_file.ts";
import { openViews } from "./views.ts";

/** Which images to choose. */
export interface ImageRequest {
  /** Data specification; undefined for the images that the run was trained on, without those held out. */
  readonly source: DataSource | undefined;
  /** Number of images; all where the source has fewer. */
  readonly images: number;
  /** Sides that they are shown with; the configuration's where it is not given. */
  readonly imageSize?: number;
  /** The run's record of its images; undefined for a run of a version that kept none. */
  readonly record: DataRecord | undefined;
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
  /** Digest of which images these are, and of their contents. */
  digest(): Promise<string>;
  release(): void;
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
  config: Config,
  request: ImageRequest,
  random: Random,
  check: (source: ImageSource | TensorSource, spec: string) => void | Promise<void>,
): Promise<ChosenImages> {
  const { data, training } = config;
  const wanted = request.source ?? data.source;
  const imageSize = request.imageSize ?? data.imageSize;
  const spec = sourceName(wanted);
  const source = await openSource(wanted, {
    imageSize: data.imageSize,
    seed: dataSeed(config),
    strict: data.strict,
    cacheBytes: data.cacheMegabytes * 2 ** 20,
    workers: data.workers,
    // Most of a large set is never looked at.
    preload: false,
    onWarning: request.onWarning,
  });
  try {
    await check(source, spec);
    expectTensorSize(source, imageSize, () => "Give images of that size with --data.");
    const { images: train, list } = await choosable(config, request, source);
    const chosen = random.permutation(train.length).slice(0, request.images).map((at) => train[at]).sort();
    const views = await openViews(gpu, source, {
      imageSize,
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
      digest: () => digestChosen(source, chosen, list),
      release() {
        views.release();
        source.release();
      },
    };
  } catch (error) {
    source.release();
    throw error;
  }
}

/**
 * The images that may be chosen, ascending: all of a set of its own, and of the run's own set only what it was trained on,
 * also where the set is named.
 */
async function choosable(
  config: Config,
  { source: spec, record, onWarning }: ImageRequest,
  source: ImageSource | TensorSource,
): Promise<{ images: Uint32Array; list: ImageList | undefined }> {
  const own = config.data.source;
  if (spec !== undefined && !await isSameSet(spec, own)) {
    if (record && await sharesPart(spec, own)) return await withoutHeldOut(source, record);
    return { images: Uint32Array.from({ length: source.length }, (_, index) => index), list: undefined };
  }
  const list = await listImages(source, record?.list);
  return { images: trainedOn(config, source, record, list, onWarning), list };
}

/** Of a set that shares a part with the run's: all images but those with the contents of one that is held out. */
async function withoutHeldOut(
  source: ImageSource | TensorSource,
  { list: { files }, heldOut }: DataRecord,
): Promise<{ images: Uint32Array; list: ImageList }> {
  const list = await listImages(source);
  const contents = new Set(heldOut.map((index) => files[index]?.digest ?? null));
  const kept = list.files.flatMap(({ digest }, index) =>
    digest !== null && contents.has(digest) ? [] : [index]
  );
  return { images: Uint32Array.from(kept), list };
}

/** @param list the set's files, where they are listed already */
async function digestChosen(
  source: ImageSource | TensorSource,
  chosen: Uint32Array,
  list: ImageList | undefined,
): Promise<string> {
  const { origin } = source;
  const indices = Array.from(chosen);
  if (origin?.kind !== "images") {
    return await digestText(JSON.stringify([(list ?? await listImages(source)).digest, indices]));
  }
  const files = list
    ? indices.map((index) => list.files[index])
    : await listFiles(origin.root, indices.map((index) => origin.paths[index]));
  return await digestText(JSON.stringify(files.map(({ path, bytes, digest }) => [path, bytes, digest])));
}

/** Bounds of equal batches: [first, end) of each. They differ by one image at most. */
export function batchBounds(images: number, batch: number): [first: number, end: number][] {
  const batches = Math.max(1, Math.ceil(images / batch));
  return Array.from({ length: batches }, (_, index) => [
    Math.floor(index * images / batches),
    Math.floor((index + 1) * images / batches),
  ]);
}
