/** `deno task pretrain`: pretrains an elastic network without labels. */
import { formatDuration } from "../duration.ts";
import { configDifferences } from "../config/difference.ts";
import { loadConfig } from "../config/load.ts";
import { type Override, parseSet } from "../config/overrides.ts";
import type { Config } from "../config/schema.ts";
import { UsageError } from "../errors.ts";
import { planRun, type RunPlan } from "../pretrain/dry_run.ts";
import { type PretrainHooks, type PretrainOutcome, resumeRun, startRun } from "../pretrain/pretrain.ts";
import { resumedConfig } from "../pretrain/resume.ts";
import { configuredNetwork } from "../nn/configured_network.ts";
import { evaluationText, qualityWarnings } from "../evaluate/verdict.ts";
import { withPlainSpaces } from "../number_format.ts";
import { RunFolder } from "../store/run_folder.ts";
import { type Context, defineCommand, runCommand } from "./command.ts";
import { configFlags } from "./config_flags.ts";
import { openDevice } from "./device.ts";
import { formatCount, formatRate, formatShare, formatTable } from "./format.ts";
import type { Logger } from "./logger.ts";
import { nextAfterPretrain } from "./next.ts";
import { measureProfile, profileText } from "./profile.ts";
import { dataPath, guardRunFolder } from "./output_guard.ts";
import { configurationFor, initFlag, initOverrides } from "./init_flag.ts";
import { Progress } from "./progress.ts";
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
}

const defaultConfig = "configs/demo.json";

const flags = {
  config: {
    ...configFlags.config,
    default: undefined,
    description: `Configuration (default: ${defaultConfig})`,
  },
  data: {
    type: "string",
    placeholder: "SPEC",
    description:
      "Images: synthetic[:N], folder:DIR, cifar10:DIR or tensor:FILE.safetensors (default: the configuration's)",
  },
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
    description: "Show steps, images and the memory that they need, and stop: nothing is written",
  },
  set: configFlags.set,
} as const;

type Flags = Context<typeof flags>["flags"];

