/** The training loop: order of the images, steps, log, evaluation, checkpoints, interruption. It knows no objective. */
import { batchCount, batchesOf, epochOrder } from "../data/order.ts";
import type { Architecture } from "../elastic/architecture.ts";
import type { SandwichPass } from "../elastic/choice_space.ts";
import type { Gpu } from "../gpu/device.ts";
import { unlessAborted } from "../interrupt.ts";
import { FinitenessCheck } from "../nn/finiteness.ts";
import type { StepMetrics } from "../store/metrics.ts";
import { Tensor } from "../tensor/tensor.ts";
import { LossLog } from "./loss_log.ts";
import type { ObjectiveInput, ViewBatch } from "./objective.ts";
import { learningRate, type Schedule } from "./schedule.ts";
import type { TrainingState } from "./state.ts";
import { type RecordedStep, recordStep } from "./step.ts";
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

/** How long a training is, and in which steps. */
export interface TrainingPlan {
  readonly epochs: number;
  /** Images of a step. */
  readonly batch: number;
  /** What becomes of an epoch's last images where they are fewer. */
  readonly lastBatch: "drop" | "keep";
  /** Of the images' order. */
  readonly seed: number;
  /** Steps of a metrics line. */
  readonly logEvery: number;
  /** Epochs between checkpoints that are kept; 0 keeps none but the last. */
  readonly checkpointEvery: number;
  /** Epochs between evaluations; 0 for none. */
  readonly evaluateEvery: number;
  readonly schedule: Schedule;
  /** Architectures of a step, at most. */
  readonly passesPerStep: number;
  /** The architectures of a step. A function of its argument alone. */
  passes(step: number): readonly SandwichPass[];
}

/** What the trainer tells while it runs. */
export interface TrainingObserver<Line extends object> {
  /** After each wait for the device. */
  onSteps(done: { step: number; totalSteps: number; loss: number; imagesPerSecond: number }): void;
  /** Steps done, as a fraction: before and after each step, and within a long one. */
  onPart?(done: number): void;
  /** Before each evaluation. */
  onEvaluating?(): void;
  /** After each evaluation. */
  onEvaluation(line: Line): void;
}

/** Where a training keeps what it reaches. */
export interface TrainingKeeper<Line extends object> {
  /** The checkpoint that can be gone on from, for messages. */
  readonly lastCheckpoint: string;
  /** Keeps lines of metrics. */
  append(...lines: readonly (StepMetrics | Line)[]): Promise<void>;
  /**
   * Writes the last checkpoint; metrics up to here are kept already.
   * @param epoch epochs that are complete
   * @param kept also one of its own for this epoch
   */
  save(epoch: number, kept: boolean): Promise<void>;
}

/** Processes that train one network together, as the loop sees them. */
export interface TrainerPeers {
  /** How many there are, this one among them. */
  readonly size: number;
  /** This process's part of what belongs to a whole batch. */
  partOf(batch: Uint32Array): Uint32Array;
  /** Makes one step of the steps of all, before its update; see {@linkcode recordStep}. */
  reduce(recorded: RecordedStep): Promise<void>;
}

/** What the trainer is given. */
export interface TrainingTask<Line extends object> {
  gpu: Gpu;
  plan: TrainingPlan;
  state: TrainingState;
  keeper: TrainingKeeper<Line>;
  views: ViewSource;
  /** Indices of the training images, ascending. */
  images: Uint32Array;
  /** The set's shards, where it is in some; see {@linkcode epochOrder}. */
  shards?: Uint32Array | undefined;
  /**
   * What is said of the images of a batch, by a teacher or by labels; the caller releases it. Called when their views are
   * made; absent where nothing is.
   */
  given?: ((batch: Uint32Array) => Pick<ObjectiveInput, "targets" | "labels" | "objects">) | undefined;
  /** Evaluates the present network; absent where nobody wants it. */
  evaluate?: ((step: number, epoch: number) => Promise<Line>) | undefined;
  /** The state's step was evaluated already, before an interruption. */
  evaluated: boolean;
  observer: TrainingObserver<Line>;
  /** Other processes that train the same network; absent for one alone. */
  peers?: TrainerPeers | undefined;
  /** Stops the training when aborted, in the middle of a long step too: the state is then that of the last complete one. */
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
export function stepsPerEpoch(
  { batch, lastBatch }: Pick<TrainingPlan, "batch" | "lastBatch">,
  images: number,
): number {
  return batchCount(images, { batchSize: batch, dropLast: lastBatch === "drop" });
}

/** Trains from the state's step to the last one, or until interrupted. */
export class Trainer<Line extends object> {
  readonly #task: TrainingTask<Line>;
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

  constructor(task: TrainingTask<Line>) {
    this.#task = task;
    const { gpu, plan, state, images } = task;
    this.#savedStep = state.step;
    if (task.evaluated) this.#evaluatedStep = state.step;
    this.#perEpoch = stepsPerEpoch(plan, images.length);
    this.totalSteps = plan.epochs * this.#perEpoch;
    this.#finiteness = new FinitenessCheck(gpu, state.sources);
    const { losses, objective: { terms } } = state;
    this.#log = new LossLog(gpu, this.#finiteness, losses, plan.passesPerStep, plan.logEvery, terms);
  }

