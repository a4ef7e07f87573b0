/**
 * The autotuner: runs training steps in which every launch takes another variant of its list, and keeps the fastest of
 * each bucket. Variants are timed where they are used, among the launches that fill the caches around them.
 */
import { median } from "../median.ts";
import type { Config } from "../config/schema.ts";
import { GpuError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { readTag } from "../gpu/tuning.ts";
import {
  type BucketChoice,
  chooseVariants,
  hopelessVariants,
  leastRounds,
  type TrialTime,
} from "../gpu/tuning_choice.ts";
import { TrainingStep } from "./training_step.ts";

/** What the tuner is given. */
export interface TuningTask {
  readonly gpu: Gpu;
  readonly config: Config;
  /** The time it may take; the step that is under way at its end is finished. */
  readonly seconds: number;
  /** Ends it with the signal's reason when aborted. */
  readonly signal?: AbortSignal;
  /** After each step. */
  onStep?(elapsed: number): void;
}

/** What was found. */
export interface TuningOutcome {
  /** Whole rounds that were measured. */
  readonly rounds: number;
  readonly seconds: number;
  readonly buckets: readonly BucketChoice[];
  /** Median seconds of a training step, measured in turns; null where nothing changed or no time was left. */
  readonly step: { readonly before: number; readonly after: number } | null;
}

/** Steps of each kind that the comparison at the end takes. */
const comparedSteps = 3;
/** All its steps, with the one that warms up. */
const comparisonSteps = 2 * comparedSteps + 1;

/**
 * Measures the variants of all buckets that the device's tuning has no choice for, and adds the choices to it.
 *
 * @throws {GpuError} when the adapter takes no timestamps
 */
export async function tune(task: TuningTask): Promise<TuningOutcome> {
  const { gpu, config } = task;
  if (!gpu.facts.timestamps) {
    throw new GpuError(
      "this adapter takes no timestamps (feature 'timestamp-query'), so kernel variants cannot be measured. Everything " +
        "else works without: the defaults are used.",
    );
  }
  const clock = new Clock(task);
  const step = await TrainingStep.open(gpu, config);
  try {
    const known = gpu.tuning.choices;
    const rounds = await measureRounds(gpu, step, clock);
    const buckets = chooseVariants(rounds, gpu.tuning.defaults);
    const choices = new Map([
      ...known,
      ...buckets.map(({ bucket, chosen }) => [bucket, chosen.name] as const),
    ]);
    const changed = buckets.some(({ standard, chosen }) => chosen !== standard);
    const compared = changed ? await compareSteps(gpu, step, clock, known, choices) : null;
    gpu.tuning.use(choices);
    return { rounds: rounds.length, seconds: clock.elapsed, buckets, step: compared };
  } finally {
    step.release();
  }
}

/** The time budget. */
class Clock {
  readonly #start = performance.now();
  #longestStep = 0;
  #shortestStep = Infinity;

  constructor(readonly task: TuningTask) {}

  get elapsed(): number {
    return (performance.now() - this.#start) / 1000;
  }

  /**
   * Whether more steps are expected to fit: trials, which may take as long as the longest did, and steps with good
   * choices, which take as long as the shortest.
   */
  allows(trials: number, goodSteps: number): boolean {
    const good = goodSteps === 0 ? 0 : goodSteps * this.#shortestStep;
    return this.elapsed + trials * this.#longestStep + good <= this.task.seconds;
  }

  /** Runs a step and returns its seconds. */
  async run(step: TrainingStep, round: number): Promise<number> {
    const seconds = await step.run(round);
    this.#longestStep = Math.max(seconds, this.#longestStep);
    this.#shortestStep = Math.min(seconds, this.#shortestStep);
    this.task.onStep?.(this.elapsed);
    this.task.signal?.throwIfAborted();
    return seconds;
  }

  /** Forgets how long steps took so far: the first ones compile. */
  forget(): void {
    this.#longestStep = 0;
  }
}

/** Whole rounds of trials, after one that only compiles; each leaves out what the ones before found hopeless. */
async function measureRounds(gpu: Gpu, step: TrainingStep, clock: Clock): Promise<TrialTime[][]> {
  const { tuning, stream } = gpu;
  const profiler = gpu.profile();
  const rounds: TrialTime[][] = [];
  const runRound = async (round: number, compiling: boolean): Promise<TrialTime[] | undefined> => {
    for (let trial = 0; trial === 0 || trial < tuning.mostVariants; trial++) {
      if (!clock.allows(compiling ? 0 : 1, compiling ? 0 : comparisonSteps)) return undefined;
      tuning.trial = trial;
      await clock.run(step, round);
    }
    return (await profiler.take()).flatMap(({ kernel, flops, seconds }) => {
      const tag = readTag(kernel);
      return tag ? [{ ...tag, flops, seconds }] : [];
    });
  };
  try {
    let times = await runRound(0, true);
    clock.forget();
    // As long as there is something to compare, and until a default that stays is known well.
    while (times && tuning.mostVariants > (rounds.length < leastRounds ? 0 : 1)) {
      times = await runRound(rounds.length, false);
      if (!times) break;
      rounds.push(times);
      for (const tag of hopelessVariants(times)) tuning.drop(tag);
    }
    return rounds;
  } finally {
    tuning.trial = undefined;
    stream.submit();
    stream.profiler = undefined;
    profiler.destroy();
  }
}

/** Times whole steps with the choices from before and with the new ones, in turns, after one step to warm up. */
async function compareSteps(
  { tuning }: Gpu,
  step: TrainingStep,
  clock: Clock,
  known: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, string>,
): Promise<TuningOutcome["step"]> {
  const before: number[] = [], after: number[] = [];
  tuning.use(found);
  await clock.run(step, 0);
  for (let turn = 0; turn < comparedSteps && clock.allows(0, 2); turn++) {
    for (const [choices, seconds] of [[known, before], [found, after]] as const) {
      tuning.use(choices);
      seconds.push(await clock.run(step, turn));
    }
  }
  if (before.length === 0) return null;
  return { before: median(before), after: median(after) };
}
