/** The training loop: order of the images, steps, log, evaluation, checkpoints, interruption. */
import type { Config } from "../config/schema.ts";
import { batchCount, batchesOf, epochOrder } from "../data/order.ts";
import type { Gpu } from "../gpu/device.ts";
import type { FinitenessCheck } from "../nn/finiteness.ts";
import { purpose, Random } from "../random.ts";
import type { SandwichPass } from "../elastic/choice_space.ts";
import { unlessAborted } from "../interrupt.ts";
import type { Architecture } from "../elastic/architecture.ts";
import type { EvaluationMetrics, KnnMetrics, StepMetrics } from "../store/metrics.ts";
import type { RunFolder } from "../store/run_folder.ts";
import { Tensor } from "../tensor/tensor.ts";
import { saveCheckpoint, stateFiniteness } from "./checkpoint.ts";
import { LossLog } from "./loss_log.ts";
import type { Arena } from "../nn/arena.ts";
import type { ViewBatch } from "../train/objective.ts";
import { learningRate } from "../train/schedule.ts";
import { recordStep } from "../train/step.ts";
import type { PretrainState } from "./state.ts";
import { noTime, type StepTimes, stopwatch } from "./step_times.ts";

/** Makes the views of a step's images. */
export interface ViewSource {
  /**
   * One tensor [length of the list, 3, H, W] for each list of image indices: the views that belong to this step. The
   * caller releases them.
   */
  views(step: number, lists: readonly Uint32Array[]): Promise<Tensor[]>;
  /** Starts to decode the images of the next step. */
  prefetch(indices: Uint32Array): void;
  /** Resolves when they are decoded. */
  ready(): Promise<void>;
}

/** What the trainer tells while it runs. */
export interface TrainingObserver {
  /** After each wait for the device. */
  onSteps(done: { step: number; totalSteps: number; loss: number; imagesPerSecond: number }): void;
  /** Steps done, as a fraction: before and after each step, and within a long one. */
  onPart?(done: number): void;
  /** Before each evaluation. */
  onEvaluating?(): void;
  /** After each evaluation. */
  onEvaluation(line: EvaluationMetrics | KnnMetrics): void;
}

/** What the trainer is given. */
export interface TrainingTask {
  gpu: Gpu;
  config: Config;
  state: PretrainState;
  folder: RunFolder;
  views: ViewSource;
  /** Indices of the training images. */
  images: Uint32Array;
  /**
   * What a teacher says of the images of a batch, [B, D]; the caller releases it. Called when their views are made;
   * absent where nobody teaches.
   */
  targets?: ((batch: Uint32Array) => Tensor) | undefined;
  /** Evaluates the present network; absent where the configuration wants no evaluation. */
  evaluate?: (step: number, epoch: number) => Promise<EvaluationMetrics | KnnMetrics>;
  /** The state's step was evaluated already, before an interruption. */
  evaluated: boolean;
  observer: TrainingObserver;
  /** Sums gradients over several processes, see `train/step.ts`; absent for one. */
  reduce?: (gradients: Arena) => Promise<void>;
  /** Stops the run when aborted, in the middle of a long step too: the state is then that of the last complete one. */
  signal: AbortSignal;
}

/** How a run ended. */
export interface TrainingResult {
  /** Steps and epochs of the run so far, earlier processes included. */
  steps: number;
  epochs: number;
  /** Seconds in this process, evaluations included. */
  seconds: number;
  /** Over the steps of this process; 0 when there were none. */
  imagesPerSecond: number;
  /** Stopped by the signal before the last step. */
  interrupted: boolean;
  /** Of the steps of this process. */
  times: StepTimes;
}

/** Minutes after which a long epoch is saved in its middle. */
const minutesBetweenCheckpoints = 10;

/** Steps of an epoch. */
export function stepsPerEpoch(config: Config, images: number): number {
  return batchCount(images, {
    batchSize: config.training.batch,
    dropLast: config.training.lastBatch === "drop",
  });
}

/** Trains from the state's step to the last one, or until interrupted. */
export class Trainer {
  readonly #task: TrainingTask;
  readonly #perEpoch: number;
  readonly #finiteness: FinitenessCheck;
  readonly #log: LossLog;
  /** Steps of the whole run. */
  readonly totalSteps: number;
  #batches: { epoch: number; list: Uint32Array[] } = { epoch: -1, list: [] };
  readonly #times = noTime();
  /** Images of the steps of this process. */
  #images = 0;
  #lastSave = performance.now();
  /** Step of the last checkpoint: that which was written last, or which the run goes on from. */
  #savedStep: number;
  #evaluatedStep: number | undefined;

