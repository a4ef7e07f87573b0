/** `deno task pretrain`: pretrains an elastic network without labels. */
import { formatDuration } from "../duration.ts";
import { configDifferences } from "../config/difference.ts";
import { loadSettings } from "../config/load.ts";
import { type Override, parseSet } from "../config/overrides.ts";
import type { Settings } from "../config/schema.ts";
import { UsageError } from "../errors.ts";
import type { RunPlan } from "../pretrain/dry_run.ts";
import { resumeRun, startRun } from "../pretrain/pretrain.ts";
import { resumedConfig } from "../pretrain/resume.ts";
import { configuredNetwork } from "../nn/configured_network.ts";
import { measureProgress, progressSentence } from "../evaluate/progress.ts";
import { qualityWarnings } from "../evaluate/verdict.ts";
import { withPublished } from "../config/automatic.ts";
import { withPlainSpaces } from "../number_format.ts";
import { isStep } from "../store/metrics.ts";
import { RunFolder } from "../store/run_folder.ts";
import { type Context, defineCommand, runCommand } from "./command.ts";
import { configFlags } from "./config_flags.ts";
import { dataFlag, givenData } from "./data_flag.ts";
import { defaultConfigFor, demoConfig, photosConfig, smallPhotosConfig } from "./default_config.ts";
import { openDevice } from "./device.ts";
import { counted, formatRate, formatShare } from "./format.ts";
import type { Logger } from "./logger.ts";
import { nextAfterPretrain } from "./next.ts";
import { measureProfile, profileText } from "./profile.ts";
import { dataPaths, guardRunFolder } from "./output_guard.ts";
import { initFlag, initOverrides } from "./init_flag.ts";
import { hooksFor } from "./pretrain_hooks.ts";
import { exitStatus } from "./exit_status.ts";
import { distributedFlags, expectGiven, onEveryRank, type Ranks } from "./distributed.ts";
import { formatPlan, planLines, planWithProgress } from "./pretrain_plan.ts";
import { writeReport } from "./run_report.ts";
import { expectTaughtSelf, teacherFlag, teacherPath } from "./teacher.ts";
import { describeTuning, secondsFlag, tuneDevice } from "./tune_device.ts";

interface PretrainSummary {
  readonly run: string;
  readonly steps: number;
  readonly epochs: number;
  readonly loss: number | null;
  readonly knn: number | null;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  /** Of several processes that were asked to end: the same command with `--resume` goes on. */
  readonly requeue?: true;
}

const flags = {
  config: {
    ...configFlags.config,
    default: undefined,
    description:
      `Configuration (default: ${demoConfig}; for folders and lists of photos ${photosConfig}, without a GPU ${smallPhotosConfig})`,
  },
  data: dataFlag("Images to train on", "the configuration's"),
  init: initFlag,
  out: {
    type: "string",
    placeholder: "DIR",
    description: "Run folder (default: runs/ and the configuration's name, numbered where it exists)",
  },
  epochs: {
    type: "integer",
    placeholder: "N",
    minimum: 0,
    description: "Epochs; 0 writes the initial checkpoint",
  },
  seed: {
    type: "integer",
    placeholder: "N",
    minimum: 0,
    maximum: 0xffff_ffff,
    description: "Seed of all randomness",
  },
  teacher: teacherFlag,
  resume: { type: "boolean", description: "Continue the run in --out, or the newest of this configuration" },
  checkpoint: {
    type: "string",
    placeholder: "NAME",
    description:
      "With --resume: last or epoch-N (default: last or, where that is damaged, the newest whole one); what came after " +
      "it is kept in superseded-K",
  },
  acceptChangedData: {
    type: "boolean",
    description:
      "With --resume: go on with images that have changed since the run began; what was held out stays so",
  },
  strict: { type: "boolean", description: "Stop at an image that cannot be read, instead of skipping it" },
  profile: {
    type: "boolean",
    description: "Measure every kernel and print a table at the end; slows the run down",
  },
  tune: {
    ...secondsFlag,
    description:
      "Measure kernel variants so long before the first step, those that an earlier tuning did not; a " +
      "tuned device rounds sums differently",
  },
  dryRun: {
    type: "boolean",
    description:
      "Measure a few steps, show how long all take and how much memory, and stop: nothing is written",
  },
  ...distributedFlags,
  set: configFlags.set,
} as const;

type PretrainContext = Context<typeof flags>;
type Flags = PretrainContext["flags"];

function overridesOf({ init, data, epochs, seed, strict, teacher, set }: Flags): Override[] {
  const overrides: Override[] = [];
  if (init !== undefined) overrides.push(...initOverrides(init));
  const source = givenData(data);
  if (source !== undefined) overrides.push({ path: "data.source", value: source, flag: "--data" });
  if (epochs !== undefined) overrides.push({ path: "training.epochs", value: epochs, flag: "--epochs" });
  if (seed !== undefined) overrides.push({ path: "training.seed", value: seed, flag: "--seed" });
  if (teacher !== undefined) {
    overrides.push({ path: "distillation.teacher", value: teacher, flag: "--teacher" });
  }
  if (strict) overrides.push({ path: "data.strict", value: true, flag: "--strict" });
  return [...overrides, ...set.map(parseSet)];
}

