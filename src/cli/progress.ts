/** Progress of a long loop: a bar on a terminal, a line now and then elsewhere. */

import { formatDuration } from "../duration.ts";
import { formatCount, formatRate } from "./format.ts";
import type { Logger } from "./logger.ts";

/** What a {@linkcode Progress} shows. */
export interface ProgressOptions {
  readonly logger: Logger;
  /** What is going on, e.g. `pretrain`. */
  readonly label: string;
  /** Number of steps in all. */
  readonly total: number;
  /** What a step is, in the plural, e.g. `steps`. */
  readonly unit: string;
  /** Steps done before this run, e.g. by the run that is resumed. */
  readonly done?: number;
  /** When the work began, by the clock; now, unless it was before there was anything to show. */
  readonly began?: number;
  /** Clock in milliseconds; for tests. */
  readonly now?: () => number;
}

const barWidth = 20;
/** Milliseconds between two redraws of the bar. */
const redrawInterval = 100;
/** Milliseconds between two lines when there is no terminal. */
const lineInterval = 10_000;
/**
 * The rate is that of the last so many milliseconds, and of so many steps at least: what a cold start costs is soon
 * forgotten, and parts of a long step, which are not equally long, say little.
 */
const rateWindow = 15_000, rateSteps = 2;

/** Shows fraction, rate, time left and the caller's own fields (loss, images/s). */
export class Progress {
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  #samples: { time: number; done: number }[];
  #fields: Readonly<Record<string, string>> = {};
  #note = "";
  #shown = -Infinity;
  #printed = "";

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#samples = [{ time: options.began ?? this.#now(), done: options.done ?? 0 }];
  }

  /**
   * Reports steps done.
   *
   * @param done steps done so far, with those before this run; a fraction says how far the present one is
   * @param fields further values by name; they stay until replaced
   */
  update(done: number, fields: Readonly<Record<string, string>> = {}): void {
    const time = this.#now();
    this.#fields = { ...this.#fields, ...fields };
    this.#samples.push({ time, done });
    const isOld = (sample: { time: number; done: number }) =>
      sample.time <= time - rateWindow && sample.done <= done - rateSteps;
    while (this.#samples.length > 2 && isOld(this.#samples[1])) this.#samples.shift();
    const interval = this.#options.logger.target.isTerminal ? redrawInterval : lineInterval;
    if (time - this.#shown >= interval) this.#show(time);
  }

  /** Shows at once what goes on; it stays until replaced, an empty text removes it. */
  note(text: string): void {
    this.#note = text;
    if (text !== "") this.#show(this.#now());
  }

  /** Leaves what has passed out of the rate: it went by with other work than steps. */
  restart(): void {
    this.#samples = [{ time: this.#now(), done: this.#last }];
  }

  /** Shows the last state once more, as a line that stays. */
  finish(): void {
    this.#options.logger.status("");
    this.#print(this.#line());
  }

  #show(time: number): void {
    this.#shown = time;
    const { logger, total } = this.#options;
    if (!logger.target.isTerminal) return this.#print(this.#line());
    const filled = Math.round(barWidth * this.#last / Math.max(1, total));
    logger.status(`${"█".repeat(filled)}${"░".repeat(Math.max(0, barWidth - filled))} ${this.#line()}`);
  }

  /** A line that stays, unless it stands there already. */
  #print(line: string): void {
    if (line !== this.#printed) this.#options.logger.info(line);
    this.#printed = line;
  }

  get #last(): number {
    return this.#samples[this.#samples.length - 1].done;
  }

  #line(): string {
    const { label, total, unit } = this.#options;
    const first = this.#samples[0], last = this.#samples[this.#samples.length - 1];
    const rate = 1000 * (last.done - first.done) / (last.time - first.time);
    const whole = Math.floor(last.done);
    const parts = [
      `${label} ${Math.floor(100 * last.done / Math.max(1, total))} % (${formatCount(whole)}/${
        formatCount(total)
      } ${unit})`,
    ];
    // Only long steps have parts that are seen.
    if (last.done > whole) parts[0] += `, ${Math.floor(100 * (last.done - whole))} % of the next`;
    if (this.#note !== "") parts.push(this.#note);
    // A part of the first step, which compiles, says nothing of the others.
    if (last.done - first.done >= 1 && Number.isFinite(rate)) {
      parts.push(`${formatRate(rate)} ${unit}/s`);
      if (last.done < total) parts.push(`${formatDuration((total - last.done) / rate)} left`);
    }
    return [...parts, ...Object.entries(this.#fields).map(([name, value]) => `${name} ${value}`)].join(", ");
  }
}