  constructor(task: TrainingTask) {
    this.#task = task;
    this.#savedStep = task.state.step;
    if (task.evaluated) this.#evaluatedStep = task.state.step;
    this.#perEpoch = stepsPerEpoch(task.config, task.images.length);
    const { sandwich, training } = task.config;
    this.totalSteps = training.epochs * this.#perEpoch;
    const passes = (sandwich.largest ? 1 : 0) + (sandwich.smallest ? 1 : 0) + sandwich.random;
    this.#finiteness = stateFiniteness(task.state);
    const { losses, objective: { terms } } = task.state;
    this.#log = new LossLog(task.gpu, this.#finiteness, losses, passes, training.logEvery, terms);
  }

  /** Runs until the end or the signal; writes metrics and checkpoints. */
  async run(): Promise<TrainingResult> {
    const { gpu: { stream }, state, signal, views } = this.#task;
    const seconds = stopwatch();
    const total = this.totalSteps;
    if (state.step < total) views.prefetch(this.#batch(state.step));
    const { interrupt } = stream;
    stream.interrupt = signal;
    try {
      await this.#train();
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error;
      await this.#collect();
      if (this.#savedStep !== state.step) await this.#save();
    } finally {
      stream.interrupt = interrupt;
      this.#log.release();
      this.#finiteness.release();
    }
    return {
      steps: state.step,
      epochs: this.#epoch,
      seconds: seconds(),
      imagesPerSecond: this.#images === 0 ? 0 : this.#images / this.#times.wall,
      interrupted: signal.aborted && (state.step < total || this.#evaluationDue),
      times: this.#times,
    };
  }

  /** @throws the signal's reason, when it is aborted */
  async #train(): Promise<void> {
    const { state, signal } = this.#task;
    const total = this.totalSteps;
    // A run without its initial checkpoint, which is a function of the seed, begins anew.
    if (state.step === 0) await unlessAborted(signal, this.#save());
    if (this.#evaluationDue) {
      if (state.step === 0) await this.#evaluate();
      else await this.#finishEpoch();
    }
    while (state.step < total) {
      signal.throwIfAborted();
      const stepSeconds = stopwatch();
      await this.#step();
      const epochDone = state.step % this.#perEpoch === 0;
      const saveDue = performance.now() - this.#lastSave > 60_000 * minutesBetweenCheckpoints;
      if (this.#log.due || epochDone || saveDue) await this.#collect();
      this.#times.wall += stepSeconds();
      if (epochDone) await this.#finishEpoch();
      else if (saveDue) await this.#save();
    }
  }

  /** Whether the present step ends an epoch with an evaluation that is not done yet. */
  get #evaluationDue(): boolean {
    const { evaluate, state, config: { knn: { every }, training: { epochs } } } = this.#task;
    if (!evaluate || this.totalSteps === 0 || this.#evaluatedStep === state.step) return false;
    const done = this.#epoch;
    return state.step % this.#perEpoch === 0 && every > 0 && (done % every === 0 || done === epochs);
  }

  get #epoch(): number {
    return Math.floor(this.#task.state.step / this.#perEpoch);
  }

  /**
   * The images of a step. An epoch that is a single batch keeps their order: shuffled, it would be the same batch.
   */
  #batch(step: number): Uint32Array {
    const { config, images } = this.#task;
    const epoch = Math.floor(step / this.#perEpoch);
    if (this.#batches.epoch !== epoch) {
      const { batch, lastBatch, seed } = config.training;
      const order = images.length <= batch ? images : epochOrder(images, seed, epoch);
      this.#batches = { epoch, list: batchesOf(order, { batchSize: batch, dropLast: lastBatch === "drop" }) };
    }
    return this.#batches.list[step % this.#perEpoch];
  }

  /** @throws the signal's reason, when it is aborted before the optimiser's step; the state is then as before */
  async #step(): Promise<void> {
    const { gpu, config, state, views, signal, observer } = this.#task;
    const { seed, epochs } = config.training;
    const before = state.step;
    observer.onPart?.(before);
    const seconds = stopwatch();
    await unlessAborted(signal, views.ready());
    this.#times.images += seconds();
    const compiled = gpu.pipelines.compileSeconds;
    const submitted = gpu.stream.submitSeconds;
    const epoch = this.#epoch;
    const batch = this.#batch(state.step);
    const passes = state.space.sandwich(new Random(seed, purpose.architecture, state.step), config.sandwich);
    const rate = learningRate(config.optimizer, state.step, this.#perEpoch, epochs);
    // What was recorded before is no part of the step, which may be dropped.
    gpu.stream.submit();
    state.beginStep();
    gpu.stream.submission.onPart = (share) => observer.onPart?.(before + share);
    try {
      await this.#record(batch, passes.map((pass) => pass.architecture), rate);
      if (state.step < this.totalSteps) views.prefetch(this.#batch(state.step));
      await gpu.stream.flush();
    } catch (error) {
      if (signal.aborted && error === signal.reason) state.undoStep();
      throw error;
    } finally {
      gpu.stream.submission.onPart = undefined;
    }
    observer.onPart?.(state.step);
    this.#log.add({
      step: state.step,
      epoch,
      learningRate: rate,
      images: batch.length,
      roles: passes.map((pass: SandwichPass) => pass.role),
    });
    this.#images += batch.length;
    const compiling = gpu.pipelines.compileSeconds - compiled;
    this.#times.compiling += compiling;
    const submitting = gpu.stream.submitSeconds - submitted;
    this.#times.device += submitting;
    this.#times.recording += seconds() - compiling - submitting;
  }

  /** Records the present step on the images of a batch. */
  async #record(
    batch: Uint32Array,
    architectures: readonly Architecture[],
    learningRate: number,
  ): Promise<void> {
    const { gpu, state, views: source, reduce } = this.#task;
    const orders = state.objective.viewOrders(batch, state.step);
    const images = await source.views(state.step, orders.map((order) => order.batch));
    const views = orders.map(({ positions }, view): ViewBatch => ({
      images: images[view],
      ...(positions && { positions: Tensor.from(gpu, positions) }),
    }));
    const targets = this.#task.targets?.(batch);
    const { slot: losses, termSlot: terms } = this.#log;
    try {
      await recordStep(state, { views, architectures, learningRate, losses, terms, targets, reduce });
    } finally {
      targets?.release();
      for (const { images, positions } of views) [images, positions].forEach((tensor) => tensor?.release());
    }
  }

  async #collect(): Promise<void> {
    const { state, folder, observer } = this.#task;
    const total = this.totalSteps;
    const seconds = stopwatch();
    const { stream } = this.#task.gpu;
    const lines: StepMetrics[] = await stream.uninterrupted(() =>
      this.#log.collect(
        state.step === total,
        `${folder.lastCheckpointPath}, of step ${this.#savedStep}`,
      )
    );
    this.#times.device += seconds();
    this.#times.deviceWaits++;
    if (lines.length > 0) await folder.appendMetrics(...lines);
    observer.onSteps({
      step: state.step,
      totalSteps: total,
      loss: this.#log.loss,
      imagesPerSecond: this.#log.imagesPerSecond,
    });
  }

