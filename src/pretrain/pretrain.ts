/** A pretraining run from a configuration to its folder: new or resumed. */
import { configWarnings } from "../config/checks.ts";
import type { Override } from "../config/overrides.ts";
import type { Config } from "../config/schema.ts";
import { imageName } from "../data/image_name.ts";
import type { SourceOptions } from "../data/image_set.ts";
import { ConfigurationError, DataError, TrainingError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { ChoiceSpace } from "../elastic/choice_space.ts";
import { purpose, Random } from "../random.ts";
import { readDataRecord } from "../store/data_record.ts";
import {
  type EvaluationMetrics,
  isEvaluation,
  isKnn,
  isStep,
  type KnnMetrics,
  type MetricsLine,
} from "../store/metrics.ts";
import { RunFolder } from "../store/run_folder.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { version } from "../version.ts";
import { saveCheckpoint } from "./checkpoint.ts";
import { readInitialWeights } from "./init/initial_weights.ts";
import { settleIdentities } from "./init/settle.ts";
import { restoreState, resumedConfig, type ResumePoint } from "./resume.ts";
import { openRunData, type RunData } from "./run_data.ts";
import { keepRecord } from "./run_record.ts";
import { expectMemory } from "./memory_plan.ts";
import { PretrainState } from "./state.ts";
import { openTeacher, type TeacherHooks, withTeacherDimension } from "./teacher/teacher.ts";
import {
  stepsPerEpoch,
  Trainer,
  type TrainingObserver,
  type TrainingPlan,
  type TrainingResult,
} from "../train/trainer.ts";
import type { Peers } from "../train/distributed/peers.ts";
import { CollapseAlarm } from "./collapse_alarm.ts";
import { type NeighbourSheet, neighbourSheet } from "./neighbours.ts";
import {
  changeOfRanks,
  expectSame,
  keepsNothing,
  leads,
  ownShare,
  trainTogether,
  unionOfRanks,
} from "./together.ts";
import { KnnWatch, SpreadWatch } from "./watch.ts";

/** What the caller of a run hears of it. */
export interface PretrainHooks
  extends
    TrainingObserver<EvaluationMetrics | KnnMetrics>,
    TeacherHooks,
    Required<Pick<SourceOptions, "onProgress" | "onWarning">> {
  /** What the run starts from, a sentence at a time. */
  onNote?(text: string): void;
  /** Images are open and training begins or goes on at `step`. */
  onStart(started: { images: number; labelled: boolean; step: number; totalSteps: number }): void;
  /**
   * The run has ended or was stopped, and its folder is still locked: time to write what else belongs into it. The run
   * waits for it.
   */
  onEnd?(outcome: PretrainOutcome): Promise<void>;
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
  /** Images with their nearest; undefined where the run was stopped, or wants no evaluation. */
  neighbours: NeighbourSheet | undefined;
}

/**
 * Starts a run in a folder that holds none. When it fails before its first steps are done, the folder is as before.
 *
 * @param peers processes that train it together; all call this with the same arguments
 * @throws {UsageError} when the folder holds one, or another process uses it
 */
export async function startRun(
  gpu: Gpu,
  path: string,
  given: Config,
  hooks: PretrainHooks,
  peers?: Peers,
): Promise<PretrainOutcome> {
  let initial = await readInitialWeights(given);
  for (const note of initial?.notes ?? []) hooks.onNote?.(note);
  const planned = await withTeacherDimension(initial?.config ?? given, hooks);
  await expectMemory(gpu, ownShare(planned, peers));
  await using cleanup = new AsyncDisposableStack();
  const data = await openRunData(gpu, planned, hooks);
  cleanup.defer(() => data.release());
  const { config, targets } = await openTeacher(gpu, planned, data, hooks);
  const state = new PretrainState(gpu, config, undefined, peers);
  cleanup.defer(() => state.release());
  const labelled = data.source.labels !== undefined;
  for (const warning of configWarnings(config, data.train.length, labelled)) hooks.onWarning(warning);
  const ready = { gpu, config, data, targets, state, metrics: [], resumedFrom: undefined, peers };
  if (!leads(peers)) {
    initial &&= await settleIdentities(gpu, config, initial, data);
    await state.initialise(initial);
    return await train({ ...ready, folder: RunFolder.keptByOther(path), hooks });
  }
  // Only now: a mistake in the specification of the images leaves no folder behind.
  const madeHere = !await RunFolder.exists(path);
  let begun = false;
  cleanup.defer(async () => {
    if (madeHere && !begun) await RunFolder.removeIfEmpty(path);
  });
  cleanup.use(await RunFolder.lock(path, hooks.onWarning));
  const folder = await RunFolder.create(path, config, version);
  try {
    initial &&= await settleIdentities(gpu, config, initial, data);
    await state.initialise(initial);
    // The device has them now; the host's memory is for training.
    initial = undefined;
    const observer = {
      ...hooks,
      onSteps: (...steps: Parameters<typeof hooks.onSteps>) => {
        begun = true;
        hooks.onSteps(...steps);
      },
      onEnd: async (outcome: PretrainOutcome) => {
        // From here on there is a run, of no steps perhaps: what fails now takes nothing of it away.
        begun = true;
        await hooks.onEnd?.(outcome);
      },
    };
    return await train({ ...ready, folder, hooks: observer });
  } catch (error) {
    // A run that diverged at once has a configuration to look at, and a first checkpoint to go on from.
    if (!begun && !(error instanceof TrainingError)) await folder.discard();
    throw error;
  }
}

/** What a resumed run changes, and where it goes on. */
export interface ResumeOptions {
  /** Changes of its configuration; they end the equality with an uninterrupted run, e.g. more epochs stretch the schedule. */
  readonly overrides?: readonly Override[];
  /** `last` or `epoch-N`; without, the last checkpoint or, where it is damaged, the newest whole one. */
  readonly checkpoint?: string;
  /** Goes on with images that have changed since the run began; without, they are refused. */
  readonly acceptChangedData?: boolean;
  /** Processes that go on with it together; any number, whatever began it. */
  readonly peers?: Peers | undefined;
}

/**
 * Goes on with a run from its last checkpoint, bit for bit as if it had not been interrupted. What a run that goes on from
 * an earlier checkpoint leaves behind is kept in a folder `superseded-K` within the run's.
 *
 * @throws {UsageError} for a change of what a run keeps, a checkpoint that is not there, or a run in use
 * @throws {DataError} when the run's files are damaged; then nothing was changed
 */
export async function resumeRun(
  gpu: Gpu,
  path: string,
  { overrides = [], checkpoint, acceptChangedData = false, peers }: ResumeOptions,
  hooks: PretrainHooks,
): Promise<PretrainOutcome> {
  await using cleanup = new AsyncDisposableStack();
  const folder = await RunFolder.open(path);
  if (leads(peers)) cleanup.use(await RunFolder.lock(path, hooks.onWarning));
  const { config } = await resumedConfig(folder, overrides);
  await expectMemory(gpu, ownShare(config, peers));
  const metrics = await folder.readMetrics();
  const state = new PretrainState(gpu, config, undefined, peers);
  cleanup.defer(() => state.release());
  const point = await restoreState(folder, state, metrics, checkpoint, hooks.onWarning);
  const earlier = { record: await readDataRecord(path), acceptChanges: acceptChangedData };
  const data = await openRunData(gpu, config, hooks, earlier);
  cleanup.defer(() => data.release());
  const { targets } = await openTeacher(gpu, config, data, hooks);
  if (!point) {
    const initial = await readInitialWeights(config);
    await state.initialise(initial && await settleIdentities(gpu, config, initial, data));
  }
  const labelled = data.source.labels !== undefined;
  for (const warning of configWarnings(config, data.train.length, labelled)) hooks.onWarning(warning);
  return await train({
    gpu,
    config,
    folder,
    data,
    targets,
    state,
    hooks,
    metrics,
    resumedFrom: point,
    peers,
  });
}

/** A run whose images are open and whose state is that of its step. */
interface ReadyRun {
  readonly gpu: Gpu;
  readonly config: Config;
  readonly folder: RunFolder;
  readonly data: RunData;
  /** What a teacher says of the images of a batch, [B, D]; absent where nobody teaches. */
  readonly targets: ((batch: Uint32Array) => Tensor) | undefined;
  readonly state: PretrainState;
  readonly hooks: PretrainHooks;
  /** Lines of the run so far, those beyond the state's step included. */
  readonly metrics: readonly MetricsLine[];
  /** Undefined at the start. */
  readonly resumedFrom: ResumePoint | undefined;
  readonly peers: Peers | undefined;
}

async function train(run: ReadyRun): Promise<PretrainOutcome> {
  const { gpu, config, folder, data, targets, state, hooks, metrics, resumedFrom, peers } = run;
  const watch = data.knn
    ? new KnnWatch(state, config, data.knn, peers)
    : data.bank && new SpreadWatch(state, config, data.bank, peers);
  const agreed = peers && new AbortController();
  const alarm = new CollapseAlarm(metrics.filter(({ step }) => step <= state.step));
  const trainer: Trainer<EvaluationMetrics | KnnMetrics> = new Trainer({
    gpu,
    plan: trainingPlan(config, state.space, stepsPerEpoch(config.training, data.train.length)),
    state,
    keeper: !leads(peers) ? keepsNothing(folder.lastCheckpointPath) : {
      lastCheckpoint: folder.lastCheckpointPath,
      append: (...lines) => folder.appendMetrics(...lines),
      save: (epoch, kept) =>
        saveCheckpoint(
          state,
          epoch,
          ...kept ? [folder.epochCheckpointPath(epoch)] : [],
          folder.lastCheckpointPath,
        ),
    },
    views: data.views,
    images: data.train,
    shards: data.source.shards,
    given: targets && ((batch) => ({ targets: targets(batch) })),
    evaluate: watch && ((step, epoch) => watch.evaluate(step, epoch, step === 0)),
    evaluated: resumedFrom !== undefined &&
      metrics.some((line) => isEvaluation(line) && line.step === state.step),
    observer: {
      ...hooks,
      onEvaluation(line) {
        hooks.onEvaluation(line);
        const warning = alarm.hear(line);
        // After the last step the run's end says it.
        if (warning !== undefined && line.step < trainer.totalSteps) {
          hooks.onWarning(`After ${line.epoch} ${line.epoch === 1 ? "epoch" : "epochs"}: ${warning}`);
        }
      },
    },
    signal: agreed?.signal ?? hooks.signal,
    peers: peers && trainTogether(state, peers, agreed!),
  });
  if (state.step > trainer.totalSteps) {
    throw new ConfigurationError(
      `training.epochs is ${config.training.epochs}, that is ${trainer.totalSteps} steps, but ${folder.path} is at ` +
        `step ${state.step} already. Give at least the epochs that are done with --epochs.`,
    );
  }
  if (peers) {
    peers.partOf(new Uint32Array(config.training.batch));
    await expectSame(peers, {
      version,
      configuration: JSON.stringify(config),
      images: data.record.list.digest,
      step: String(state.step),
    });
  }
  const change = resumedFrom && changeOfRanks(metrics, state.step, peers);
  if (change !== undefined) hooks.onWarning(change);
  if (leads(peers)) await prepareFolder(run);
  hooks.onStart({
    images: data.train.length,
    labelled: data.source.labels !== undefined,
    step: state.step,
    totalSteps: trainer.totalSteps,
  });
  const result = await trainer.run();
  await reportUnread(run);
  const { classes, labels } = data.source;
  const all = leads(peers) ? await folder.readMetrics() : [];
  const outcome = {
    ...result,
    folder,
    config,
    loss: all.findLast(isStep)?.loss,
    knn: all.findLast(isKnn)?.knn,
    images: data.train.length,
    classes: labels && classes?.length,
    neighbours: result.interrupted || !leads(peers) ? undefined : await findNeighbours(run),
  };
  if (leads(peers)) await hooks.onEnd?.(outcome);
  return outcome;
}

/** Names what other ranks alone could not read, and counts all. */
async function reportUnread({ data: { source }, hooks, peers }: ReadyRun): Promise<void> {
  const { broken = new Set<number>(), leftOut = [] } = source;
  const all = peers ? await unionOfRanks(peers, broken) : [...broken];
  for (const index of all.filter((index) => !broken.has(index))) {
    hooks.onWarning(`another rank skipped the broken image "${imageName(source, index)}"`);
  }
  const missing = all.length + leftOut.length;
  if (missing === 0) return;
  hooks.onWarning(
    missing === 1
      ? "1 image could not be read and was left out."
      : `${missing} images could not be read and were left out.`,
  );
}

/** What a configuration says about the loop. */
function trainingPlan(
  { training, optimizer, knn, sandwich }: Config,
  space: ChoiceSpace,
  stepsPerEpoch: number,
): TrainingPlan {
  const alone = { largest: true, smallest: false, random: 0 };
  return {
    ...training,
    evaluateEvery: knn.every,
    schedule: optimizer,
    passesPerStep: (sandwich.largest ? 1 : 0) + (sandwich.smallest ? 1 : 0) + sandwich.random,
    passes: (step) =>
      space.sandwich(
        new Random(training.seed, purpose.architecture, step),
        step < sandwich.aloneEpochs * stepsPerEpoch ? alone : sandwich,
      ),
  };
}

/** Undefined where the configuration wants no evaluation, or the user no longer waits for it. */
async function findNeighbours(
  { gpu, config, data, state, hooks }: ReadyRun,
): Promise<NeighbourSheet | undefined> {
  if (!data.bank) return undefined;
  const { stream } = gpu;
  const { interrupt } = stream;
  stream.interrupt = hooks.signal;
  try {
    return await stream.unprofiled(() => neighbourSheet(state, config, data.bank!, data.knn?.queries));
  } catch (error) {
    // The run is done and saved; a report without pictures is one, too.
    if (error instanceof DataError) {
      hooks.onWarning(`The report has no neighbours of images: ${error.message}`);
    } else if (!hooks.signal.aborted || error !== hooks.signal.reason) throw error;
    return undefined;
  } finally {
    stream.interrupt = interrupt;
  }
}

/** The first change of a run's folder, after everything that it depends on was checked. */
async function prepareFolder({ folder, config, data, state, hooks, resumedFrom }: ReadyRun): Promise<void> {
  if (resumedFrom && (resumedFrom.chosen.epoch !== undefined || resumedFrom.later.length > 0)) {
    const kept = await folder.supersede(resumedFrom.chosen, resumedFrom.later);
    hooks.onWarning(
      `The run goes on from ${resumedFrom.chosen.name}, step ${state.step}; its metrics and checkpoints from after that ` +
        `are kept in ${kept}.`,
    );
  }
  await folder.removePartialCheckpoints();
  await folder.truncateMetrics(resumedFrom ? state.step : -1);
  await folder.writeConfig(config, version);
  await keepRecord(folder.path, data, state.step, hooks.onWarning);
}
