/** `deno task finetune --task classification`: a linear layer over the pooled features, trained with the network. */
import { join } from "@std/path";
import { formatDuration } from "../duration.ts";
import { formatArchitecture } from "../elastic/architecture.ts";
import { macs, parameters } from "../elastic/costs.ts";
import { UsageError } from "../errors.ts";
import { perClassAccuracy, wilsonInterval } from "../evaluate/classification.ts";
import { imageName } from "../data/image_name.ts";
import { writeModel } from "../extract/model_file.ts";
import {
  calibrationImages,
  type ClassificationMetrics,
  trainClassification,
  type TrainedClassifier,
} from "../finetune/classification/run.ts";
import { loadFineTuneConfig } from "../finetune/config.ts";
import { tunedModel } from "../finetune/tuned_model.ts";
import type { PlainModel } from "../extract/model.ts";
import { renderEvaluateReport } from "../report/evaluate_report.ts";
import { writeFileAtomically } from "../store/atomic_file.ts";
import { FolderLock } from "../store/folder_lock.ts";
import { isClasses, isStep, readMetrics } from "../store/metrics.ts";
import { removeFile } from "../store/remove_file.ts";
import { mistakesOf } from "../studies/evaluate/evaluate.ts";
import { type EvaluationImages, openEvaluationImages } from "../studies/evaluate/images.ts";
import { version } from "../version.ts";
import type { Context } from "./command.ts";
import { openDevice } from "./device.ts";
import { findBackbone } from "./finetune_backbone.ts";
import { type finetuneFlags, finetuneOverrides, headOf } from "./finetune_flags.ts";
import {
  expectResumable,
  finetuneFileNames,
  finetuneFiles,
  type FinetuneResult,
  settingsOf,
  tell,
} from "./finetune_frame.ts";
import { formatShare, formatTable } from "./format.ts";
import { picturesOfMistakes } from "./mistake_pictures.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { dataPaths, finetuneOutput, guardOutputFolder } from "./output_guard.ts";

/** What the command prints of a classifier. */
export type ClassificationResult = FinetuneResult<"classification", {
  readonly accuracy: number;
  /** Null for a class without test images. */
  readonly perClass: readonly { readonly class: string; readonly accuracy: number | null }[];
}>;

const modelNames = ["model.safetensors", "model.onnx"] as const;
const predictionsHeader = "image,class,prediction,probability";

