/** A training on labelled images that is kept while it lasts, and tested: the loop that all tasks share. */
import type { PlainModel } from "../extract/model.ts";
import type { ClassMetrics, ObjectMetrics, PixelMetrics, StepMetrics } from "../store/metrics.ts";
import type { ObjectiveInput } from "../train/objective.ts";
import type { TrainingState } from "../train/state.ts";
import { Trainer, type TrainingPlan, type ViewSource } from "../train/trainer.ts";
import type { FineTuneConfig } from "./config.ts";
import { explainDivergence } from "./divergence.ts";
import { keepTraining, type KeptTraining } from "./kept.ts";

/** What a test says in a line of metrics. */
export type TestLine = PixelMetrics | ObjectMetrics | ClassMetrics;

/** What a training tells. */
export interface TrainingHooks<Line extends TestLine> {
  readonly signal: AbortSignal;
  /** Training begins or goes on; lines of metrics beyond the step are of no use. */
  onStart(started: { step: number; totalSteps: number }): Promise<void>;
  /** Whether the lines that were kept hold the evaluation of a step. */
  evaluated(step: number): Promise<boolean>;
  onSteps(done: { step: number; loss: number; imagesPerSecond: number }): void;
  onPart?(done: number): void;
  onEvaluation(line: Line): void;
  /** Keeps lines of metrics. */
  append(...lines: readonly (StepMetrics | Line)[]): Promise<void>;
}

/** A training that is ready to begin, or to go on where it was. */
export interface ReadyTraining<Line extends TestLine, Metrics> {
  readonly state: TrainingState;
  readonly config: FineTuneConfig;
  /** The backbone. */
  readonly model: Pick<PlainModel, "network">;
  readonly kept: KeptTraining;
  /** The images that are trained on, and their views. */
  readonly images: Uint32Array;
  readonly views: ViewSource;
  /** What goes with the images of a batch whose views were made. */
  given(batch: Uint32Array): Pick<ObjectiveInput, "labels" | "objects">;
  /** Tests the network as it is. @param last whether nothing follows */
  test(last: boolean): Promise<Metrics>;
  /** What a line of metrics says. */
  summary(metrics: Metrics): Omit<Line, "step" | "epoch">;
}

/**
 * Trains to the end and tests.
 *
 * @returns undefined when it was interrupted; what was done is kept
 * @throws {TrainingError} when it diverges; what was kept is removed then
 */
export async function trainAndTest<Line extends TestLine, Metrics>(
  { state, config, model, kept, images, views, given, test, summary }: ReadyTraining<Line, Metrics>,
  hooks: TrainingHooks<Line>,
): Promise<{ metrics: Metrics; steps: number } | undefined> {
  const { gpu } = state.objective.encoder.weights;
  let metrics: Metrics | undefined;
  const trainer: Trainer<Line> = new Trainer<Line>({
    gpu,
    state,
    plan: planOf(config, images.length, model),
    keeper: {
      lastCheckpoint: kept.path,
      append: hooks.append,
      save: (epoch) => keepTraining(gpu, state, kept, epoch),
    },
    views,
    images,
    given,
    async evaluate(step, epoch) {
      const last = step === trainer.totalSteps;
      const found = await test(last);
      if (last) metrics = found;
      return { step, epoch, ...summary(found) } as Line;
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
    explainDivergence(error, state.step, config, kept)
  );
  if (interrupted) return undefined;
  // A run that was done before has nothing left to evaluate.
  return { metrics: metrics ?? await test(true), steps };
}

/** The steps of a training on so many images. */
export function planOf(
  { training, optimizer }: FineTuneConfig,
  images: number,
  model: Pick<PlainModel, "network">,
): TrainingPlan {
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