function overridesOf({ init, data, epochs, seed, strict, teacher, set }: Flags): Override[] {
  const overrides: Override[] = [];
  if (init !== undefined) overrides.push(...initOverrides(init));
  if (data !== undefined) overrides.push({ path: "data.source", value: data, flag: "--data" });
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

/** The configuration of a run that goes on. */
async function storedConfig(path: string, overrides: readonly Override[]): Promise<Config> {
  const folder = await RunFolder.open(path);
  return (await resumedConfig(folder, overrides)).config;
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
    const given = await loadConfig(flags.config, overrides);
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

/**
 * @param start called when training begins
 * @param finish called with a run that has ended, while its folder is locked
 */
function hooksFor(
  logger: Logger,
  signal: AbortSignal,
  start: () => void,
  finish: (outcome: PretrainOutcome) => Promise<void>,
): PretrainHooks {
  let decoding: Progress | undefined;
  let teaching: Progress | undefined;
  let training: Progress | undefined;
  return {
    signal,
    onWarning: (text) => logger.warn(text),
    onNote: (text) => logger.info(text),
    onProgress(done, total) {
      decoding ??= new Progress({ logger, label: "decode", total, unit: "images" });
      decoding.update(done);
      if (done === total) decoding.finish();
    },
    onTeacher(done, total) {
      teaching ??= new Progress({ logger, label: "teacher", total, unit: "images" });
      teaching.update(done);
      if (done === total) teaching.finish();
    },
    onStart({ images, labelled, step, totalSteps }) {
      start();
      const watched = labelled ? "" : "; no kNN: the images have no labels";
      const place = step > 0 ? `, from step ${formatCount(step)}` : "";
      logger.info(`${formatCount(images)} images, ${formatCount(totalSteps)} steps${place}${watched}`);
      if (totalSteps > step) {
        training = new Progress({ logger, label: "pretrain", total: totalSteps, unit: "steps", done: step });
      }
    },
    onSteps({ step, loss, imagesPerSecond }) {
      training?.update(step, {
        ...(Number.isNaN(loss) ? {} : { loss: loss.toFixed(3) }),
        "images/s": formatRate(imagesPerSecond),
      });
    },
    onEvaluation: (line) => logger.info(evaluationText(line)),
    async onEnd(outcome) {
      training?.finish();
      await finish(outcome);
    },
  };
}

function formatSummary({ run, steps, epochs, loss, knn, seconds, imagesPerSecond }: PretrainSummary): string {
  const parts = [
    `${formatCount(steps)} steps (${formatCount(epochs)} epochs) in ${formatDuration(seconds)}`,
  ];
  if (steps > 0) parts.push(`${formatRate(imagesPerSecond)} images/s`);
  if (loss !== null) parts.push(`loss ${loss.toFixed(3)}`);
  if (knn !== null) parts.push(`kNN ${formatShare(knn)}`);
  return `${parts.join(", ")}\n${run}/checkpoints/last.safetensors\n${run}/report.html`;
}

function formatPlan({ steps, epochs, images, memory: { device, host }, free }: RunPlan): string {
  const row = (name: string, bytes: number | null) => [
    name,
    bytes === null ? "not known" : `${formatCount(Math.ceil(bytes / 2 ** 20))} MiB`,
  ];
  return [
    `${formatCount(steps)} steps in ${formatCount(epochs)} epochs on ${
      formatCount(images.training)
    } images, ` +
    `${formatCount(images.heldOut)} held back`,
    formatTable([
      ["memory", ""],
      row("device: weights, gradients, momentum, statistics", device.weights),
      row("device: queue", device.queue),
      row("device: images", device.images),
      row("device: batches, feature maps and their gradients", device.activations),
      row("device: all", device.total),
      row("host: decoded images, at most", host.images),
      row("host: the teacher's features", host.teacher),
      row("host: a checkpoint on its way to the disk", host.checkpoint),
      row("host: runtime and driver", host.runtime),
      row("host: all", host.total),
      row("host: free", free),
    ], "lr"),
  ].join("\n");
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
    "deno task pretrain --config configs/cifar10-elastic.json --data folder:photos/train --out runs/photos",
    "deno task pretrain --init resnet50.pth --data folder:photos/train --out runs/photos",
    "deno task pretrain --data folder:photos/train --teacher features:teacher.safetensors --out runs/taught",
    "deno task pretrain --out runs/photos --resume",
    "deno task pretrain --out runs/photos --resume --checkpoint epoch-20 --set optimizer.learningRate=0.01",
    "deno task pretrain --set training.batch=128 --set optimizer.learningRate=0.12",
  ],
  async run({ flags, logger, signal, onInterrupt, next }): Promise<PretrainSummary | RunPlan> {
    if (flags.checkpoint !== undefined && !flags.resume) {
      throw new UsageError(`--checkpoint ${flags.checkpoint} needs --resume.`);
    }
    if (flags.resume && flags.tune !== undefined) {
      throw new UsageError(
        "--tune is given with --resume, but a run keeps its kernel variants to the end, or its parts would round " +
          "sums differently. Leave --tune out.",
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
    const configPath = flags.config ??
      (flags.init === undefined ? defaultConfig : await configurationFor(flags.init));
    const config = flags.resume ? undefined : await loadConfig(configPath, overridesOf(flags));
    const folders = flags.out === undefined ? await defaultFolders(configPath) : undefined;
    const path = flags.out ?? (flags.resume ? folders!.newest : folders!.next);
    if (path === undefined || (flags.resume && !await holdsAnyRun(path))) {
      throw new UsageError(
        `--resume: there is no run in ${path ?? folders!.next}. Give the run's folder with --out.`,
      );
    }
    if (config) {
      expectTaughtSelf(config);
      const { source, test } = config.data;
      const inputs = [dataPath(source), dataPath(test), teacherPath(config), flags.config, flags.init];
      await guardRunFolder(path, inputs);
    }
    const occupant = config && await RunFolder.occupant(path);
    if (occupant !== undefined) {
      throw new UsageError(
        `--out ${path} holds a run already (${occupant}). Use --resume to continue it, or another --out.`,
      );
    }
    const overrides = config ? [] : await resumeOverrides(path, flags, logger);
    using gpu = await openDevice(logger);
    if (flags.dryRun) {
      return await planRun(gpu, config ?? await storedConfig(path, overrides), {
        onWarning: (text) => logger.warn(text),
      });
    }
    logger.info(`${flags.resume ? "resume" : "run"} ${path} on ${gpu.facts.description}`);
    if (config && flags.tune !== undefined) {
      const stop = onInterrupt("Stopping; nothing is written.", "nothing to save");
      logger.info(describeTuning(await tuneDevice(gpu, config, flags.tune, logger, stop)));
    }
    if (flags.profile) gpu.profile();
    const hooks = hooksFor(
      logger,
      signal,
      () => onInterrupt("Stopping; the last complete step is saved."),
      async (outcome) => {
        await writeReport(gpu, outcome);
        for (const warning of qualityWarnings(await outcome.folder.readMetrics())) {
          logger.warn(withPlainSpaces(warning));
        }
      },
    );
    const outcome = config ? await startRun(gpu, path, config, hooks) : await resumeRun(gpu, path, {
      overrides,
      checkpoint: flags.checkpoint,
      acceptChangedData: flags.acceptChangedData,
    }, hooks);
    if (flags.profile) logger.info(profileText(await measureProfile(gpu, outcome.times)));
    nextAfterPretrain(next, path, configuredNetwork(outcome.config).space.size);
    return {
      run: path,
      steps: outcome.steps,
      epochs: outcome.epochs,
      loss: outcome.loss ?? null,
      knn: outcome.knn ?? null,
      seconds: Number(outcome.seconds.toFixed(2)),
      imagesPerSecond: Number(outcome.imagesPerSecond.toPrecision(4)),
    };
  },
  afterInterrupt: (result) =>
    "memory" in result
      ? "Nothing was written."
      : `Stopped at step ${result.steps}. Continue with: deno task pretrain --out ${result.run} --resume`,
  format: (result) => "memory" in result ? formatPlan(result) : formatSummary(result),
});

if (import.meta.main) await runCommand(pretrainCommand);
