/** A first look at a run's images: how many there are, of which classes, and what one of them takes to decode. */
import { dataSeed } from "../../config/data_seed.ts";
import type { Settings } from "../../config/schema.ts";
import type { SourceOptions } from "../../data/image_set.ts";
import { openSource } from "../../data/source.ts";
import { storedSide } from "../../data/stored_side.ts";
import { median } from "../../median.ts";
import { stopwatch } from "../../train/step_times.ts";

/** What a look tells. */
export interface Look {
  readonly images: number;
  /** Undefined where the images have no labels. */
  readonly classes: number | undefined;
  /** Seconds that one image takes to decode, all workers together; 0 where nothing is decoded. */
  readonly secondsPerImage: number;
  /** Bytes of one image as it is kept for training, on average. */
  readonly bytesPerImage: number;
  /** Median of the images' shorter sides, at most what is decoded of them; undefined where nothing is decoded. */
  readonly shorterSide: number | undefined;
}

/** Images that are decoded, from all over the set, and how many of them come before the clock runs. */
const sampled = 24, unmeasured = 4;

/**
 * Lists the images and decodes a few.
 *
 * @param workers threads that decode
 * @throws {ConfigurationError} for a specification that cannot be used
 * @throws {DataError} for images that cannot be read
 */
export async function lookAtImages(
  settings: Settings,
  workers: number,
  hooks: Pick<SourceOptions, "onWarning">,
): Promise<Look> {
  const { data, augmentation } = settings;
  const use = augmentation === "none" ? "evaluation" : "training";
  const source = await openSource(data.source, {
    imageSize: data.imageSize,
    storedSide: storedSide(settings),
    seed: dataSeed(settings),
    strict: data.strict,
    preload: false,
    cacheBytes: 0,
    workers,
    ...hooks,
  });
  try {
    const { length: images, labels } = source;
    const classes = labels && (source.classes?.length ?? new Set(labels).size);
    const nothing = {
      images,
      classes,
      secondsPerImage: 0,
      bytesPerImage: 4 * data.imageSize ** 2,
      shorterSide: undefined,
    };
    // What cannot be broken is not decoded.
    if (source.kind !== "images" || !source.broken) return nothing;
    const step = Math.max(1, Math.floor(images / sampled));
    const some = Array.from({ length: Math.min(sampled, images) }, (_, at) => at * step);
    const warm = Math.min(unmeasured, Math.floor(some.length / 2));
    const first = await source.load(some.slice(0, warm), use);
    const seconds = stopwatch();
    const timed = some.slice(warm);
    const rest = await source.load(timed, use);
    const secondsPerImage = seconds() / timed.length;
    const decoded = [...first, ...rest].filter((image) => image !== undefined);
    if (decoded.length === 0) return nothing;
    const bytes = decoded.reduce((sum, { pixels }) => sum + pixels.byteLength, 0);
    return {
      images,
      classes,
      secondsPerImage,
      bytesPerImage: Math.round(bytes / decoded.length),
      shorterSide: median(decoded.map(({ width, height }) => Math.min(width, height))),
    };
  } finally {
    source.release();
  }
}