  async #finishEpoch(): Promise<void> {
    const { config } = this.#task;
    const { epochs, checkpointEvery } = config.training;
    const done = this.#epoch;
    if (this.#evaluationDue) await this.#evaluate();
    const kept = checkpointEvery > 0 && (done % checkpointEvery === 0 || done === epochs);
    await this.#save(kept ? done : undefined);
  }

  async #evaluate(): Promise<void> {
    const { gpu, state, evaluate, folder, observer } = this.#task;
    if (!evaluate) return;
    observer.onEvaluating?.();
    const line = await gpu.stream.unprofiled(() => evaluate(state.step, this.#epoch));
    await folder.appendMetrics(line);
    this.#evaluatedStep = state.step;
    observer.onEvaluation(line);
    this.#log.restartClock();
  }

  /** Writes the last checkpoint, and one of its own for `keptEpoch`. Metrics up to here are on the disk already. */
  async #save(keptEpoch?: number): Promise<void> {
    const { state, folder } = this.#task;
    const paths = [folder.lastCheckpointPath];
    if (keptEpoch !== undefined) paths.unshift(folder.epochCheckpointPath(keptEpoch));
    await state.gpu.stream.uninterrupted(() => saveCheckpoint(state, this.#epoch, ...paths));
    this.#lastSave = performance.now();
    this.#savedStep = state.step;
    this.#log.restartClock();
  }
}
