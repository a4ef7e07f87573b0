/** The images of a run: what is trained on, and the labelled images that kNN looks at. */
import { checkAgainstData } from "../config/checks.ts";
import type { DataSource } from "../config/data_source.ts";
import { dataSeed } from "../config/data_seed.ts";
import type { Config } from "../config/schema.ts";
import { openSource } from "../data/source.ts";
import type { ImageSource, ImageUse, SourceOptions, TensorSource } from "../data/image_set.ts";
import { expectUnchanged, recordSet } from "../data/run_record.ts";
import { acceptedSplit, heldOutCount, recordedSplit, splitImages, type UsableSplit } from "../data/split.ts";
import { storedSide } from "../data/stored_side.ts";
import { expectTensorSize } from "../data/tensor_file.ts";
import { openViews } from "../data/views.ts";
import type { ViewMaker } from "../data/view_maker.ts";
import { ConfigurationError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { DataRecord, RecordedSet } from "../store/data_record.ts";
import { chooseImages, type WatchedImages } from "./watched_features.ts";

/** Labelled images for kNN: those that vote, and those that are classified. */
export interface KnnImages {
  readonly bank: LabelledImages;
  readonly queries: LabelledImages;
}

/** Some images of a source, with the class of every image of the source. */
export interface LabelledImages extends WatchedImages {
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
  /** Training images that the run is watched by; absent when the configuration wants no evaluation. */
  readonly bank: WatchedImages | undefined;
  /** What the run's folder keeps of this. */
  readonly record: Omit<DataRecord, "accepted">;
  /** What it kept until now; undefined for a new run, and one of a version that kept nothing. */
  readonly earlier: DataRecord | undefined;
  /** How the images differ from those that the run had until now, in words; undefined where they do not. */
  readonly change: string | undefined;
  release(): void;
}

/** What a run that goes on had until now. */
export interface EarlierData {
  /** Its record; undefined for a run of a version that kept none. */
  readonly record: DataRecord | undefined;
  /** Whether changed images are accepted instead of refused. */
  readonly acceptChanges: boolean;
  /** What the user can do where they are refused, beside restoring them; without, go on with the run and accept them. */
  readonly remedy?: string;
}

/**
 * Opens source and test source of a configuration and splits them.
 *
 * @param hooks progress of decoding, and warnings
 * @param earlier for a run that goes on: it keeps its split, and its images must be what they were
 * @throws {DataError} for images that have changed, unless changes are accepted
 */
export async function openRunData(
  gpu: Gpu,
  config: Config,
  hooks: Pick<SourceOptions, "onProgress" | "onWarning">,
  earlier?: EarlierData,
): Promise<RunData> {
  const { data, knn, training, augmentation } = config;
  const { seed } = training;
  const open = async (spec: DataSource, close: (() => void)[], use: ImageUse) => {
    const source = await openSource(spec, {
      imageSize: data.imageSize,
      storedSide: storedSide(config),
      use,
      seed: dataSeed(config),
      strict: data.strict,
      cacheBytes: data.cacheMegabytes * 2 ** 20,
      workers: data.workers,
      ...hooks,
    });
    close.push(() => source.release());
    expectTensorSize(
      source,
      data.imageSize,
      (height, width) =>
        height === width
          ? `Set the field (--set data.imageSize=${height}), or give images of its size.`
          : "Give square images.",
    );
    return source;
  };
  const settings = { imageSize: data.imageSize, mean: data.mean, std: data.std, augmentation, seed };
  const closers: (() => void)[] = [];
  const closeAll = () => closers.reverse().forEach((close) => close());
  try {
    const source = await open(data.source, closers, augmentation === "none" ? "evaluation" : "training");
    const set = await recordSet(source, earlier?.record);
    const change = expectUnchanged(
      "data.source",
      set,
      earlier?.record,
      earlier?.acceptChanges,
      earlier?.remedy,
    );
    const split = chooseSplit(config, source, set, earlier?.record, change);
    checkAgainstData(config, split.train.length);
    if (
      earlier?.record && split.heldOut.length === 0 && heldOutCount(config, source.labels !== undefined) > 0
    ) {
      hooks.onWarning?.("No kNN: the run began without holding images out, and goes on so.");
    }
    const views = await openViews(gpu, source, { ...settings, pool: split.train });
    closers.push(() => views.release());

    const watched = knn.every > 0 && source.labels !== undefined;
    let queries: LabelledImages | undefined;
    let testSet: RecordedSet | undefined;
    let testChange: string | undefined;
    if (watched && data.test !== null) {
      const test = await open(data.test, closers, "evaluation");
      const known = earlier?.record?.test ?? undefined;
      testSet = await recordSet(test, known);
      testChange = expectUnchanged("data.test", testSet, known, earlier?.acceptChanges, earlier?.remedy);
      const testViews = await openViews(gpu, test, { ...settings, augmentation: "none" });
      closers.push(() => testViews.release());
      const indices = Uint32Array.from({ length: test.length }, (_, index) => index)
        .filter((index) => !test.broken?.has(index));
      queries = { source: test, views: testViews, indices, labels: testLabels(source, test) };
    } else if (watched && split.heldOut.length > 0) {
      queries = { source, views, indices: split.heldOut, labels: source.labels! };
    }
    const bank = {
      source,
      views,
      indices: chooseImages(split.train, knn.bank, dataSeed(config)),
      labels: source.labels,
    };
    const changes = [change, testChange && `data.test: ${testChange}`].filter((text) => text !== undefined);
    return {
      source,
      views,
      train: split.train,
      knn: queries && { queries, bank: { ...bank, labels: source.labels! } },
      bank: knn.every > 0 ? bank : undefined,
      record: { ...set, heldOut: Array.from(split.reserved), test: testSet ?? null },
      earlier: earlier?.record,
      change: changes.length > 0 ? changes.join("; ") : undefined,
      release: closeAll,
    };
  } catch (error) {
    closeAll();
    throw error;
  }
}

function chooseSplit(
  config: Config,
  source: ImageSource | TensorSource,
  { list }: RecordedSet,
  record: DataRecord | undefined,
  change: string | undefined,
): UsableSplit {
  if (!record) return splitImages(config, source);
  return change === undefined ? recordedSplit(record) : acceptedSplit(config, source, record, list);
}

/**
 * Labels of the test set in the training set's numbers; folders are matched by their names.
 *
 * @param named the field or flag that gives the test set, for messages
 */
export function testLabels(
  train: ImageSource | TensorSource,
  test: ImageSource | TensorSource,
  named = "data.test",
): Int32Array {
  if (!test.labels) {
    throw new ConfigurationError(
      `${named} (${test.name}) has no labels, so nothing can be tested on it. Use a labelled set${
        named === "data.test" ? " or null" : ""
      }.`,
    );
  }
  if (!train.classes || !test.classes) return test.labels;
  const numbers = test.classes.map((name) => train.classes!.indexOf(name));
  const unknown = test.classes.find((_, index) => numbers[index] < 0);
  if (unknown !== undefined) {
    throw new ConfigurationError(
      `${named} (${test.name}) has the class "${unknown}", which ${train.name} has not; it has ` +
        `${train.classes.join(", ")}.`,
    );
  }
  return test.labels.map((label) => numbers[label]);
}
