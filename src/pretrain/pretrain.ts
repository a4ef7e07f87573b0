/** A pretraining run from a configuration to its folder: new or resumed. */
import { configWarnings } from "../config/checks.ts";
import { parseConfig } from "../config/load.ts";
import type { Override } from "../config/overrides.ts";
import type { Config } from "../config/schema.ts";
import type { SourceOptions } from "../data/source.ts";
import { ConfigurationError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { isKnn } from "../store/metrics.ts";
import { RunFolder } from "../store/run_folder.ts";
import { version } from "../version.ts";
import { loadCheckpoint } from "./checkpoint.ts";
import { expectMemory } from "./memory_plan.ts";
import { openRunData } from "./run_data.ts";
import { PretrainState } from "./state.ts";
import { Trainer, type TrainingObserver, type TrainingResult } from "./trainer.ts";
import { KnnWatch } from "./watch.ts";

/** What the caller of a run hears of it. */
export interface PretrainHooks
  extends TrainingObserver, Required<Pick<SourceOptions, "onProgress" | "onWarning">> {
  /** Images are open and training begins or goes on at `step`. */
  onStart(started: { images: number; labelled: boolean; step: number; totalSteps: number }): void;
  /** Stops the run when aborted; its checkpoint is then that of the last complete step. */
  signal: AbortSignal;
}

/** A run that has ended, or was stopped. */
export interface PretrainOutcome extends TrainingResult {
  folder: RunFolder;
  config: Config;
  /** Mean loss of the run's last metrics line; undefined before the first. */
  loss: number | undefined;
  /** Accuracy of its last evaluation; undefined before the first. */
  knn: number | undefined;
  /** Images trained on. */
  images: number;
  /** Number of classes, where the images have labels. */
  classes: number | undefined;
}

/**
 * Starts a run in a folder that holds none.
 * @throws {UsageError} when the folder holds one
 */
export async function startRun(
  gpu: Gpu,
  path: string,
  config: Config,
  hooks: PretrainHooks,
): Promise<PretrainOutcome> {
  return await train(gpu, config, path, hooks);
}

/**
 * Goes on with a run from its last checkpoint, bit for bit as if it had not been interrupted.
 * @param overrides changes of its configuration; they end that equality, e.g. more epochs stretch the schedule
 */
export async function resumeRun(
  gpu: Gpu,
  path: string,
  overrides: readonly Override[],
  hooks: PretrainHooks,
): Promise<PretrainOutcome> {
  const folder = await RunFolder.open(path);
  const stored = await folder.readConfig();
  const config = parseConfig(stored.config, folder.configPath, overrides);
  return await train(gpu, config, folder, hooks);
}

/** @param target the path of a new run, or the folder of one that goes on */
async function train(
  gpu: Gpu,
  config: Config,
  target: string | RunFolder,
  hooks: PretrainHooks,
): Promise<PretrainOutcome> {
  await expectMemory(gpu, config);
  const data = await openRunData(gpu, config, hooks);
  const state = new PretrainState(gpu, config);
  try {
    for (const warning of configWarnings(config, data.train.length)) hooks.onWarning(warning);
    // Only now: a mistake in the specification of the images leaves no folder behind.
    const folder = typeof target === "string" ? await RunFolder.create(target, config, version) : target;
    const started = await folder.hasCheckpoint();
    if (started) await loadCheckpoint(folder.lastCheckpointPath, state);
    else await state.initialise();
    await folder.truncateMetrics(started ? state.step : -1);
    const evaluated = (await folder.readMetrics()).some((line) => isKnn(line) && line.step === state.step);

    const watch = data.knn && new KnnWatch(state, config, data.knn);
    const trainer = new Trainer({
      gpu,
      config,
      state,
      folder,
      views: data.views,
      images: data.train,
      evaluate: watch && ((step, epoch) => watch.evaluate(step, epoch, step === 0)),
      evaluated,
      observer: hooks,
      signal: hooks.signal,
    });
    if (state.step > trainer.totalSteps) {
      throw new ConfigurationError(
        `training.epochs is ${config.training.epochs}, that is ${trainer.totalSteps} steps, but ${folder.path} is at ` +
          `step ${state.step} already. Give at least the epochs that are done with --epochs.`,
      );
    }
    if (folder === target) await folder.writeConfig(config, version);
    hooks.onStart({
      images: data.train.length,
      labelled: data.source.labels !== undefined,
      step: state.step,
      totalSteps: trainer.totalSteps,
    });
    const result = await trainer.run();
    const { skipped, classes, labels } = data.source;
    if (skipped.length > 0) {
      hooks.onWarning(
        skipped.length === 1
          ? "1 image could not be read and was left out."
          : `${skipped.length} images could not be read and were left out.`,
      );
    }
    const metrics = await folder.readMetrics();
    return {
      ...result,
      folder,
      config,
      loss: metrics.findLast((line) => "loss" in line)?.loss,
      knn: metrics.findLast(isKnn)?.knn,
      images: data.train.length,
      classes: labels && classes?.length,
    };
  } finally {
    state.release();
    data.close();
  }
}
