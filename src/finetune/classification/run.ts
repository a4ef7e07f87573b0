/** Trains a classifier, one linear layer over the pooled features, and the network with it. */
import type { DataSource } from "../../config/data_source.ts";
import { confusionMatrix } from "../../evaluate/classification.ts";
import { expectFiniteFeatures } from "../../evaluate/linear.ts";
import { labelledFeatures, recalibrateOn } from "../../extract/labelled_images.ts";
import { backboneValues, type PlainModel } from "../../extract/model.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { Statistics } from "../../nn/weights.ts";
import type { KnnImages } from "../../pretrain/run_data.ts";
import type { ClassMetrics } from "../../store/metrics.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { Sgd } from "../../train/optimizer.ts";
import { TrainingState } from "../../train/state.ts";
import { Supervised } from "../../train/supervised/supervised.ts";
import type { FineTuneConfig } from "../config.ts";
import { type KeptTraining, takeUpTraining } from "../kept.ts";
import { classOfRow } from "../predictions.ts";
import { trainAndTest, type TrainingHooks } from "../training.ts";
import { openTrainingViews } from "../training_images.ts";

/** Training images, at most, that batchnorm statistics are taken from before a test. */
export const calibrationImages = 2048;

/** Images with classes, to train and to test on. */
export interface ClassifiedImages extends KnnImages {
  /** Specification of those that are trained on. */
  readonly data: DataSource;
  /** Of synthetic images. */
  readonly dataSeed: number;
  /** Names in the order of labels. */
  readonly classes: readonly string[];
}

/** What is trained on what. */
export interface ClassificationRequest {
  /** The backbone; its classifier, if it has one, is left out. */
  readonly model: PlainModel;
  readonly config: FineTuneConfig;
  readonly images: ClassifiedImages;
  readonly kept: KeptTraining;
  onWarning(text: string): void;
}

/** What a test finds, one entry a test image. */
export interface ClassificationMetrics {
  /** 0 to 1. */
  readonly accuracy: number;
  /** Numbers of the images in their source. */
  readonly indices: readonly number[];
  readonly labels: Int32Array;
  readonly predictions: Int32Array;
  /** Probability of the prediction, 0 to 1. */
  readonly confidences: Float64Array;
  /** Counts, [actual][predicted]. */
  readonly confusion: readonly (readonly number[])[];
}

/** A trained classifier; the caller releases objective and statistics. */
export interface TrainedClassifier {
  readonly objective: Supervised;
  /** Of batchnorm, taken anew from training images without their labels. */
  readonly statistics: Statistics;
  readonly metrics: ClassificationMetrics;
  readonly steps: number;
}

/**
 * Trains, goes on where a kept training stopped, and tests.
 *
 * @returns undefined when it was interrupted; what was done is kept
 * @throws {TrainingError} when it diverges; what was kept is removed then
 */
export async function trainClassification(
  gpu: Gpu,
  { model, config, images: { bank, queries, data, dataSeed, classes }, kept, onWarning }:
    ClassificationRequest,
  hooks: TrainingHooks<ClassMetrics>,
): Promise<TrainedClassifier | undefined> {
  const { seed } = config.training;
  const { max } = model.network.space;
  await using cleanup = new AsyncDisposableStack();
  const objective = new Supervised(gpu, model.network, { classes: classes.length, seed });
  let done = false, statistics: Statistics | undefined;
  cleanup.defer(() => {
    if (done) return;
    objective.release();
    statistics?.release();
  });
  const training = await openTrainingViews(gpu, {
    ...{ data, input: model.input, dataSeed, seed, pool: bank.indices, onWarning },
  });
  cleanup.defer(() => training.release());
  const { optimizer } = config;
  const groups = [{ match: "^fc\\.", learningRateFactor: optimizer.headFactor, frozen: false }];
  const update = cleanup.use(new Sgd(gpu, objective.encoder.weights, "encoder", { ...optimizer, groups }));
  const state = new TrainingState(objective, update);
  if (!await takeUpTraining(kept, state)) {
    await objective.initialise(backboneValues(model));
    state.restart();
  }
  const trained = await trainAndTest<ClassMetrics, ClassificationMetrics>({
    ...{ state, config, model, kept, images: bank.indices, views: training.views },
    given: (batch) => ({
      labels: Tensor.from(gpu, Uint32Array.from(batch, (index) => bank.labels[training.shown(index)])),
    }),
    async test() {
      hooks.signal.throwIfAborted();
      statistics?.release();
      statistics = await recalibrateOn(objective.encoder, max, bank, calibrationImages, seed);
      const logits = await labelledFeatures(objective.encoder, max, statistics, queries, "projection");
      expectFiniteFeatures(logits);
      const rows = Array.from({ length: logits.rows }, (_, row) => classOfRow(logits, row));
      const predictions = Int32Array.from(rows, ({ label }) => label);
      const { labels, indices } = logits;
      const right = predictions.reduce((sum, label, row) => sum + Number(label === labels[row]), 0);
      return {
        accuracy: right / labels.length,
        indices,
        labels,
        predictions,
        confidences: Float64Array.from(rows, ({ probability }) => probability),
        confusion: confusionMatrix(labels, predictions, classes.length),
      };
    },
    summary: ({ accuracy }) => ({ accuracy }),
  }, hooks);
  done = trained !== undefined;
  return trained && { objective, statistics: statistics!, ...trained };
}
