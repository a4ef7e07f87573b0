/** A segmentation from a backbone to its measures: trained, kept while it lasts, tested. */
import { DenseViews } from "../../data/dense/dense_views.ts";
import { usualColours } from "../../data/dense/draw.ts";
import type { SegmentationSource } from "../../data/dense/target.ts";
import { DataError, TrainingError } from "../../errors.ts";
import type { SegmentationMetrics } from "../../evaluate/segmentation.ts";
import type { PlainModel } from "../../extract/model.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { GivenValues } from "../../nn/encoder.ts";
import type { PixelMetrics, StepMetrics } from "../../store/metrics.ts";
import { removeFile } from "../../store/remove_file.ts";
import { LossSums } from "../../train/loss_sums.ts";
import type { NamedSource } from "../../train/objective.ts";
import { Sgd } from "../../train/optimizer.ts";
import { Segmentation } from "../../train/segmentation/segmentation.ts";
import { Trainer, type TrainingPlan, type TrainingState } from "../../train/trainer.ts";
import type { FineTuneConfig } from "../config.ts";
import { keepTraining, type KeptTraining, takeUpTraining } from "../kept.ts";
import { LabelledCrops } from "./batches.ts";
import { evaluateSegmentation, type OnPrediction } from "./evaluate.ts";
import { type SegmentationHead, segmentationHead, withOutputStride } from "./network.ts";

/** What is trained on what. */
export interface SegmentationRequest {
  /** The backbone; its classifier, if it has one, is left out. */
  readonly model: PlainModel;
  readonly head: SegmentationHead;
  readonly config: FineTuneConfig;
  readonly train: SegmentationSource;
  readonly test: SegmentationSource;
  readonly kept: KeptTraining;
}

/** What a segmentation tells. */
export interface SegmentationHooks {
  readonly signal: AbortSignal;
  /** Training begins or goes on; lines of metrics beyond the step are of no use. */
  onStart(started: { step: number; totalSteps: number }): Promise<void>;
  /** Whether the lines that were kept hold the evaluation of a step. */
  evaluated(step: number): Promise<boolean>;
  onSteps(done: { step: number; loss: number; imagesPerSecond: number }): void;
  onPart?(done: number): void;
  onEvaluation(line: PixelMetrics): void;
  /** Keeps lines of metrics. */
  append(...lines: readonly (StepMetrics | PixelMetrics)[]): Promise<void>;
  /** Predictions of the test images, at the end. */
  onPrediction?: OnPrediction;
}

/** A segmentation that was trained; the caller releases its objective. */
export interface TrainedSegmentation {
  readonly objective: Segmentation;
  readonly metrics: SegmentationMetrics;
  readonly steps: number;
}

/** Objective and optimiser on the device. */
class SegmentationState implements TrainingState {
  readonly losses: LossSums = new LossSums();
  step = 0;
  #stepBefore = 0;

  constructor(readonly objective: Segmentation, readonly optimizer: Sgd) {}

  get sources(): readonly NamedSource[] {
    return [...this.objective.sources, ...this.optimizer.sources];
  }

  beginStep(): void {
    this.#stepBefore = this.step;
    this.objective.beginStep();
  }

  undoStep(): void {
    this.step = this.#stepBefore;
    this.objective.undoStep();
  }
}

function planOf({ training, optimizer }: FineTuneConfig, images: number, model: PlainModel): TrainingPlan {
  const { epochs, batch, seed, logEvery, evaluateEvery } = training;
  const milestones = optimizer.milestones.map((part) => Math.round(part * epochs));
  return {
    epochs,
    batch: Math.min(batch, images),
    lastBatch: "drop",
    seed,
    logEvery,
    checkpointEvery: 0,
    evaluateEvery: evaluateEvery === 0 ? epochs : evaluateEvery,
    schedule: { ...optimizer, milestones },
    passesPerStep: 1,
    passes: () => [{ role: "largest", architecture: model.network.space.max }],
  };
}

/**
 * Trains, goes on where a kept training stopped, and tests.
 *
 * @returns undefined when it was interrupted; what was done is kept
 * @throws {ConfigurationError}, {@linkcode UsageError} for an output stride that the backbone cannot have
 * @throws {DataError} for images of other classes, or labels that cannot be used
 * @throws {TrainingError} when it diverges
 */
