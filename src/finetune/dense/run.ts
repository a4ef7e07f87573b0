/** A training for a dense task, from a backbone to its measures: trained, kept while it lasts, tested. */
import { DenseViews } from "../../data/dense/dense_views.ts";
import type { Size } from "../../data/dense/placement.ts";
import type { DenseSource, InstanceTarget, LabelTarget } from "../../data/dense/target.ts";
import { DataError } from "../../errors.ts";
import { backboneValues, type PlainModel } from "../../extract/model.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { ObjectMetrics, PixelMetrics } from "../../store/metrics.ts";
import type { NetworkObjective, TrainedNetwork } from "../../train/network_objective.ts";
import { Sgd } from "../../train/optimizer.ts";
import { TrainingState } from "../../train/state.ts";
import type { FineTuneConfig } from "../config.ts";
import { type KeptTraining, takeUpTraining } from "../kept.ts";
import { trainAndTest, type TrainingHooks } from "../training.ts";
import type { DenseBatches, GivenWithImages } from "./batches.ts";

/** The types that make a task what it is. */
export interface DenseKind {
  /** What is known of an image. */
  readonly target: LabelTarget | InstanceTarget;
  /** Names of its heads. */
  readonly head: string;
  readonly objective: NetworkObjective<TrainedNetwork>;
  /** All that is measured. */
  readonly metrics: object;
  /** What a line of metrics says of it. */
  readonly line: PixelMetrics | ObjectMetrics;
  /** Receives what is predicted of each test image. */
  readonly onPrediction: (index: number, ...prediction: never[]) => Promise<void>;
}

/** What is trained on what. */
export interface DenseRequest<Kind extends DenseKind> {
  /** The backbone; its classifier, if it has one, is left out. */
  readonly model: PlainModel;
  readonly head: Kind["head"];
  readonly config: FineTuneConfig;
  readonly train: DenseSource<Kind["target"]>;
  readonly test: DenseSource<Kind["target"]>;
  readonly kept: KeptTraining;
}

/** What a training tells. */
export interface DenseHooks<Kind extends DenseKind> extends TrainingHooks<Kind["line"]> {
  /** Called at the end. */
  onPrediction?: Kind["onPrediction"];
}

/** A network that was trained, and what it is worth; the caller releases its objective. */
export interface TrainedDense<Kind extends DenseKind> {
  readonly objective: Kind["objective"];
  readonly metrics: Kind["metrics"];
  readonly steps: number;
}

/** What decides about a training's network: what it is given, without weights and images. */
export interface DenseDefinition<Kind extends DenseKind>
  extends Pick<DenseRequest<Kind>, "head" | "config" | "train"> {
  readonly model: Pick<PlainModel, "network" | "input">;
}

/** What a task trains and tests on, as far as sizes decide about memory and time. */
export interface ImaginedData<Objective, Target> {
  /**
   * Sizes of the inputs of steps over images of some sizes: first the largest that can come up, then some as they do.
   * @param sources sizes of images, in no order
   * @param batch images of a step
   */
  inputs(sources: readonly Size[], batch: number, objective: Objective): readonly [Size, ...Size[]];
  /**
   * What goes with a batch of such inputs.
   * @param objects in each of them, where the task has objects: as many as a step can train on, or few, which is quicker
   */
  given(objective: Objective, batch: number, size: Size, objects: "most" | "few"): GivenWithImages;
  /** What is known of an image without anything on it. */
  target(size: Size): Target;
}

