/**
 * Handing recorded work to the device in parts of a fraction of a second, so that a process can be interrupted in the
 * middle of long work. A driver that runs shaders on the CPU blocks the thread in `submit` until it has done the last
 * submission, and every wait for the device blocks it too: between parts the event loop gets its turn, or signals would
 * only be heard when all is done.
 *
 * How long work takes is estimated from what launches say that they compute and move, corrected by the time that earlier
 * parts took. Work that is short enough for one part is submitted at once and waits for nothing.
 */
import { turn } from "../interrupt.ts";
import type { Work } from "./dispatch.ts";

/** A first guess of a device's speed; only its order of magnitude matters. */
interface Speed {
  readonly flops: number;
  readonly bytes: number;
  readonly secondsPerLaunch: number;
  /** A software driver compiles a pipeline when it is first launched. */
  readonly secondsPerPipeline: number;
}

const softwareSpeed: Speed = { flops: 2e10, bytes: 3e9, secondsPerLaunch: 5e-5, secondsPerPipeline: 0.2 };
const hardwareSpeed: Speed = { flops: 1e12, bytes: 1e11, secondsPerLaunch: 1e-5, secondsPerPipeline: 0 };

/** Bounds of the correction of the first guess. */
const leastCorrection = 1 / 64, mostCorrection = 64;
/** Parts that take less say little about the speed. */
const leastMeasuredSeconds = 0.02;
/** A submit that took longer waited for the part before, which was done at its end. */
const blockedSeconds = 0.002;

/** The estimated length of recorded work. */
export interface Estimate {
  /** Seconds, before the correction; without the compilation of new pipelines. */
  work: number;
  /** Seconds of the compilation of new pipelines. */
  compilation: number;
}

/** Recorded work that is submitted as a whole. */
export interface Part {
  readonly commands: GPUCommandBuffer;
  /** Parameters of its dispatches, for the start of the parameters' buffer. */
  readonly parameters: ArrayBuffer | undefined;
  readonly estimate: Estimate;
  /** Once it is submitted, all that is recorded must be; see `CommandStream.commit`. */
  readonly committed: boolean;
}

/** Parts that wait to be submitted, in order. */
export class Submission {
  readonly #queue: GPUQueue;
  readonly #parameters: GPUBuffer;
  readonly #software: boolean;
  readonly #speed: Speed;
  /** Seconds of device work after which the event loop gets its turn. */
  partSeconds = 0.4;
  /**
   * Told after each part of long work, with the share of it that was handed over; and, with 0, now and then while
   * recording takes long.
   */
  onPart: ((share: number) => void) | undefined;
  #pending: Part[] = [];
  /** Estimated seconds of what was submitted since the event loop had its turn. */
  #unheard = 0;
  #lastTurn = performance.now();
  #correction = 1;
  /** The part submitted last, and when. */
  #last: { estimate: Estimate; since: number } | undefined;
  #submitSeconds = 0;

  /**
   * @param parameters takes the parameters of each part's dispatches
   * @param software whether `submit` blocks until the last submission is done
   */
  constructor(device: GPUDevice, parameters: GPUBuffer, software: boolean) {
    this.#queue = device.queue;
    this.#parameters = parameters;
    this.#software = software;
    this.#speed = software ? softwareSpeed : hardwareSpeed;
  }

  /** Seconds spent on handing work over, the waits between parts included. */
  get submitSeconds(): number {
    return this.#submitSeconds;
  }

  /** Whether parts wait to be submitted. */
  get pending(): boolean {
    return this.#pending.length > 0;
  }

  /** Adds a launch to an estimate. */
  estimate(sum: Estimate, { flops = 0, bytes = 0 }: Work, newPipeline: boolean): void {
    const { flops: flopRate, bytes: byteRate, secondsPerLaunch, secondsPerPipeline } = this.#speed;
    sum.work += secondsPerLaunch + flops / flopRate + bytes / byteRate;
    if (newPipeline) sum.compilation += secondsPerPipeline;
  }

  /** Seconds that work is expected to take. */
  seconds({ work, compilation }: Estimate): number {
    return work * this.#correction + compilation;
  }

  /** Puts a part behind those that wait. */
  add(part: Part): void {
    this.#pending.push(part);
  }

  /** Whether one more part can be submitted before the event loop must have its turn. */
  fits(estimate: Estimate): boolean {
    return !this.pending && this.#unheard + this.seconds(estimate) < this.partSeconds;
  }

  /** Submits all parts at once, however long they take. */
  submitAll(): void {
    for (const part of this.#pending.splice(0)) this.#submit(part);
  }

  /**
   * Submits the parts one after the other, and lets the event loop have its turn between them where they are long.
   *
   * @param interrupt stops it when aborted, unless a part that is committed was submitted
   * @param committed whether one was already
   * @returns false when it was stopped
   */
  async drain(interrupt: AbortSignal | undefined, committed: boolean): Promise<boolean> {
    const all = this.#pending.length;
    for (let part = this.#pending.at(0); part; part = this.#pending.at(0)) {
      if (this.#unheard > 0 && this.#unheard + this.seconds(part.estimate) > this.partSeconds) {
        await this.#pause();
      }
      if (!committed && interrupt?.aborted) return false;
      this.#pending.shift();
      this.#submit(part);
      committed ||= part.committed;
      if (all > 1) this.onPart?.(1 - this.#pending.length / all);
    }
    // A device of its own goes on while the host waits for results, which the caller does before long.
    if (!this.#software) this.#unheard = 0;
    return true;
  }

  /** Forgets the parts that wait. */
  discard(): void {
    this.#pending = [];
  }

  /** Lets the event loop have its turn when the last one was long ago, e.g. while pipelines are made. */
  async breathe(): Promise<void> {
    if (performance.now() - this.#lastTurn <= 1000 * this.partSeconds) return;
    this.onPart?.(0);
    await this.#turn();
  }

  /** To be called when the device has run everything and the event loop had its turn. */
  finished(): void {
    this.#measure();
    this.#last = undefined;
    this.#unheard = 0;
    this.#lastTurn = performance.now();
  }

  #submit({ commands, parameters, estimate }: Part): void {
    if (parameters) this.#queue.writeBuffer(this.#parameters, 0, parameters);
    const start = performance.now();
    this.#queue.submit([commands]);
    const end = performance.now();
    this.#submitSeconds += (end - start) / 1000;
    if (end - start > 1000 * blockedSeconds) this.#measure();
    this.#last = { estimate, since: end };
    this.#unheard += this.seconds(estimate);
  }

  async #pause(): Promise<void> {
    const start = performance.now();
    if (!this.#software) {
      await this.#queue.onSubmittedWorkDone();
      this.finished();
    } else await this.#turn();
    this.#submitSeconds += (performance.now() - start) / 1000;
  }

  async #turn(): Promise<void> {
    await turn();
    this.#unheard = 0;
    this.#lastTurn = performance.now();
  }

  /** The part submitted last is done just now. */
  #measure(): void {
    if (!this.#last || this.#last.estimate.compilation > 0) return;
    const { estimate: { work }, since } = this.#last;
    const seconds = (performance.now() - since) / 1000;
    if (seconds < leastMeasuredSeconds) return;
    const measured = Math.min(mostCorrection, Math.max(leastCorrection, seconds / work));
    this.#correction += 0.3 * (measured - this.#correction);
  }
}
