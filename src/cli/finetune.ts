/** `deno task finetune`: trains a head on a subnet, and the subnet with it, on labelled images. */
import { join } from "@std/path";
import { openSegmentation } from "../data/dense/open.ts";
import type { SegmentationSource } from "../data/dense/target.ts";
import { pictureAddress } from "../data/thumbnails.ts";
import { formatDuration } from "../duration.ts";
import { formatArchitecture } from "../elastic/architecture.ts";
import type { SegmentationMetrics } from "../evaluate/segmentation.ts";
import { imagePaths } from "../extract/embed.ts";
import { loadFineTuneConfig } from "../finetune/config.ts";
import {
  readHeadedNetwork,
  writeSegmentationModel,
  writeSegmentationOnnx,
} from "../finetune/segmentation/model_file.ts";
import { drawClasses } from "../finetune/segmentation/pictures.ts";
import { trainSegmentation } from "../finetune/segmentation/run.ts";
import { renderSegmentationReport, type SegmentationPicture } from "../report/finetune_report.ts";
import { writeFileAtomically } from "../store/atomic_file.ts";
import { FolderLock } from "../store/folder_lock.ts";
import { appendMetrics, isPixels, isStep, readMetrics, truncateMetrics } from "../store/metrics.ts";
import { removeFile } from "../store/remove_file.ts";
import { version } from "../version.ts";
import { type Context, defineCommand, runCommand } from "./command.ts";
import { openDevice } from "./device.ts";
import { type DetectionResult, finetuneDetection, formatDetection } from "./finetune_detection.ts";
import { checkFinetuneFlags, finetuneFlags, finetuneOverrides, headOf } from "./finetune_flags.ts";
import { expectResumable, openBackbone, settingsOf } from "./finetune_frame.ts";
import { formatShare, formatTable } from "./format.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { dataPaths, finetuneOutput, guardOutputFolder } from "./output_guard.ts";
import { PredictionsFolder } from "./predictions_folder.ts";
import { Progress } from "./progress.ts";

interface SegmentationResult {
  readonly task: "segmentation";
  readonly head: string;
  readonly arch: string;
  readonly metrics: {
    readonly mIoU: number | null;
    readonly pixelAccuracy: number | null;
    readonly perClass: readonly ({ readonly class: string } & SegmentationMetrics["perClass"][number])[];
  };
  readonly steps: number;
  readonly seconds: number;
  readonly files: readonly string[];
  readonly report: string;
}

const fileNames = [
  "finetune.json",
  "metrics.jsonl",
  "model.safetensors",
  "model.onnx",
  "report.html",
] as const;

/** Test images that a report shows, and their width in pixels. */
const pictures = 6, pictureWidth = 320;

/** The command; exported for its tests. */
export const finetuneCommand = defineCommand({
  name: "finetune",
  summary:
    "Trains a head for a dense task on a subnet of a run or on an extracted model, and the network with it; tests it on " +
    "other images, and writes it as .safetensors with torchvision's names and as .onnx.",
  flags: finetuneFlags,
  examples: [
    "deno task finetune --run runs/roads --arch max --data masks:roads/train --test-data masks:roads/test --out runs/fcn",
    "deno task finetune --model best.safetensors --data voc:VOC/train --test-data voc:VOC/val --out runs/fcn",
    "deno task finetune --model best.safetensors --from scratch --data masks:roads/train --test-data masks:roads/test --out runs/new",
  ],
  run,
  format: formatResult,
});

type FinetuneResult = SegmentationResult | DetectionResult;

async function run(context: Context<typeof finetuneFlags>): Promise<FinetuneResult> {
  const { flags: { task } } = context;
  checkFinetuneFlags(context.flags);
  return task === "segmentation" ? await segment(context) : await finetuneDetection(context, task);
}

