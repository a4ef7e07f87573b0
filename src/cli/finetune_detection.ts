/** `deno task finetune --task detection` and `--task instances`. */
import { join } from "@std/path";
import { openInstances } from "../data/dense/open.ts";
import type { InstanceSource } from "../data/dense/target.ts";
import { pictureAddress } from "../data/thumbnails.ts";
import { formatDuration } from "../duration.ts";
import { formatArchitecture } from "../elastic/architecture.ts";
import { UsageError } from "../errors.ts";
import type { DetectedObject } from "../evaluate/coco.ts";
import { resultsJson } from "../evaluate/coco_results.ts";
import { imagePaths } from "../extract/embed.ts";
import { loadFineTuneConfig } from "../finetune/config.ts";
import { writeDetector } from "../finetune/detection/model_file.ts";
import { type DrawnObject, drawObjects } from "../finetune/detection/pictures.ts";
import { averagePrecisions, trainDetection } from "../finetune/detection/run.ts";
import { type DetectionPicture, renderDetectionReport } from "../report/detection_report.ts";
import { writeFileAtomically } from "../store/atomic_file.ts";
import { FolderLock } from "../store/folder_lock.ts";
import {
  appendMetrics,
  isObjects,
  isStep,
  type ObjectMetrics,
  readMetrics,
  truncateMetrics,
} from "../store/metrics.ts";
import { removeFile } from "../store/remove_file.ts";
import { version } from "../version.ts";
import type { Context } from "./command.ts";
import { openDevice } from "./device.ts";
import { type finetuneFlags, finetuneOverrides, headOf } from "./finetune_flags.ts";
import { expectResumable, openBackbone, settingsOf } from "./finetune_frame.ts";
import { formatShare } from "./format.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { dataPaths, finetuneOutput, guardOutputFolder } from "./output_guard.ts";
import { Progress } from "./progress.ts";

/** What the command prints. */
export interface DetectionResult {
  readonly task: "detection" | "instances";
  readonly head: string;
  readonly arch: string;
  readonly metrics: Omit<ObjectMetrics, "step" | "epoch">;
  readonly steps: number;
  readonly seconds: number;
  readonly files: readonly string[];
  readonly report: string;
}

const fileNames = ["finetune.json", "metrics.jsonl", "model.safetensors", "report.html"] as const;

/** Test images that a report shows, their width in pixels, and the least score of what is drawn over them. */
const pictures = 6, pictureWidth = 320, drawnScore = 0.5;