/** Whether there is a run in a folder, be it one that has lost its configuration, which is an error of its own. */
async function holdsAnyRun(path: string): Promise<boolean> {
  return await RunFolder.holdsRun(path) || await RunFolder.lacksConfig(path);
}

/** `runs/demo`, `runs/demo-2`, …: the first that holds no run, and the last that does. */
async function defaultFolders(config: string): Promise<{ next: string; newest: string | undefined }> {
  const name = config.replace(/^.*[\\/]/, "").replace(/\.json$/, "");
  let newest: string | undefined;
  for (let number = 1;; number++) {
    const path = number === 1 ? `runs/${name}` : `runs/${name}-${number}`;
    if (!await holdsAnyRun(path)) return { next: path, newest };
    newest = path;
  }
}

/** A run that goes on: its configuration, the steps that it has done, and what one took; undefined before the first. */
async function storedRun(path: string, overrides: readonly Override[]) {
  const folder = await RunFolder.open(path);
  const { config } = await resumedConfig(folder, overrides);
  const metrics = await folder.readMetrics();
  const last = metrics.filter(isStep).findLast(({ imagesPerSecond }) => imagesPerSecond > 0);
  const secondsPerStep = last && config.training.batch / last.imagesPerSecond;
  return { config, steps: metrics.at(-1)?.step ?? 0, secondsPerStep };
}

/**
 * What flags change of a run that goes on. It keeps what decides about the steps that are done, and its configuration
 * file: flags that repeat them are welcome, so that the same command line resumes a run; flags that contradict them are
 * refused, here already, before anything is opened.
 */
async function resumeOverrides(path: string, flags: Flags, logger: Logger): Promise<Override[]> {
  const folder = await RunFolder.open(path);
  const overrides = overridesOf(flags);
  const { config } = await resumedConfig(folder, overrides);
  if (flags.config !== undefined) {
    const given = await loadSettings(flags.config, overrides);
    const differences = configDifferences(given, config).map(({ text }) => text);
    if (differences.length > 0) {
      logger.warn(
        `--resume goes on with ${folder.configPath}; ${flags.config} differs in ${differences.join(", ")}. ` +
          "Use --set to change a field of the run.",
      );
    }
  }
  return overrides;
}

function formatSummary(
  { run, steps, epochs, loss, knn, seconds, imagesPerSecond, requeue }: PretrainSummary,
): string {
  if (requeue) return `requeue: step ${steps} is saved in ${run}; the same command with --resume goes on`;
  const parts = [
    `${counted(steps, "step")} (${counted(epochs, "epoch")}) in ${formatDuration(seconds)}`,
  ];
  if (steps > 0) parts.push(`${formatRate(imagesPerSecond)} images/s`);
  if (loss !== null) parts.push(`loss ${loss.toFixed(3)}`);
  if (knn !== null) parts.push(`kNN ${formatShare(knn)}`);
  return `${parts.join(", ")}\n${run}/checkpoints/last.safetensors\n${run}/report.html`;
}

/** The command; exported for tests. */
export const pretrainCommand = defineCommand({
  name: "pretrain",
  summary:
    "Pretrains an elastic ResNet without labels: MoCo v2 whose query encoder visits all sizes while its key encoder " +
    "stays at the largest. Without flags it runs the embedded demo.",
  flags,
  examples: [
    "deno task pretrain",
    "deno task pretrain --data photos --dry-run",
    "deno task pretrain --config configs/photos-small.json --data photos/2023 --data chosen.txt --out runs/photos",
    "deno task pretrain --init resnet50.pth --data photos --out runs/photos",
    "deno task pretrain --data photos --teacher features:teacher.safetensors --out runs/taught",
    "deno task pretrain --out runs/photos --resume",
    "deno task pretrain --out runs/photos --resume --checkpoint epoch-20 --set optimizer.learningRate=0.01",
    "deno task pretrain --set training.batch=128 --set optimizer.learningRate=0.12",
    "mpirun -n 4 deno task pretrain --distributed mpi --config configs/imagenet-ar50to101.json --out runs/large",
  ],
  run: (context): Promise<PretrainSummary | RunPlan> =>
    onEveryRank(
      context.flags,
      { ...context, command: "pretrain" },
      (logger, ranks) => pretrain({ ...context, logger }, ranks),
    ),
  standsInterrupted: (result, status) => "requeue" in result && status !== exitStatus.SIGINT,
  afterInterrupt: (result) =>
    "memory" in result
      ? "Nothing was written."
      : `Stopped at step ${result.steps}. Continue with: deno task pretrain --out ${result.run} --resume`,
  format: (result) => "memory" in result ? formatPlan(result) : formatSummary(result),
});