export async function trainSegmentation(
  gpu: Gpu,
  { model, head, config, train, test, kept }: SegmentationRequest,
  hooks: SegmentationHooks,
): Promise<TrainedSegmentation | undefined> {
  expectSameClasses(train, test);
  const classes = train.classes.length;
  const { segmentation, optimizer, training: { seed } } = config;
  const network = withOutputStride(model.network, segmentation.outputStride);
  const objective = new Segmentation(gpu, network, segmentationHead(network, head, classes, segmentation), {
    auxiliaryWeight: segmentation.auxiliaryWeight,
    mean: segmentation.mean,
    ignore: 255,
    seed,
  });
  const { mean, std } = model.input;
  const input = { mean, std, antialias: true };
  const indicesOf = ({ images }: SegmentationSource) =>
    Uint32Array.from({ length: images.length }, (_, index) => index).filter((index) =>
      !images.broken?.has(index)
    );
  const images = indicesOf(train);
  await using cleanup = new AsyncDisposableStack();
  let done = false;
  cleanup.defer(() => {
    if (!done) objective.release();
  });
  const testViews = await DenseViews.open(gpu, test, input);
  cleanup.defer(() => testViews.release());
  const photos = await DenseViews.open(gpu, train, { ...input, pool: images });
  const { crop: [height, width], augmentScale: [low, high], scale, flip } = segmentation;
  const crops = new LabelledCrops(gpu, photos, {
    scale: [scale * low, scale * high],
    base: null,
    crop: { height, width },
    mostOfOneClass: 0.75,
    flip,
    colour: usualColours,
  }, seed);
  cleanup.defer(() => crops.release());
  const headNames = [...objective.encoder.weights.shapes.parameters.keys()]
    .filter((name) => name.startsWith("classifier.") || name.startsWith("aux_classifier."));
  const sgd = new Sgd(gpu, objective.encoder.weights, "network", {
    ...optimizer,
    groups: [{
      match: `^(${headNames.map((name) => name.replaceAll(".", "\\.")).join("|")})$`,
      learningRateFactor: optimizer.headFactor,
      frozen: false,
    }],
  });
  cleanup.defer(() => sgd.release());
  const state = new SegmentationState(objective, sgd);
  if (!await takeUpTraining(kept, state)) {
    const given: GivenValues = new Map(
      [...model.weights].map(([name, { data }]) => [name, data as Float32Array<ArrayBuffer>]),
    );
    await objective.initialise(given);
    sgd.clear();
  }
  const evaluate = (onPrediction?: OnPrediction) =>
    evaluateSegmentation(
      objective.encoder,
      testViews,
      indicesOf(test),
      classes,
      scale,
      hooks.signal,
      onPrediction,
    );
  let metrics: SegmentationMetrics | undefined;
  const trainer: Trainer<PixelMetrics> = new Trainer<PixelMetrics>({
    gpu,
    state,
    plan: planOf(config, images.length, model),
    keeper: {
      lastCheckpoint: kept.path,
      append: hooks.append,
      save: (epoch) => keepTraining(gpu, state, kept, epoch),
    },
    views: crops,
    images,
    given: () => ({ labels: crops.takeLabels() }),
    async evaluate(step, epoch) {
      metrics = step === trainer.totalSteps
        ? (await evaluate(hooks.onPrediction)).metrics()
        : (await evaluate()).metrics();
      const { mIoU, pixelAccuracy } = metrics;
      return { step, epoch, mIoU, pixelAccuracy };
    },
    // It is kept before its evaluation is, where an interrupt stops that.
    evaluated: state.step > 0 && await hooks.evaluated(state.step),
    observer: {
      onSteps: hooks.onSteps,
      onEvaluation: hooks.onEvaluation,
      onPart: hooks.onPart,
    },
    signal: hooks.signal,
  });
  await hooks.onStart({ step: state.step, totalSteps: trainer.totalSteps });
  const { interrupted, steps } = await trainer.run().catch((error) =>
    asDivergence(error, state, config, kept)
  );
  if (interrupted) return undefined;
  // A run that was done before has nothing left to evaluate.
  metrics ??= (await evaluate(hooks.onPrediction)).metrics();
  done = true;
  return { objective, metrics, steps };
}

/** What a training that diverged has kept is of no use: with other settings it could not be gone on with. */
async function asDivergence(
  error: unknown,
  { step }: TrainingState,
  { optimizer: { learningRate, headFactor, warmupEpochs } }: FineTuneConfig,
  { path }: KeptTraining,
): Promise<never> {
  if (!(error instanceof TrainingError)) throw error;
  await removeFile(path);
  throw new TrainingError(
    `Training diverged by step ${step} with the learning rate ${learningRate}` +
      `${
        headFactor === 1 ? "" : `, the head's ${headFactor} times that`
      }: losses or weights are no longer finite. ` +
      `Begin anew with a lower one, e.g. --set optimizer.learningRate=${
        Number((learningRate / 5).toPrecision(2))
      }` +
      `${warmupEpochs > 0 ? "" : ", or with --set optimizer.warmupEpochs=1"}.`,
    { cause: error },
  );
}

function expectSameClasses(train: SegmentationSource, test: SegmentationSource): void {
  const names = ({ classes }: SegmentationSource) => classes.map(({ name }) => name).join(", ");
  if (names(train) === names(test)) return;
  throw new DataError(
    `${test.name} has the classes ${names(test)}; those of ${train.name} are ${
      names(train)
    }. They must be the same.`,
  );
}
