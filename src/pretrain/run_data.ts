/** The images of a run: what is trained on, and the labelled images that kNN looks at. */
import { checkAgainstData } from "../config/checks.ts";
import type { Config } from "../config/schema.ts";
import { type ImageSource, openSource, type SourceOptions, type TensorSource } from "../data/source.ts";
import { splitHeldOut } from "../data/split.ts";
import { openViews, type ViewMaker } from "../data/views.ts";
import { ConfigurationError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { purpose, Random } from "../random.ts";

/** Labelled images for kNN: those that vote, and those that are classified. */
export interface KnnImages {
  readonly bank: LabelledImages;
  readonly queries: LabelledImages;
}

/** Some images of a source, with the class of every image of the source. */
export interface LabelledImages {
  readonly views: ViewMaker;
  readonly indices: Uint32Array;
  readonly labels: Int32Array;
}

/** Opened images of a run; close them when done. */
export interface RunData {
  readonly source: ImageSource | TensorSource;
  readonly views: ViewMaker;
  /** Indices of the images that are trained on, ascending. */
  readonly train: Uint32Array;
  /** Absent when there are no labels, nothing is held out, or the configuration wants no kNN. */
  readonly knn: KnnImages | undefined;
  close(): void;
}

/**
 * Opens source and test source of a configuration and splits them.
 *
 * @param hooks progress of decoding, and warnings
 */
export async function openRunData(
  gpu: Gpu,
  config: Config,
  hooks: Pick<SourceOptions, "onProgress" | "onWarning">,
): Promise<RunData> {
  const { data, knn, training, augmentation } = config;
  const { seed } = training;
  const open = (spec: string) =>
    openSource(spec, {
      imageSize: data.imageSize,
      seed,
      strict: data.strict,
      cacheBytes: data.cacheMegabytes * 2 ** 20,
      ...hooks,
    });
  const settings = { imageSize: data.imageSize, mean: data.mean, std: data.std, augmentation, seed };
  const closers: (() => void)[] = [];
  const closeAll = () => closers.reverse().forEach((close) => close());
  try {
    const source = await open(data.source);
    closers.push(() => source.close());
    const watched = knn.every > 0 && source.labels !== undefined;
    const split = splitHeldOut(source.length, watched && data.test === null ? data.heldOut : 0, seed);
    checkAgainstData(config, split.train.length);
    const views = await openViews(gpu, source, { ...settings, pool: split.train });
    closers.push(() => views.close());

    let queries: LabelledImages | undefined;
    if (watched && data.test !== null) {
      const test = await open(data.test);
      closers.push(() => test.close());
      const testViews = await openViews(gpu, test, settings);
      closers.push(() => testViews.close());
      const indices = Uint32Array.from({ length: test.length }, (_, index) => index);
      queries = { views: testViews, indices, labels: testLabels(source, test) };
    } else if (watched && split.heldOut.length > 0) {
      queries = { views, indices: split.heldOut, labels: source.labels! };
    }
    return {
      source,
      views,
      train: split.train,
      knn: queries && {
        queries,
        bank: { views, indices: chooseImages(split.train, knn.bank, seed), labels: source.labels! },
      },
      close: closeAll,
    };
  } catch (error) {
    closeAll();
    throw error;
  }
}

/** At most `count` of the images, the same for the same seed, ascending. */
export function chooseImages(images: Uint32Array, count: number, seed: number): Uint32Array {
  if (images.length <= count) return images;
  return new Random(seed, purpose.heldOut, 1).permutation(images.length).slice(0, count).map((at) =>
    images[at]
  ).sort();
}

/** Labels of the test set in the training set's numbers; folders are matched by their names. */
function testLabels(train: ImageSource | TensorSource, test: ImageSource | TensorSource): Int32Array {
  if (!test.labels) {
    throw new ConfigurationError(
      `data.test (${test.name}) has no labels, so kNN cannot use it. Use a labelled set or null.`,
    );
  }
  if (!train.classes || !test.classes) return test.labels;
  const numbers = test.classes.map((name) => train.classes!.indexOf(name));
  const unknown = test.classes.find((_, index) => numbers[index] < 0);
  if (unknown !== undefined) {
    throw new ConfigurationError(
      `data.test (${test.name}) has the class "${unknown}", which ${train.name} has not; it has ` +
        `${train.classes.join(", ")}.`,
    );
  }
  return test.labels.map((label) => numbers[label]);
}
