/** Labelled images of two specifications, to train a classifier with and to test it on, and what networks make of them. */
import type { DataSource } from "../config/data_source.ts";
import { openSource } from "../data/source.ts";
import { expectTensorSize } from "../data/tensor_file.ts";
import { openViews } from "../data/views.ts";
import { ConfigurationError } from "../errors.ts";
import { evaluationBatchSize } from "../evaluate/batch_size.ts";
import { recalibrate } from "../evaluate/calibrate.ts";
import { collectRows, extractFeatures, type FeatureKind, type FeatureMatrix } from "../evaluate/features.ts";
import type { LabelledFeatures } from "../evaluate/knn.ts";
import { pixelBlock, shrinkPixels } from "../evaluate/pixels.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Encoder } from "../nn/encoder.ts";
import type { Statistics } from "../nn/weights.ts";
import { type KnnImages, type LabelledImages, testLabels } from "../pretrain/run_data.ts";
import { chooseImages, evaluationBatches, mixed } from "../pretrain/watched_features.ts";
import type { Architecture } from "../elastic/architecture.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ModelInput } from "./model.ts";

/** Which images, and how they are read. */
export interface LabelledRequest {
  /** Specification of the images that train a classifier, and of those that test it. */
  readonly data: DataSource;
  readonly testData: DataSource;
  readonly input: ModelInput;
  /** Seed of synthetic images to train on; those to test on have {@linkcode testSeed}. */
  readonly seed: number;
  onWarning(message: string): void;
}

/** The seed of synthetic images to test on: far from that of those to train on, so that none is in both. */
export function testSeed(seed: number): number {
  return (seed + 2 ** 31) % 2 ** 32;
}

/**
 * Opens both sets; classes of folders are matched by their names.
 *
 * @throws {ConfigurationError} for a specification that cannot be used, a set without labels, or a class of the test set
 * that the other has not
 * @throws {DataError} for images that cannot be read
 */
export async function openLabelledImages(
  gpu: Gpu,
  { data, testData, input, seed, onWarning }: LabelledRequest,
): Promise<KnnImages & { release(): void }> {
  const opened: { release(): void }[] = [];
  const release = () => opened.reverse().forEach((one) => one.release());
  const open = async (flag: string, spec: DataSource, seed: number) => {
    const source = await openSource(spec, { imageSize: input.imageSize, seed, onWarning });
    opened.push(source);
    expectTensorSize(source, input.imageSize, () => `Give ${flag} of that size.`);
    const views = await openViews(gpu, source, { ...input, augmentation: "none", seed });
    opened.push(views);
    const all = Uint32Array.from({ length: source.length }, (_, index) => index);
    return { source, views, indices: all.filter((index) => !source.broken?.has(index)) };
  };
  try {
    const bank = await open("--data", data, seed);
    const { labels } = bank.source;
    if (!labels) {
      throw new ConfigurationError(`${bank.source.name} has no labels. Give images in one folder per class.`);
    }
    const queries = await open("--test-data", testData, testSeed(seed));
    return {
      bank: { ...bank, labels },
      queries: { ...queries, labels: testLabels(bank.source, queries.source, "--test-data") },
      release,
    };
  } catch (error) {
    release();
    throw error;
  }
}

/** Features with their labels, and the number of each row's image in its source. */
export interface LabelledImageFeatures extends LabelledFeatures {
  readonly indices: readonly number[];
}

async function labelledRows(
  { views, indices, labels }: LabelledImages,
  batch: number,
  toFeatures: (batches: AsyncIterable<Tensor>) => Promise<FeatureMatrix>,
): Promise<LabelledImageFeatures> {
  const used: number[] = [];
  const features = await toFeatures(evaluationBatches(views, indices, batch, used));
  return { ...features, labels: Int32Array.from(used, (index) => labels[index]), indices: used };
}

/** Batchnorm statistics of a subnet from at most `count` of the images; the caller releases them. */
export async function recalibrateOn(
  encoder: Encoder,
  architecture: Architecture,
  { views, indices }: LabelledImages,
  count: number,
  seed: number,
): Promise<Statistics> {
  const batch = evaluationBatchSize(encoder.weights.gpu, encoder.network, architecture, views.height);
  const chosen = mixed(chooseImages(indices, count, seed), batch);
  return await recalibrate(encoder, architecture, evaluationBatches(views, chosen, batch));
}

/** Features of all the images, with their labels. */
export async function labelledFeatures(
  encoder: Encoder,
  architecture: Architecture,
  statistics: Statistics,
  images: LabelledImages,
  kind: FeatureKind = "pooled",
): Promise<LabelledImageFeatures> {
  const batch = evaluationBatchSize(encoder.weights.gpu, encoder.network, architecture, images.views.height);
  return await labelledRows(
    images,
    batch,
    (batches) => extractFeatures(encoder, architecture, kind, batches, statistics),
  );
}

/** The images themselves as features, large ones shrunk: what a network has to be better than. */
export async function labelledPixels(images: LabelledImages): Promise<LabelledImageFeatures> {
  const { height, width } = images.views;
  const block = pixelBlock(height, width);
  return await labelledRows(
    images,
    256,
    (batches) =>
      collectRows(batches, async (tensor) => shrinkPixels(await tensor.read(), height, width, block)),
  );
}
