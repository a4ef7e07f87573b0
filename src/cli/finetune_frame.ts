/** What all tasks of `deno task finetune` share: from the flags to a folder with a trained network and its report. */
import { join } from "@std/path";
import type { DenseClass, DenseOptions, DenseSource } from "../data/dense/target.ts";
import { formatArchitecture } from "../elastic/architecture.ts";
import { UsageError } from "../errors.ts";
import type { PlainModel } from "../extract/model.ts";
import { type FineTuneConfig, loadFineTuneConfig } from "../finetune/config.ts";
import type { DenseHooks, DenseKind, DenseRequest, TrainedDense } from "../finetune/dense/run.ts";
import type { DensePlan, PlanHooks, PlanRequest } from "../finetune/plan/plan.ts";
import type { Gpu } from "../gpu/device.ts";
import type { DenseReport } from "../report/dense_parts.ts";
import { writeFileAtomically } from "../store/atomic_file.ts";
import { FolderLock } from "../store/folder_lock.ts";
import { appendMetrics, isStep, type MetricsLine, readMetrics, truncateMetrics } from "../store/metrics.ts";
import { removeFile } from "../store/remove_file.ts";
import { version } from "../version.ts";
import type { TestLine, TrainingHooks } from "../finetune/training.ts";
import type { Context } from "./command.ts";
import type { Logger } from "./logger.ts";
import { openDevice } from "./device.ts";
import { findBackbone } from "./finetune_backbone.ts";
import { type FinetuneFlags, type finetuneFlags, finetuneOverrides } from "./finetune_flags.ts";
import { formatRate } from "./format.ts";
import { FinetunePictures } from "./finetune_pictures.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { dataPaths, finetuneOutput, guardOutputFolder } from "./output_guard.ts";
import { Progress } from "./progress.ts";

/** What the command prints. */
export interface FinetuneResult<Task extends string, Metrics> {
  readonly task: Task;
  readonly head: string;
  readonly arch: string;
  readonly metrics: Metrics;
  readonly steps: number;
  readonly seconds: number;
  readonly files: readonly string[];
  readonly report: string;
}

/** What a task adds to what all share. */
export interface FinetuneTask<Kind extends DenseKind> {
  readonly head: Kind["head"];
  /** Names of the files with the network, in `--out`. */
  readonly models: readonly string[];
  /**
   * Refuses a backbone and settings that do not go together, and what it could not write, before anything is.
   * @throws {ConfigurationError}, {@linkcode UsageError}
   */
  check(backbone: Pick<PlainModel, "network">, config: FineTuneConfig): Promise<void>;
  open(spec: string, options: DenseOptions): Promise<DenseSource<Kind["target"]>>;
  /** Gets ready what receives the predictions; some become pictures. */
  collect(
    train: DenseSource<Kind["target"]>,
    test: DenseSource<Kind["target"]>,
    pictures: FinetunePictures,
  ): Promise<Kind["onPrediction"]>;
  train(
    gpu: Gpu,
    request: DenseRequest<Kind>,
    hooks: DenseHooks<Kind>,
  ): Promise<TrainedDense<Kind> | undefined>;
  plan(gpu: Gpu, request: PlanRequest<Kind>, hooks: PlanHooks): Promise<DensePlan>;
  isLine(line: MetricsLine): line is Kind["line"];
  /** What an evaluation says, for people. */
  describe(line: Kind["line"]): string;
  /** Writes the network, and the predictions that are a file; the paths of what it wrote. */
  write(
    out: string,
    objective: Kind["objective"],
    model: PlainModel,
    classes: readonly string[],
    config: FineTuneConfig,
  ): Promise<string[]>;
  /** The page about the run. */
  render(
    report: DenseReport<Kind["metrics"], Kind["line"]>,
    classes: readonly DenseClass[],
  ): Promise<string>;
}

const reportName = "report.html", aboutName = "finetune.json", metricsName = "metrics.jsonl";

/** Names of what every fine-tuning leaves in its folder; the first tells what it is. */
export const finetuneFileNames = [aboutName, metricsName, reportName] as const;

/** Where a fine-tuning keeps what it reaches, and writes. */
export function finetuneFiles(out: string): Record<"kept" | "metricsPath" | "reportPath", string> {
  const at = (name: string) => join(out, name);
  return { kept: at("last.safetensors"), metricsPath: at(metricsName), reportPath: at(reportName) };
}

/**
 * Trains and tests, or goes on, and writes all files of `--out`.
 *
 * @returns what the command prints, and the measures whole
 */