/** What a task adds to what all share. */
export interface DenseTask<Kind extends DenseKind> {
  /** Allocates the network and its loss. @throws {ConfigurationError}, {@linkcode UsageError} for a backbone that it cannot have */
  build(gpu: Gpu): Kind["objective"];
  /** Regular expression of the names of the head's weights, which may have another learning rate. */
  readonly headWeights: string;
  /** Whether images that shrink are averaged. */
  readonly antialias: boolean;
  /** The batches that it is trained on. */
  batches(photos: DenseViews<Kind["target"]>, objective: Kind["objective"]): DenseBatches<Kind["target"]>;
  /** Tests the network as it is. @throws the signal's reason when it is interrupted */
  evaluate(
    objective: Kind["objective"],
    views: DenseViews<Kind["target"]>,
    indices: Uint32Array,
    signal: AbortSignal,
    onPrediction?: Kind["onPrediction"],
  ): Promise<Kind["metrics"]>;
  /** To plan a training before it starts. */
  readonly imagined: ImaginedData<Kind["objective"], Kind["target"]>;
  /** What a line of metrics says. */
  summary(metrics: Kind["metrics"]): Omit<Kind["line"], "step" | "epoch">;
}

/**
 * Trains, goes on where a kept training stopped, and tests.
 *
 * @returns undefined when it was interrupted; what was done is kept
 * @throws {DataError} for images of other classes, or labels or objects that cannot be used
 * @throws {TrainingError} when it diverges; what was kept is removed then
 */
export async function trainDense<Kind extends DenseKind>(
  gpu: Gpu,
  { model, config, train, test, kept }: DenseRequest<Kind>,
  task: DenseTask<Kind>,
  hooks: DenseHooks<Kind>,
): Promise<TrainedDense<Kind> | undefined> {
  expectSameClasses(train, test);
  const { signal } = hooks;
  await using cleanup = new AsyncDisposableStack();
  const objective = task.build(gpu);
  let done = false;
  cleanup.defer(() => {
    if (!done) objective.release();
  });
  const { mean, std } = model.input;
  const input = { mean, std, antialias: task.antialias };
  const images = readableImages(train), testImages = readableImages(test);
  const testViews = cleanup.use(await DenseViews.open(gpu, test, input));
  const photos = await DenseViews.open(gpu, train, { ...input, pool: images });
  const batches = cleanup.use(task.batches(photos, objective));
  const optimizer = cleanup.use(optimizerOf(gpu, objective, config, task));
  const state = new TrainingState(objective, optimizer);
  if (!await takeUpTraining(kept, state)) {
    await objective.initialise(backboneValues(model));
    state.restart();
  }
  const trained = await trainAndTest<Kind["line"], Kind["metrics"]>({
    ...{ state, config, model, kept, images, views: batches },
    given: () => batches.takeGiven(),
    test: (last) =>
      task.evaluate(objective, testViews, testImages, signal, last ? hooks.onPrediction : undefined),
    summary: task.summary,
  }, hooks);
  done = trained !== undefined;
  return trained && { objective, ...trained };
}

/** SGD as the configuration says, the head at a rate of its own. */
export function optimizerOf<Kind extends DenseKind>(
  gpu: Gpu,
  { encoder }: Kind["objective"],
  { optimizer }: FineTuneConfig,
  { headWeights }: DenseTask<Kind>,
): Sgd {
  return new Sgd(gpu, encoder.weights, "network", {
    ...optimizer,
    groups: [{ match: headWeights, learningRateFactor: optimizer.headFactor, frozen: false }],
  });
}

/** All but those that are known to be broken. */
function readableImages({ images }: DenseSource<LabelTarget | InstanceTarget>): Uint32Array {
  return Uint32Array.from({ length: images.length }, (_, index) => index)
    .filter((index) => !images.broken?.has(index));
}

/** @throws {DataError} naming the classes of both */
export function expectSameClasses(
  train: DenseSource<LabelTarget | InstanceTarget>,
  test: DenseSource<LabelTarget | InstanceTarget>,
): void {
  const names = ({ classes }: typeof train) => classes.map(({ name }) => name).join(", ");
  if (names(train) === names(test)) return;
  const guessed = [train, test].some(({ name }) => name.startsWith("masks:"));
  throw new DataError(
    `${test.name} has the classes ${names(test)}; those of ${train.name} are ${
      names(train)
    }. They must be the same` +
      (guessed ? ": classes.json beside images/ and labels/ says them also where a set lacks one." : "."),
  );
}
