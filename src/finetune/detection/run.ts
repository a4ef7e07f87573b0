/** A detector from a backbone to its measures: trained, kept while it lasts, tested. */
import { DenseViews } from "../../data/dense/dense_views.ts";
import type { InstanceSource } from "../../data/dense/target.ts";
import { tapNames } from "../../elastic/network.ts";
import { DataError, UsageError } from "../../errors.ts";
import type { PlainModel } from "../../extract/model.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { GivenValues } from "../../nn/encoder.ts";
import type { ObjectMetrics, StepMetrics } from "../../store/metrics.ts";
import { Detection } from "../../train/detection/detection.ts";
import { LossSums } from "../../train/loss_sums.ts";
import type { NamedSource } from "../../train/objective.ts";
import { Sgd } from "../../train/optimizer.ts";
import { Trainer, type TrainingPlan, type TrainingState } from "../../train/trainer.ts";
import type { FineTuneConfig } from "../config.ts";
import { keepTraining, type KeptTraining, takeUpTraining } from "../kept.ts";
import { DrawnObjects } from "./batches.ts";
import { type DetectionMetrics, evaluateDetection, type OnDetections } from "./evaluate.ts";
import { type DetectionHead, detectorSettings } from "./settings.ts";

/** What is trained on what. */
export interface DetectionRequest {
  /** The backbone; its classifier, if it has one, is left out. */
  readonly model: PlainModel;
  readonly head: DetectionHead;
  readonly config: FineTuneConfig;
  readonly train: InstanceSource;
  readonly test: InstanceSource;
  readonly kept: KeptTraining;
}

/** What a detection tells. */
export interface DetectionHooks {
  readonly signal: AbortSignal;
  /** Training begins or goes on; lines of metrics beyond the step are of no use. */
  onStart(started: { step: number; totalSteps: number }): Promise<void>;
  /** Whether the lines that were kept hold the evaluation of a step. */
  evaluated(step: number): Promise<boolean>;
  onSteps(done: { step: number; loss: number; imagesPerSecond: number }): void;
  onPart?(done: number): void;
  onEvaluation(line: ObjectMetrics): void;
  /** Keeps lines of metrics. */
  append(...lines: readonly (StepMetrics | ObjectMetrics)[]): Promise<void>;
  /** What is found in the test images, at the end. */
  onDetections?: OnDetections;
}

/** A detector that was trained; the caller releases its objective. */
export interface TrainedDetection {
  readonly objective: Detection;
  readonly metrics: DetectionMetrics;
  readonly steps: number;
}

/** Objective and optimiser on the device. */
class DetectionState implements TrainingState {
  readonly losses: LossSums = new LossSums();
  step = 0;
  #stepBefore = 0;

  constructor(readonly objective: Detection, readonly optimizer: Sgd) {}

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

/** The numbers that are told first. */
export function averagePrecisions({ boxes, masks }: DetectionMetrics): Omit<ObjectMetrics, "step" | "epoch"> {
  return {
    boxAP: boxes.AP,
    boxAP50: boxes.AP50,
    boxAP75: boxes.AP75,
    ...masks && { maskAP: masks.AP, maskAP50: masks.AP50, maskAP75: masks.AP75 },
  };
}

/**
 * Trains, goes on where a kept training stopped, and tests.
 *
 * @returns undefined when it was interrupted; what was done is kept
 * @throws {UsageError} for a network with fewer maps than a pyramid has
 * @throws {DataError} for images of other classes, or objects that cannot be used
 * @throws {TrainingError} when it diverges
 */
export async function trainDetection(
  gpu: Gpu,
  { model, head, config, train, test, kept }: DetectionRequest,
  hooks: DetectionHooks,
): Promise<TrainedDetection | undefined> {
  expectSameClasses(train, test);
  const taps = tapNames(model.network);
  if (taps.length < 4) {
    throw new UsageError(
      `A detector reads the last four maps of a network; this one has ${taps.length}: ${taps.join(", ")}.`,
    );
  }
  const { detection, optimizer, training: { seed } } = config;
  const objective = new Detection(gpu, model.network, {
    settings: detectorSettings(head, train.classes.length, detection),
    frozenBatchnorm: detection.frozenBatchnorm,
    seed,
  });
  const network = objective.encoder;
  const { mean, std } = model.input;
  const input = { mean, std, antialias: detection.antialias };
  const indicesOf = ({ images }: InstanceSource) =>
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
  const drawn = new DrawnObjects(photos, detection, network.stride, seed);
  cleanup.defer(() => drawn.release());
  const sgd = new Sgd(gpu, network.weights, "network", {
    ...optimizer,
    groups: [{
      match: "^(backbone\\.fpn|rpn|roi_heads)\\.",
      learningRateFactor: optimizer.headFactor,
      frozen: false,
    }],
  });
  cleanup.defer(() => sgd.release());
  const state = new DetectionState(objective, sgd);
  if (!await takeUpTraining(kept, state)) {
    const given: GivenValues = new Map(
      [...model.weights].map(([name, { data }]) => [name, data as Float32Array<ArrayBuffer>]),
    );
    await objective.initialise(given);
    sgd.clear();
  }
  const evaluate = (onDetections?: OnDetections) =>
    evaluateDetection(network, testViews, indicesOf(test), detection, hooks.signal, onDetections);
  let metrics: DetectionMetrics | undefined;
  const trainer: Trainer<ObjectMetrics> = new Trainer<ObjectMetrics>({
    gpu,
    state,
    plan: planOf(config, images.length, model),
    keeper: {
      lastCheckpoint: kept.path,
      append: hooks.append,
      save: (epoch) => keepTraining(gpu, state, kept, epoch),
    },
    views: drawn,
    images,
    given: () => ({ objects: drawn.takeObjects() }),
    async evaluate(step, epoch) {
      const found = await evaluate(step === trainer.totalSteps ? hooks.onDetections : undefined);
      if (step === trainer.totalSteps) metrics = found;
      return { step, epoch, ...averagePrecisions(found) };
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
  const { interrupted, steps } = await trainer.run();
  if (interrupted) return undefined;
  // A run that was done before has nothing left to evaluate.
  metrics ??= await evaluate(hooks.onDetections);
  done = true;
  return { objective, metrics, steps };
}

function expectSameClasses(train: InstanceSource, test: InstanceSource): void {
  const names = ({ classes }: InstanceSource) => classes.map(({ name }) => name).join(", ");
  if (names(train) === names(test)) return;
  throw new DataError(
    `${test.name} has the classes ${names(test)}; those of ${train.name} are ${
      names(train)
    }. They must be the same.`,
  );
}