  /** Runs until the end or the signal; writes metrics and checkpoints. */
  async run(): Promise<TrainingResult> {
    const { gpu: { stream }, state, signal, views } = this.#task;
    const seconds = stopwatch();
    const total = this.totalSteps;
    if (state.step < total) views.prefetch(this.#wanted(state.step));
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
    const { evaluate, state, plan: { evaluateEvery: every, epochs } } = this.#task;
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
    const { plan: { batch, lastBatch, seed }, images, shards } = this.#task;
    const epoch = Math.floor(step / this.#perEpoch);
    if (this.#batches.epoch !== epoch) {
      const order = images.length <= batch ? images : epochOrder(images, seed, epoch, shards);
      this.#batches = { epoch, list: batchesOf(order, { batchSize: batch, dropLast: lastBatch === "drop" }) };
    }
    return this.#batches.list[step % this.#perEpoch];
  }

  /** The images of a step that this process shows. */
  #wanted(step: number): Uint32Array {
    const { peers, state: { objective } } = this.#task;
    const batch = this.#batch(step);
    if (!peers) return batch;
    const parts = objective.viewOrders(batch, step).map((order) => peers.partOf(order.batch));
    return Uint32Array.from(new Set(parts.flatMap((part) => [...part])));
  }

  /** @throws the signal's reason, when it is aborted before the optimiser's step; the state is then as before */
  async #step(): Promise<void> {
    const { gpu, plan, state, views, signal, observer } = this.#task;
    const before = state.step;
    observer.onPart?.(before);
    const seconds = stopwatch();
    await unlessAborted(signal, views.ready());
    this.#times.images += seconds();
    const compiled = gpu.pipelines.compileSeconds;
    const submitted = gpu.stream.submitSeconds;
    const epoch = this.#epoch;
    const batch = this.#batch(state.step);
    const passes = plan.passes(state.step);
    const rate = learningRate(plan.schedule, state.step, this.#perEpoch, plan.epochs);
    state.beginStep();
    // Neither what was recorded before nor the copies to restore from are part of the step, which may be dropped.
    gpu.stream.submit();
    gpu.stream.submission.onPart = (share) => observer.onPart?.(before + share);
    try {
      await this.#record(batch, passes.map((pass) => pass.architecture), rate);
      if (state.step < this.totalSteps) views.prefetch(this.#wanted(state.step));
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
    const { gpu, state, views: source, peers, given } = this.#task;
    const own = (whole: Uint32Array) => peers?.partOf(whole) ?? whole;
    const orders = state.objective.viewOrders(batch, state.step);
    const images = await source.views(state.step, orders.map((order) => own(order.batch)));
    const views = orders.map(({ positions }, view): ViewBatch => ({
      images: images[view],
      ...(positions && { positions: Tensor.from(gpu, positions) }),
    }));
    const said = given?.(own(batch));
    const { slot: losses, termSlot: terms } = this.#log;
    try {
      const reduce = peers && ((recorded: RecordedStep) => peers.reduce(recorded));
      await recordStep(state, { views, architectures, learningRate, losses, terms, ...said, reduce });
    } finally {
      for (const tensor of [said?.targets, said?.labels]) tensor?.release();
      for (const { images, positions } of views) [images, positions].forEach((tensor) => tensor?.release());
    }
  }

  async #collect(): Promise<void> {
    const { state, keeper, observer } = this.#task;
    const total = this.totalSteps;
    const seconds = stopwatch();
    const { stream } = this.#task.gpu;
    const lines: StepMetrics[] = await stream.uninterrupted(() =>
      this.#log.collect(
        state.step === total,
        `${keeper.lastCheckpoint}, of step ${this.#savedStep}`,
      )
    );
    this.#times.device += seconds();
    this.#times.deviceWaits++;
    const { peers } = this.#task;
    const kept = peers ? lines.map((line) => ({ ...line, ranks: peers.size })) : lines;
    if (kept.length > 0) await keeper.append(...kept);
    observer.onSteps({
      step: state.step,
      totalSteps: total,
      loss: this.#log.loss,
      imagesPerSecond: this.#log.imagesPerSecond,
    });
  }

  async #finishEpoch(): Promise<void> {
    const { epochs, checkpointEvery } = this.#task.plan;
    const done = this.#epoch;
    if (this.#evaluationDue) await this.#evaluate();
    const kept = checkpointEvery > 0 && (done % checkpointEvery === 0 || done === epochs);
    await this.#save(kept);
  }

  async #evaluate(): Promise<void> {
    const { gpu, state, evaluate, keeper, observer } = this.#task;
    if (!evaluate) return;
    observer.onEvaluating?.();
    const line = await gpu.stream.unprofiled(() => evaluate(state.step, this.#epoch));
    await keeper.append(line);
    this.#evaluatedStep = state.step;
    observer.onEvaluation(line);
    this.#log.restartClock();
  }

  /** Writes the last checkpoint, and one of its own for the epoch where it is kept. Metrics up to here are on the disk. */
  async #save(kept = false): Promise<void> {
    const { gpu, state, keeper } = this.#task;
    await gpu.stream.uninterrupted(() => keeper.save(this.#epoch, kept));
    this.#lastSave = performance.now();
    this.#savedStep = state.step;
    this.#log.restartClock();
  }
}