/** Refuses to write over a file that holds no detections, such as the annotations. @throws {UsageError} */
async function expectOwnResults(path: string): Promise<void> {
  let start: string;
  try {
    start = (await Deno.readTextFile(path)).slice(0, 32);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw new UsageError(`--predictions ${path} cannot be written. Give another path.`, { cause: error });
  }
  if (/^\[\s*(\{\s*"image_id"|\])/.test(start)) return;
  throw new UsageError(
    `--predictions ${path} exists and holds no detections, so it is not overwritten. Give another path, or remove it.`,
  );
}

/** Trains and tests a detector, and writes it with its report. */
export async function finetuneDetection(
  { flags, logger, onInterrupt }: Context<typeof finetuneFlags>,
  task: DetectionResult["task"],
): Promise<DetectionResult> {
  const warn = (text: string) => logger.warn(text);
  const head = headOf(task, flags.head);
  const config = await loadFineTuneConfig(flags.config, finetuneOverrides(flags));
  const { out, data, testData, predictions } = flags;
  await guardOutputFolder(out, finetuneOutput, fileNames, [
    ...dataPaths(data),
    ...dataPaths(testData),
    flags.model,
    predictions,
  ]);
  if (predictions !== undefined) await expectOwnResults(predictions);
  await makeOutputFolder(out);
  await using _ = await FolderLock.take(join(out, "finetune.lock"), warn);
  await using cleanup = new AsyncDisposableStack();
  const open = async (spec: string, seed: number): Promise<InstanceSource> => {
    const source = await openInstances(spec, task === "instances", { imageSize: 64, seed, onWarning: warn });
    cleanup.defer(() => source.release());
    return source;
  };
  // Synthetic images to test on are others.
  const train = await open(data, config.training.seed);
  const test = await open(testData, config.training.seed + 1);
  using gpu = await openDevice(logger);
  const signal = onInterrupt(
    "Stopping; the last complete step is saved. Go on with the same command and --resume.",
  );
  gpu.stream.interrupt = signal;
  const { model, weights } = await openBackbone(gpu, flags, config.training.seed, warn);
  const arch = formatArchitecture(model.network.space.max);
  const about = { task, head, arch, weights, from: flags.from, data, testData, config };
  const paths = {
    kept: join(out, "last.safetensors"),
    about: join(out, fileNames[0]),
    metrics: join(out, fileNames[1]),
    model: join(out, fileNames[2]),
    report: join(out, fileNames[3]),
  };
  await expectResumable(out, paths, flags.resume);
  const begun = performance.now();
  let progress: Progress | undefined;
  const shown: DetectionPicture[] = [];
  const found: DetectedObject[] = [];
  const trained = await trainDetection(gpu, {
    model,
    head,
    config,
    train,
    test,
    kept: { path: paths.kept, about: JSON.stringify(about) },
  }, {
    signal,
    append: async (...lines) => await appendMetrics(paths.metrics, lines),
    async onStart({ step, totalSteps }) {
      await writeFileAtomically(paths.about, JSON.stringify({ version, ...about }, null, 1) + "\n");
      await truncateMetrics(paths.metrics, step === 0 ? -1 : step);
      logger.info(
        `${train.images.length} images to train on, ${test.images.length} to test on, ${totalSteps} steps`,
      );
      progress = new Progress({ logger, label: "finetune", total: totalSteps, unit: "steps", done: step });
    },
    evaluated: async (step) =>
      (await readMetrics(paths.metrics)).some((line) => isObjects(line) && line.step === step),
    onPart: (done) => progress?.update(done),
    onSteps: ({ step, loss, imagesPerSecond }) =>
      progress?.update(step, {
        "images/s": imagesPerSecond.toPrecision(3),
        ...Number.isFinite(loss) && { loss: loss.toFixed(3) },
      }),
    onEvaluation({ epoch, boxAP, maskAP }) {
      const masks = maskAP === undefined ? "" : `, mask AP ${share(maskAP)}`;
      logger.info(`epoch ${epoch}: box AP ${share(boxAP)}${masks}`);
      progress?.restart();
    },
    async onDetections(index, detections) {
      found.push(...detections);
      // Neighbours of a folder are often alike: some from all over the set.
      if (index % Math.ceil(test.images.length / pictures) !== 0) return;
      const picture = await pictureOf(test, index, detections);
      if (picture) shown.push(picture);
    },
  });
  if (!trained) throw signal.reason;
  progress?.finish();
  using objective = trained.objective;
  const { metrics, steps } = trained;
  const classes = train.classes.map(({ name }) => name);
  await writeDetector(paths.model, objective.encoder, { task, head, input: model.input, classes });
  if (predictions !== undefined) await writeFileAtomically(predictions, resultsJson(found));
  const lines = await readMetrics(paths.metrics);
  await writeFileAtomically(
    paths.report,
    await renderDetectionReport({
      title: out,
      version,
      device: gpu.facts.description,
      task,
      head,
      arch,
      images: { train: train.images.length, test: test.images.length },
      metrics,
      steps: lines.filter(isStep),
      evaluations: lines.filter(isObjects),
      pictures: shown,
      settings: settingsOf(about),
    }),
  );
  // Until all is written, --resume writes it.
  await removeFile(paths.kept);
  return {
    task,
    head,
    arch,
    metrics: averagePrecisions(metrics),
    steps,
    seconds: Number(((performance.now() - begun) / 1000).toFixed(2)),
    files: [paths.model, ...predictions === undefined ? [] : [predictions]],
    report: paths.report,
  };
}

function share(value: number | null): string {
  return value === null ? "none" : formatShare(value);
}

/** A test image with its true and its detected objects; undefined where it cannot be read, or is kept smaller. */
async function pictureOf(
  test: InstanceSource,
  index: number,
  detections: readonly DetectedObject[],
): Promise<DetectionPicture | undefined> {
  const [photo] = await test.images.load([index]);
  const truth = await test.target(index);
  if (!photo || photo.width !== truth.width || photo.height !== truth.height) return undefined;
  const { classes } = test;
  const colours = new Map(classes.map(({ id, colour }) => [id, colour]));
  const actual = truth.instances.map(({ box, mask, classIndex }): DrawnObject => ({
    box,
    ...mask && { mask },
    colour: classes[classIndex].colour,
  }));
  const sure = detections.filter(({ score }) => score >= drawnScore).map((
    { box, mask, categoryId },
  ): DrawnObject => ({ ...box && { box }, ...mask && { mask }, colour: colours.get(categoryId)! }));
  const [image, actualAddress, prediction] = await Promise.all(
    [photo, drawObjects(photo, actual), drawObjects(photo, sure)].map((one) =>
      pictureAddress(one, pictureWidth)
    ),
  );
  return {
    name: imagePaths(test.images)?.[index] ?? `image ${index}`,
    image,
    truth: actualAddress,
    prediction,
  };
}

/** For people. */
export function formatDetection(
  { task, head, arch, metrics, steps, seconds, files, report }: DetectionResult,
): string {
  const { boxAP, boxAP50, boxAP75, maskAP, maskAP50 = null, maskAP75 = null } = metrics;
  const masks = maskAP === undefined
    ? ""
    : `; mask AP ${share(maskAP)} (${share(maskAP50)}, ${share(maskAP75)})`;
  return [
    `${task}, ${head} over ${arch}: box AP ${share(boxAP)} (AP50 ${share(boxAP50)}, AP75 ${
      share(boxAP75)
    })${masks}; ` +
    `${steps} steps, ${formatDuration(seconds)}`,
    ...files,
    report,
  ].join("\n");
}
