/**
 * Losses on their way to the log. Each step leaves its losses on the device; they come back together every so many steps,
 * because each wait for the device costs 11 ms and holds up the event loop. With them comes whether the run is finite.
 */
import { TrainingError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { SandwichPass } from "../elastic/choice_space.ts";
import { type FinitenessCheck, tensorsAre } from "../nn/finiteness.ts";
import type { StepMetrics } from "../store/metrics.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { LossSums } from "./loss_sums.ts";

/** A step whose losses are still on the device. */
interface PendingStep {
  /** Steps done with this one. */
  step: number;
  epoch: number;
  learningRate: number;
  /** Images of its batch. */
  images: number;
  roles: SandwichPass["role"][];
}

/** Steps whose losses fit on the device. */
const capacity = 64;
/** Seconds of device work between two waits: the wait of 11 ms is then below 2 %. */
const secondsBetweenWaits = 0.6;

/** Collects losses and turns them into metrics lines, one for every `logEvery` steps. */
export class LossLog {
  readonly #losses: Tensor;
  #pending: PendingStep[] = [];
  #window = 1;
  #lastWait = performance.now();

  /**
   * @param finiteness of all that the steps change; not owned
   * @param sums losses since the last line, those of an interrupted run included
   * @param passes most passes of a step
   * @param terms names of the loss's terms, where it has several
   */
  constructor(
    readonly gpu: Gpu,
    readonly finiteness: FinitenessCheck,
    readonly sums: LossSums,
    readonly passes: number,
    readonly logEvery: number,
    readonly terms: readonly string[] = [],
  ) {
    this.#losses = Tensor.zeros(gpu, [capacity * this.#stride]);
  }

  /** Numbers of a step: the loss of each pass, then each of its terms. */
  get #stride(): number {
    return this.passes * (1 + this.terms.length);
  }

  /** Where the next step puts its losses, [passes]. */
  get slot(): Tensor {
    return this.#losses.slice(this.#pending.length * this.#stride, [this.passes]);
  }

  /** Where it puts their terms, [terms, passes]; undefined where there is but one. */
  get termSlot(): Tensor | undefined {
    const { terms, passes } = this;
    if (terms.length === 0) return undefined;
    return this.#losses.slice(this.#pending.length * this.#stride + passes, [terms.length, passes]);
  }

  /** Notes a recorded step. */
  add(step: PendingStep): void {
    this.#pending.push(step);
  }

  /** Whether it is time for {@linkcode collect}. */
  get due(): boolean {
    return this.#pending.length >= this.#window;
  }

  /** Images per second between the last two waits. */
  imagesPerSecond = 0;
  /** Mean loss of the last line; NaN before the first. */
  loss = NaN;

  /** Forgets the time since the last wait, e.g. while an evaluation ran. */
  restartClock(): void {
    this.#lastWait = performance.now();
  }

  /**
   * Waits for the device and returns the lines that are complete.
   * @param last also make a line of an incomplete interval, because the run is complete
   * @param saved the checkpoint that can be gone on from, for the message
   * @throws {TrainingError} when a loss, a weight, a statistic, the momentum or the queue is not finite
   */
  async collect(last: boolean, saved: string): Promise<StepMetrics[]> {
    const pending = this.#pending;
    this.#pending = [];
    if (pending.length === 0) return [];
    this.finiteness.record();
    const [losses, found] = await this.gpu.read(this.#losses, this.finiteness.found);
    const values = new Float32Array(losses);
    this.#expectFinite(pending, values, this.finiteness.interpret(found), saved);
    const now = performance.now();
    const seconds = (now - this.#lastWait) / 1000;
    this.#lastWait = now;
    this.imagesPerSecond = pending.reduce((sum, { images }) => sum + images, 0) / seconds;
    this.#window = Math.max(1, Math.min(capacity, Math.ceil(secondsBetweenWaits * pending.length / seconds)));

    const lines: StepMetrics[] = [];
    pending.forEach((step, index) => {
      const own = values.subarray(index * this.#stride);
      step.roles.forEach((role, pass) => this.sums.add(role, own[pass]));
      this.terms.forEach((name, term) =>
        step.roles.forEach((_, pass) =>
          this.sums.addTerm(name, own[this.passes + term * step.roles.length + pass])
        )
      );
      if (step.step % this.logEvery === 0 || (last && index === pending.length - 1)) {
        lines.push(this.#line(step));
      }
    });
    return lines;
  }

  #expectFinite(pending: PendingStep[], values: Float32Array, tensors: string[], saved: string): void {
    const advice =
      `The last good checkpoint is ${saved}. Lower optimizer.learningRate or add optimizer.warmupEpochs, ` +
      `e.g. with --resume --set optimizer.learningRate=…; --checkpoint epoch-N goes on from an earlier one.`;
    const held = tensors.length > 0 ? `, and ${tensorsAre(tensors)} no longer finite` : "";
    pending.forEach(({ step, roles, learningRate }, index) => {
      const pass = roles.findIndex((_, at) => !Number.isFinite(values[index * this.#stride + at]));
      if (pass < 0) return;
      throw new TrainingError(
        `The loss of the ${roles[pass]} architecture is ${
          values[index * this.#stride + pass]
        } in step ${step} ` +
          `(learning rate ${learningRate.toPrecision(3)})${held}. ${advice}`,
      );
    });
    if (tensors.length === 0) return;
    const { step, learningRate } = pending[pending.length - 1];
    throw new TrainingError(
      `${tensorsAre(tensors)} no longer finite after step ${step} (learning rate ${
        learningRate.toPrecision(3)
      }), ` +
        `though the losses were. ${advice}`,
    );
  }

  #line({ step, epoch, learningRate }: PendingStep): StepMetrics {
    const { sums } = this;
    this.loss = sums.mean("all")!;
    const line = {
      step,
      epoch,
      loss: this.loss,
      lossMax: sums.mean("largest"),
      lossMin: sums.mean("smallest"),
      lossRandom: sums.mean("random"),
      lossTerms: sums.terms,
      lr: learningRate,
      imagesPerSecond: Number(this.imagesPerSecond.toPrecision(4)),
    };
    sums.clear();
    return line;
  }

  /** Releases the memory; nothing may read it afterwards. */
  release(): void {
    this.#losses.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