export async function finetune<Kind extends DenseKind>(
  { flags, logger, onInterrupt }: Context<typeof finetuneFlags>,
  task: FinetuneTask<Kind>,
): Promise<Omit<FinetuneResult<never, Kind["metrics"]>, "task"> & { readonly classes: readonly string[] }> {
  const warn = (text: string) => logger.warn(text);
  const config = await loadFineTuneConfig(flags.config, finetuneOverrides(flags));
  const { out, data, testData } = flags;
  if (out === undefined) throw new UsageError("--out DIR is missing: the folder of the run.");
  const { head } = task;
  const backbone = await findBackbone(flags, config, warn);
  await guardOutputFolder(out, finetuneOutput, [...finetuneFileNames, ...task.models], [
    ...dataPaths(data),
    ...dataPaths(testData),
    flags.model,
    flags.predictions,
  ]);
  await task.check(backbone, config);
  await using cleanup = new AsyncDisposableStack();
  const { seed } = config.training;
  // Before the folder: a mistake in a specification leaves none behind.
  const { train, test } = await openSets(task, flags, { seed, onWarning: warn }, cleanup);
  await makeOutputFolder(out);
  await using _ = await FolderLock.take(join(out, "finetune.lock"), warn);
  const shown = new FinetunePictures(test);
  const onPrediction = await task.collect(train, test, shown);
  using gpu = await openDevice(logger);
  const signal = onInterrupt(
    "Stopping; the last complete step is saved. Go on with the same command and --resume.",
  );
  gpu.stream.interrupt = signal;
  const { model, weights } = await backbone.open(gpu, seed);
  const arch = formatArchitecture(model.network.space.max);
  const about = { task: flags.task, head, arch, weights, from: flags.from, data, testData, config };
  const { kept, metricsPath, reportPath } = finetuneFiles(out);
  await expectResumable(out, flags.resume);
  const begun = performance.now();
  const request = { model, head, config, train, test, kept: { path: kept, about: JSON.stringify(about) } };
  const telling = tell<Kind["line"]>(logger, out, about, task, [train.images.length, test.images.length]);
  const trained = await task.train(gpu, request, { ...telling, signal, onPrediction });
  if (!trained) throw signal.reason;
  using objective = trained.objective;
  const { metrics, steps } = trained;
  const classes = train.classes.map(({ name }) => name);
  const files = await task.write(out, objective, model, classes, config);
  const lines = await readMetrics(metricsPath);
  const page = await task.render({
    title: out,
    version,
    device: gpu.facts.description,
    head,
    arch,
    images: { train: train.images.length, test: test.images.length },
    metrics,
    steps: lines.filter(isStep),
    evaluations: lines.filter(task.isLine),
    pictures: shown.pictures,
    settings: settingsOf(about),
  }, train.classes);
  await writeFileAtomically(reportPath, page);
  // Until all is written, --resume writes it.
  await removeFile(kept);
  const seconds = Number(((performance.now() - begun) / 1000).toFixed(2));
  return { head, arch, metrics, classes, steps, seconds, files, report: reportPath };
}

/**
 * Opens the images to train and to test on.
 * @param cleanup closes them
 */
export async function openSets<Kind extends DenseKind>(
  task: Pick<FinetuneTask<Kind>, "open">,
  { data, testData }: FinetuneFlags,
  options: Pick<DenseOptions, "seed" | "onWarning">,
  cleanup: AsyncDisposableStack,
): Promise<Record<"train" | "test", DenseSource<Kind["target"]>>> {
  const open = async (spec: string, seed: number): Promise<DenseSource<Kind["target"]>> =>
    cleanup.adopt(await task.open(spec, { ...options, imageSize: 64, seed }), (source) => source.release());
  const train = await open(data, options.seed);
  // Synthetic images to test on are others.
  return { train, test: await open(testData, options.seed + 1) };
}

/**
 * Keeps what a training tells in its folder, and shows it.
 *
 * @param about what `finetune.json` says of it
 * @param images to train and to test on
 */
export function tell<Line extends TestLine>(
  logger: Logger,
  out: string,
  about: object,
  { isLine, describe }: { isLine(line: MetricsLine): line is Line; describe(line: Line): string },
  [train, test]: readonly [train: number, test: number],
): Omit<TrainingHooks<Line>, "signal"> {
  const { metricsPath } = finetuneFiles(out);
  let progress: Progress | undefined, total = Infinity;
  return {
    append: async (...lines) => await appendMetrics(metricsPath, lines),
    async onStart({ step, totalSteps }) {
      await writeFileAtomically(join(out, aboutName), JSON.stringify({ version, ...about }, null, 1) + "\n");
      await truncateMetrics(metricsPath, step === 0 ? -1 : step);
      logger.info(`${train} images to train on, ${test} to test on, ${totalSteps} steps`);
      total = totalSteps;
      progress = new Progress({ logger, label: "finetune", total, unit: "steps", done: step });
    },
    evaluated: async (step) =>
      (await readMetrics(metricsPath)).some((line) => isLine(line) && line.step === step),
    onPart: (done) => progress?.update(done),
    onSteps: ({ step, loss, imagesPerSecond }) =>
      progress?.update(step, {
        ...imagesPerSecond > 0 && { "images/s": formatRate(imagesPerSecond) },
        ...Number.isFinite(loss) && { loss: loss.toFixed(3) },
      }),
    onEvaluation(line) {
      logger.info(`epoch ${line.epoch}: ${describe(line)}`);
      if (line.step < total) progress?.restart();
      else progress?.finish();
    },
  };
}

/** All that a run was given, for its report. */
export function settingsOf(about: Record<string, unknown> & { config: FineTuneConfig }): [string, string][] {
  const { config, ...others } = about;
  return [
    ...Object.entries(others).map(([name, value]): [string, string] => [name, String(value)]),
    ...Object.entries(config).flatMap(([section, fields]) =>
      Object.entries(fields ?? {}).map(([name, value]): [string, string] => [
        `${section}.${name}`,
        typeof value === "string" ? value : JSON.stringify(value),
      ])
    ),
  ];
}

/** A folder's interrupted run is gone on with only where that is asked for, and a finished one never. @throws {UsageError} */
export async function expectResumable(out: string, resume: boolean): Promise<void> {
  const { kept, reportPath: report } = finetuneFiles(out);
  const isThere = (path: string) => Deno.lstat(path).then(() => true, () => false);
  const interrupted = await isThere(kept);
  if (interrupted && !resume) {
    throw new UsageError(
      `${out} holds an interrupted run. Continue it with --resume, remove ${kept}, or give another --out.`,
    );
  }
  if (resume && !interrupted && await isThere(report)) {
    throw new UsageError(
      `--resume: the run in ${out} is finished. Leave --resume out to train anew, or give another --out.`,
    );
  }
}