/** Trains and tests a classifier, and writes it with its report. */
export async function finetuneClassification(
  { flags, logger, onInterrupt }: Context<typeof finetuneFlags>,
): Promise<ClassificationResult> {
  const onWarning = (text: string) => logger.warn(text);
  const head = headOf("classification", flags.head);
  const config = await loadFineTuneConfig(flags.config, finetuneOverrides(flags));
  const { out, data, testData, predictions } = flags;
  if (flags.dryRun) {
    throw new UsageError("--dry-run is for dense tasks. A classifier's first epoch says how long it takes.");
  }
  if (out === undefined) throw new UsageError("--out DIR is missing: the folder of the run.");
  const backbone = await findBackbone(flags, config, onWarning);
  await guardOutputFolder(out, finetuneOutput, [...finetuneFileNames, ...modelNames], [
    ...dataPaths(data),
    ...dataPaths(testData),
    flags.model,
    predictions,
  ]);
  if (predictions !== undefined) await expectOwnPredictions(predictions);
  const { seed } = config.training;
  using gpu = await openDevice(logger);
  // Before the folder: a mistake in a specification leaves none behind.
  const images = await openEvaluationImages(
    gpu,
    { kind: "given", data, testData, seed },
    backbone.input,
    onWarning,
  );
  try {
    await makeOutputFolder(out);
    await using _ = await FolderLock.take(join(out, "finetune.lock"), onWarning);
    await expectResumable(out, flags.resume);
    const signal = onInterrupt(
      "Stopping; the last complete step is saved. Go on with the same command and --resume.",
    );
    gpu.stream.interrupt = signal;
    const { model, weights } = await backbone.open(gpu, seed);
    const arch = formatArchitecture(model.network.space.max);
    const { identity } = images;
    const about = { task: flags.task, head, arch, weights, from: flags.from, data, testData, config };
    const { kept, metricsPath, reportPath } = finetuneFiles(out);
    const begun = performance.now();
    const counts = [images.bank.indices.length, images.queries.indices.length] as const;
    const trained = await trainClassification(gpu, {
      ...{ model, config, images, onWarning },
      kept: { path: kept, about: JSON.stringify({ ...about, identity }) },
    }, {
      ...tell(logger, out, about, {
        isLine: isClasses,
        describe: ({ accuracy }) => `accuracy ${formatShare(accuracy)}`,
      }, counts),
      signal,
    });
    if (!trained) throw signal.reason;
    using objective = trained.objective;
    using statistics = trained.statistics;
    const { metrics, steps } = trained;
    const files = await writeFiles(out, model, { objective, statistics }, images);
    if (predictions !== undefined) {
      await writeFileAtomically(predictions, predictionsCsv(metrics, images));
      files.push(predictions);
    }
    const { imageSize } = model.input;
    const { max } = model.network.space;
    const perClass = perClassAccuracy(metrics.confusion);
    const right = Math.round(metrics.accuracy * metrics.labels.length);
    const page = await renderEvaluateReport({
      ...{ title: out, version, device: gpu.facts.description, protocol: "finetune" },
      settings: settingsOf(about),
      classes: images.classes,
      images: { train: counts[0], test: counts[1] },
      training: (await readMetrics(metricsPath)).filter(isStep),
      results: [{
        network: flags.run ?? flags.model ?? "new weights",
        arch,
        macs: macs(model.network, max, imageSize),
        params: parameters(model.network, max),
        accuracy: metrics.accuracy,
        interval: wilsonInterval(right, metrics.labels.length),
        perClass,
        confusion: metrics.confusion.map((row) => [...row]),
        chosen: {},
      }],
      baselines: [],
      mistakes: await picturesOfMistakes(mistakesOf(metrics), images.classes, images),
    });
    await writeFileAtomically(reportPath, page);
    // Until all is written, --resume writes it.
    await removeFile(kept);
    return {
      task: "classification",
      ...{ head, arch },
      metrics: {
        accuracy: metrics.accuracy,
        perClass: perClass.map((accuracy, at) => ({ class: images.classes[at], accuracy })),
      },
      steps,
      seconds: Number(((performance.now() - begun) / 1000).toFixed(2)),
      files,
      report: reportPath,
    };
  } finally {
    images.release();
  }
}

async function writeFiles(
  out: string,
  model: PlainModel,
  { objective, statistics }: Pick<TrainedClassifier, "objective" | "statistics">,
  { classes, bank }: EvaluationImages,
): Promise<string[]> {
  const calibration = {
    images: Math.min(calibrationImages, bank.indices.length),
    source: bank.source.name,
  };
  const tuned = await tunedModel({ state: { model, objective }, statistics }, classes, calibration);
  const [weights, graph] = modelNames.map((name) => join(out, name));
  const { writeOnnxModel } = await import("../extract/onnx_model.ts");
  await writeModel(weights, tuned);
  await writeOnnxModel(graph, tuned);
  return [weights, graph];
}

/** Refuses to write over a file that holds no predictions. @throws {UsageError} */
async function expectOwnPredictions(path: string): Promise<void> {
  let start: string;
  try {
    start = (await Deno.readTextFile(path)).slice(0, predictionsHeader.length);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw new UsageError(`--predictions ${path} cannot be written. Give another path.`, { cause: error });
  }
  if (start === predictionsHeader) return;
  throw new UsageError(
    `--predictions ${path} exists and holds no predictions, so it is not overwritten. Give another path, or remove it.`,
  );
}

/** A line for each test image. */
function predictionsCsv(
  { indices, labels, predictions, confidences }: ClassificationMetrics,
  { classes, queries: { source } }: EvaluationImages,
): string {
  const quoted = (text: string) => /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const lines = indices.map((index, row) =>
    [
      quoted(imageName(source, index) ?? `image ${index}`),
      quoted(classes[labels[row]]),
      quoted(classes[predictions[row]]),
      confidences[row].toFixed(6),
    ].join(",")
  );
  return [predictionsHeader, ...lines].join("\n") + "\n";
}

/** For people. */
export function formatClassification(
  { task, head, arch, metrics: { accuracy, perClass }, steps, seconds, files, report }: ClassificationResult,
): string {
  return [
    formatTable([
      ["class", "accuracy"],
      ...perClass.map((one) => [one.class, one.accuracy === null ? "–" : formatShare(one.accuracy)]),
    ], "lr"),
    "",
    `${task}, ${head} over ${arch}: accuracy ${formatShare(accuracy)}; ${steps} steps, ${
      formatDuration(seconds)
    }`,
    ...files,
    report,
  ].join("\n");
}
