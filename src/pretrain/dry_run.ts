/** What a run will be: counted, planned and measured before it starts. Nothing is written. */
import { givenOr, withPublished } from "../config/automatic.ts";
import { checkAgainstData, checkConfig } from "../config/checks.ts";
import type { Config, Settings } from "../config/schema.ts";
import type { SourceOptions } from "../data/image_set.ts";
import { heldOutCount, splitHeldOut } from "../data/split.ts";
import type { Gpu } from "../gpu/device.ts";
import {
  long,
  runSeconds,
  secondsWithImages,
  type ShorterWay,
  shorterWays,
  type SmallerWay,
  type TimedRun,
} from "./fit/duration.ts";
import { type ChosenField, decodingWorkers, fitEpochs, fitSettings } from "./fit/fit.ts";
import { lookAtImages } from "./fit/look.ts";
import { measureStep } from "./fit/pace.ts";
import { readInitialWeights } from "./init/initial_weights.ts";
import { checkMemory, freeMemory, type MemoryPlan, planMemory } from "./memory_plan.ts";
import { withTeacherDimension } from "./teacher/teacher.ts";
import { stepsPerEpoch } from "../train/trainer.ts";

/** A run before it starts. */
export interface RunPlan {
  readonly steps: number;
  readonly epochs: number;
  /** Images that are trained on, and those held back. */
  readonly images: { readonly training: number; readonly heldOut: number };
  /** Bytes. */
  readonly memory: MemoryPlan;
  /** Free bytes of main memory; null where neither the system nor the permissions tell. */
  readonly free: number | null;
  /** What the configuration left to the images and the device. */
  readonly automatic: readonly ChosenField[];
  /** Measured here; null where there are too few steps to be worth it. */
  readonly secondsPerStep: number | null;
  /** Estimated, of what is left: decoding, steps and evaluations. */
  readonly seconds: number | null;
  /** When that is over, from now on, in ISO 8601. */
  readonly ends: string | null;
  /** Flags of a run of about an hour or less, where this one is longer. */
  readonly shorter: readonly ShorterWay[];
}

/** How a run is planned. */
export interface PlanOptions extends Pick<SourceOptions, "onWarning"> {
  /** Steps that are done already. */
  readonly done?: number;
  /** A run of so many steps or fewer is not measured; default 0. */
  readonly unmeasuredSteps?: number;
  /** A configuration of smaller networks, and the flag that asks for it. */
  readonly smaller?: { readonly flags: string; readonly settings: Settings };
  /** Told of images that are smaller than the network's input, with their shorter side. */
  onSmallImages?(side: number): void;
  /** Told before the first measured step, which compiles. */
  onFirstStep?(): void;
}

/**
 * Decides about what a configuration leaves open, and plans the run.
 * @throws {ConfigurationError} for whatever a start would refuse
 */
export async function planRun(
  gpu: Gpu,
  given: Settings,
  { done = 0, unmeasuredSteps = 0, smaller, onFirstStep, onSmallImages, ...hooks }: PlanOptions = {},
): Promise<{ config: Config; plan: RunPlan }> {
  const settings = await withTeacherDimension(given);
  // A run that goes on has its weights.
  if (done === 0) await readInitialWeights(withPublished(settings));
  const look = await lookAtImages(settings, decodingWorkers(settings, gpu).value, hooks);
  if (look.shorterSide !== undefined && look.shorterSide < settings.data.imageSize) {
    onSmallImages?.(look.shorterSide);
  }
  const fitted = await fitSettings(gpu, settings, look);
  const heldOut = heldOutCount(fitted.config, look.classes !== undefined);
  const training = splitHeldOut(look.images, heldOut, 0).train.length;
  checkConfig(fitted.config);
  checkAgainstData(fitted.config, training);
  const memory = await planMemory(gpu, fitted.config, look.images, look.bytesPerImage);
  const free = freeMemory();
  checkMemory(memory, fitted.config, gpu.facts.software, free);
  const perEpoch = stepsPerEpoch(fitted.config.training, training);
  const { epochs } = settings.training;
  const measured = epochs === "auto" || epochs * perEpoch - done > unmeasuredSteps;
  const secondsPerStep = measured ? await measureStep(gpu, fitted.config, onFirstStep) : 0;
  const timed = {
    look,
    training,
    heldOut,
    stepsPerEpoch: perEpoch,
    done,
    secondsPerStep,
    automaticEpochs: epochs === "auto",
  };
  const { config, chosen } = fitEpochs(
    settings,
    fitted,
    training,
    perEpoch,
    (config) => secondsWithImages({ ...timed, config }),
  );
  checkConfig(config);
  const run: TimedRun = { ...timed, config };
  const seconds = measured ? runSeconds(run) : undefined;
  const plan = {
    steps: config.training.epochs * perEpoch,
    epochs: config.training.epochs,
    images: { training, heldOut },
    memory,
    free: free ?? null,
    automatic: chosen,
    secondsPerStep: measured ? Number(secondsWithImages(run).toPrecision(4)) : null,
    seconds: seconds === undefined ? null : Number(seconds.toFixed(1)),
    ends: seconds === undefined ? null : new Date(Date.now() + 1000 * seconds).toISOString(),
    shorter: measured ? shorterWays(run, await measureSmaller(gpu, run, smaller)) : [],
  };
  return { config, plan };
}

/** What a step of smaller networks takes, where the run is long. */
async function measureSmaller(
  gpu: Gpu,
  run: TimedRun,
  smaller: PlanOptions["smaller"],
): Promise<SmallerWay | undefined> {
  if (smaller === undefined || run.done > 0 || runSeconds(run) <= long) return undefined;
  const { flags, settings } = smaller;
  const published = withPublished(settings);
  const { training, moco } = run.config;
  const batch = givenOr(settings.training.batch, training.batch);
  const queue = givenOr(settings.moco.queue, Math.max(batch, moco.queue));
  const config = {
    ...published,
    moco: { ...published.moco, queue },
    training: { ...published.training, batch },
  };
  const ratio = await measureStep(gpu, config) / batch / (run.secondsPerStep / run.config.training.batch);
  return { flags, ratio, epochs: settings.training.epochs };
}