async function segment(
  { flags, logger, onInterrupt }: Context<typeof finetuneFlags>,
): Promise<SegmentationResult> {
  const warn = (text: string) => logger.warn(text);
  const config = await loadFineTuneConfig(flags.config, finetuneOverrides(flags));
  const { out, data, testData } = flags;
  const head = headOf("segmentation", flags.head);
  await guardOutputFolder(out, finetuneOutput, fileNames, [
    ...dataPaths(data),
    ...dataPaths(testData),
    flags.model,
    flags.predictions,
  ]);
  await makeOutputFolder(out);
  await using _ = await FolderLock.take(join(out, "finetune.lock"), warn);
  await using cleanup = new AsyncDisposableStack();
  const open = async (spec: string, seed: number): Promise<SegmentationSource> => {
    const source = await openSegmentation(spec, { imageSize: 64, seed, onWarning: warn });
    cleanup.defer(() => source.release());
    return source;
  };
  // Synthetic images to test on are others.
  const train = await open(data, config.training.seed);
  const test = await open(testData, config.training.seed + 1);
  const predictions = flags.predictions === undefined
    ? undefined
    : await PredictionsFolder.open(flags.predictions, test, [train, test]);
  using gpu = await openDevice(logger);
  const signal = onInterrupt(
    "Stopping; the last complete step is saved. Go on with the same command and --resume.",
  );
  gpu.stream.interrupt = signal;
  const { model, weights } = await openBackbone(gpu, flags, config.training.seed, warn);
  const arch = formatArchitecture(model.network.space.max);
  const about = { task: flags.task, head, arch, weights, from: flags.from, data, testData, config };
  const paths = {
    kept: join(out, "last.safetensors"),
    metrics: join(out, fileNames[1]),
    model: join(out, fileNames[2]),
    onnx: join(out, fileNames[3]),
    report: join(out, fileNames[4]),
  };
  await expectResumable(out, paths, flags.resume);
  const begun = performance.now();
  let progress: Progress | undefined;
  const shown = new PictureCollector(test);
  const trained = await trainSegmentation(gpu, {
    model,
    head,
    config,
    train,
    test,
    kept: { path: paths.kept, about: JSON.stringify(about) },
  }, {
    signal,
    async append(...lines) {
      await appendMetrics(paths.metrics, lines);
    },
    async onStart({ step, totalSteps }) {
      await writeFileAtomically(
        join(out, fileNames[0]),
        JSON.stringify({ version, ...about }, null, 1) + "\n",
      );
      await truncateMetrics(paths.metrics, step === 0 ? -1 : step);
      logger.info(
        `${train.images.length} images to train on, ${test.images.length} to test on, ${totalSteps} steps`,
      );
      progress = new Progress({ logger, label: "finetune", total: totalSteps, unit: "steps", done: step });
    },
    evaluated: async (step) =>
      (await readMetrics(paths.metrics)).some((line) => isPixels(line) && line.step === step),
    onPart: (done) => progress?.update(done),
    onSteps: ({ step, loss, imagesPerSecond }) =>
      progress?.update(step, {
        "images/s": imagesPerSecond.toPrecision(3),
        ...Number.isFinite(loss) && { loss: loss.toFixed(3) },
      }),
    onEvaluation({ epoch, mIoU, pixelAccuracy }) {
      logger.info(`epoch ${epoch}: mean IoU ${share(mIoU)}, pixels right ${share(pixelAccuracy)}`);
      progress?.restart();
    },
    async onPrediction(index, classes, size) {
      await predictions?.write(index, classes, size);
      await shown.add(index, classes, size);
    },
  });
  if (!trained) throw signal.reason;
  progress?.finish();
  using objective = trained.objective;
  const { input } = model;
  const whole = await readHeadedNetwork(objective.encoder, {
    input,
    head,
    classes: train.classes.map(({ name }) => name),
  });
  await writeSegmentationModel(paths.model, whole);
  // ONNX has no operator for the pyramid's pooling of maps of any size.
  const exported = head !== "psp";
  if (exported) await writeSegmentationOnnx(paths.onnx, whole);
  const { metrics, steps } = trained;
  const lines = await readMetrics(paths.metrics);
  await writeFileAtomically(
    paths.report,
    await renderSegmentationReport({
      title: out,
      version,
      device: gpu.facts.description,
      head,
      arch,
      classes: train.classes,
      images: { train: train.images.length, test: test.images.length },
      metrics,
      steps: lines.filter(isStep),
      evaluations: lines.filter(isPixels),
      pictures: shown.pictures,
      settings: settingsOf(about),
    }),
  );
  // Until all is written, --resume writes it.
  await removeFile(paths.kept);
  return {
    task: "segmentation",
    head,
    arch,
    metrics: {
      mIoU: metrics.mIoU,
      pixelAccuracy: metrics.pixelAccuracy,
      perClass: metrics.perClass.map((one, at) => ({ class: train.classes[at].name, ...one })),
    },
    steps,
    seconds: Number(((performance.now() - begun) / 1000).toFixed(2)),
    files: [paths.model, ...exported ? [paths.onnx] : []],
    report: paths.report,
  };
}

function share(value: number | null): string {
  return value === null ? "none" : formatShare(value);
}

/** Draws some of the test images. */
class PictureCollector {
  readonly pictures: SegmentationPicture[] = [];

  constructor(readonly test: SegmentationSource) {}

  async add(
    index: number,
    classes: Uint8Array,
    { width, height }: { width: number; height: number },
  ): Promise<void> {
    const { test } = this;
    const name = imagePaths(test.images)?.[index] ?? `image ${index}`;
    // Neighbours of a folder are often alike: some from all over the set.
    const shown = index % Math.ceil(test.images.length / pictures) === 0;
    const [photo] = shown ? await test.images.load([index]) : [];
    if (!photo || photo.width !== width || photo.height !== height) return;
    const truth = await test.target(index);
    const drawn = [
      photo,
      drawClasses(photo, truth.values, test.classes),
      drawClasses(photo, classes, test.classes),
    ];
    const [image, actual, prediction] = await Promise.all(
      drawn.map((picture) => pictureAddress(picture, pictureWidth)),
    );
    this.pictures.push({ name, image, truth: actual, prediction });
  }
}

function formatResult(result: FinetuneResult): string {
  if (result.task !== "segmentation") return formatDetection(result);
  const { task, head, arch, metrics, steps, seconds, files, report } = result;
  return [
    formatTable([
      ["class", "IoU", "recognised"],
      ...metrics.perClass.map((one) => [one.class, share(one.iou), share(one.accuracy)]),
    ], "lrr"),
    "",
    `${task}, ${head} over ${arch}: mean IoU ${share(metrics.mIoU)}, pixels right ${
      share(metrics.pixelAccuracy)
    }; ` +
    `${steps} steps, ${formatDuration(seconds)}`,
    ...files,
    report,
  ].join("\n");
}

if (import.meta.main) await runCommand(finetuneCommand);