async function pretrain(
  { flags, logger, signal, onInterrupt, next }: PretrainContext,
  ranks: Ranks | undefined,
): Promise<PretrainSummary | RunPlan> {
  if (flags.checkpoint !== undefined && !flags.resume) {
    throw new UsageError(`--checkpoint ${flags.checkpoint} needs --resume.`);
  }
  if (flags.resume && flags.tune !== undefined) {
    throw new UsageError(
      "--tune is given with --resume, but a run keeps its kernel variants to the end, or its parts would round " +
        "sums differently. Leave --tune out.",
    );
  }
  for (const name of ["dryRun", "tune", "profile"] as const) {
    if (!ranks || !flags[name]) continue;
    throw new UsageError(
      `--${name === "dryRun" ? "dry-run" : name} is for one process. Leave --distributed out.`,
    );
  }
  if (flags.acceptChangedData && !flags.resume) {
    throw new UsageError("--accept-changed-data goes with --resume only. Leave it out.");
  }
  if (flags.resume && flags.init !== undefined) {
    throw new UsageError(
      `--init ${flags.init} is given with --resume, but a run that goes on has its weights. Leave --init out, or start ` +
        `a new run with another --out.`,
    );
  }
  // A run that goes on in a folder that is named has its own, whatever the default is.
  const owned = flags.resume && flags.out !== undefined;
  const configPath = flags.config ?? (owned ? demoConfig : await defaultConfigFor(flags, logger));
  const settings = flags.resume ? undefined : await loadSettings(configPath, overridesOf(flags));
  const folders = flags.out === undefined ? await defaultFolders(configPath) : undefined;
  const path = flags.out ?? (flags.resume ? folders!.newest : folders!.next);
  if (path === undefined || (flags.resume && !await holdsAnyRun(path))) {
    throw new UsageError(
      `--resume: there is no run in ${path ?? folders!.next}. Give the run's folder with --out.`,
    );
  }
  if (settings) {
    expectTaughtSelf(settings);
    const { source, test } = settings.data;
    const inputs = [...dataPaths(source), ...dataPaths(test), teacherPath(settings)];
    await guardRunFolder(path, [...inputs, flags.config, flags.init]);
  }
  const occupant = settings && await RunFolder.occupant(path);
  if (occupant !== undefined) {
    throw new UsageError(
      `--out ${path} holds a run already (${occupant}). Use --resume to continue it, or another --out.`,
    );
  }
  const overrides = settings ? [] : await resumeOverrides(path, flags, logger);
  using gpu = await openDevice(logger);
  const plan = async (settings: Settings, done: number) =>
    await planWithProgress({
      gpu,
      settings,
      path: flags.resume ? undefined : configPath,
      overrides: overridesOf(flags),
      logger,
      done,
      dry: flags.dryRun,
    });
  const stored = settings ? undefined : await storedRun(path, overrides);
  if (flags.dryRun) {
    return (await plan(settings ?? stored!.config, stored?.steps ?? 0)).plan;
  }
  logger.info(`${flags.resume ? "resume" : "run"} ${path} on ${gpu.facts.description}`);
  if (settings?.distillation.teacher === "self" && flags.teacher === undefined) {
    logger.info("distillation.teacher self: all subnets learn what the given weights know");
  }
  if (ranks) {
    logger.info(ranks.description);
    if (settings) expectGiven(settings);
  }
  const planned = settings &&
    (ranks ? { config: withPublished(settings), plan: undefined } : await plan(settings, 0));
  if (planned?.plan) planLines(planned.plan, gpu.facts.software).forEach((line) => logger.info(line));
  if (planned && flags.tune !== undefined) {
    const stop = onInterrupt("Stopping; nothing is written.", "nothing to save");
    logger.info(describeTuning(await tuneDevice(gpu, planned.config, flags.tune, logger, stop)));
  }
  if (flags.profile) gpu.profile();
  const hooks = hooksFor({
    logger,
    signal,
    compiled: planned?.plan !== undefined && planned.plan.secondsPerStep !== null,
    secondsPerStep: stored?.secondsPerStep,
    start: () => onInterrupt("Stopping; the last complete step is saved."),
    async finish(outcome) {
      await writeReport(gpu, outcome);
      const metrics = await outcome.folder.readMetrics();
      for (const warning of qualityWarnings(metrics)) logger.warn(withPlainSpaces(warning));
      const progress = measureProgress(metrics) && progressSentence(metrics);
      if (progress !== undefined) logger.info(withPlainSpaces(progress));
    },
  });
  const peers = ranks?.peers;
  const outcome = planned
    ? await startRun(gpu, path, planned.config, hooks, peers)
    : await resumeRun(gpu, path, {
      peers,
      overrides,
      checkpoint: flags.checkpoint,
      acceptChangedData: flags.acceptChangedData,
    }, hooks);
  if (flags.profile) logger.info(profileText(await measureProfile(gpu, outcome.times)));
  if (!outcome.interrupted) nextAfterPretrain(next, path, configuredNetwork(outcome.config).space.size);
  return {
    run: path,
    steps: outcome.steps,
    epochs: outcome.epochs,
    loss: outcome.loss ?? null,
    knn: outcome.knn ?? null,
    seconds: Number(outcome.seconds.toFixed(2)),
    imagesPerSecond: Number(outcome.imagesPerSecond.toPrecision(4)),
    ...ranks && outcome.interrupted && { requeue: true },
  };
}

if (import.meta.main) await runCommand(pretrainCommand);
