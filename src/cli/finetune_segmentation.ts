/** `deno task finetune --task segmentation`. */
import { join } from "@std/path";
import { openSegmentation } from "../data/dense/open.ts";
import type { LabelTarget } from "../data/dense/target.ts";
import { formatDuration } from "../duration.ts";
import type { SegmentationMetrics } from "../evaluate/segmentation.ts";
import {
  readHeadedNetwork,
  writeSegmentationModel,
  writeSegmentationOnnx,
} from "../finetune/segmentation/model_file.ts";
import type { OnPrediction } from "../finetune/segmentation/evaluate.ts";
import type { SegmentationHead } from "../finetune/segmentation/network.ts";
import { drawClasses } from "../finetune/segmentation/pictures.ts";
import { trainSegmentation } from "../finetune/segmentation/run.ts";
import { renderSegmentationReport } from "../report/segmentation_report.ts";
import { isPixels, type PixelMetrics } from "../store/metrics.ts";
import type { Segmentation } from "../train/segmentation/segmentation.ts";
import type { Context } from "./command.ts";
import { type FinetuneFlags, type finetuneFlags, headOf } from "./finetune_flags.ts";
import { finetune, type FinetuneResult, type FinetuneTask, share, ShownPictures } from "./finetune_frame.ts";
import { formatTable } from "./format.ts";
import { PredictionsFolder } from "./predictions_folder.ts";

/** What the command prints of a segmentation. */
export type SegmentationResult = FinetuneResult<"segmentation", {
  readonly mIoU: number | null;
  readonly pixelAccuracy: number | null;
  readonly perClass: readonly ({ readonly class: string } & SegmentationMetrics["perClass"][number])[];
}>;

function taskOf(
  { head: asked, predictions }: FinetuneFlags,
): FinetuneTask<
  LabelTarget,
  SegmentationHead,
  PixelMetrics,
  OnPrediction,
  Segmentation,
  SegmentationMetrics
> {
  const head = headOf("segmentation", asked);
  let shown: ShownPictures;
  return {
    head,
    models: ["model.safetensors", "model.onnx"],
    check: () => Promise.resolve(),
    open: openSegmentation,
    async collect(train, test) {
      const folder = predictions === undefined
        ? undefined
        : await PredictionsFolder.open(predictions, test, [train, test]);
      shown = new ShownPictures(test);
      return async (index, classes, size) => {
        await folder?.write(index, classes, size);
        await shown.add(index, async (photo) => {
          const { values } = await test.target(index);
          return [drawClasses(photo, values, test.classes), drawClasses(photo, classes, test.classes)];
        });
      };
    },
    train: trainSegmentation,
    isLine: isPixels,
    describe: ({ mIoU, pixelAccuracy }) => `mean IoU ${share(mIoU)}, pixels right ${share(pixelAccuracy)}`,
    async write(out, { encoder }, { input }, classes) {
      const whole = await readHeadedNetwork(encoder, { input, head, classes });
      const [weights, graph] = [join(out, "model.safetensors"), join(out, "model.onnx")];
      await writeSegmentationModel(weights, whole);
      // ONNX has no operator for the pyramid's pooling of maps of any size.
      if (head === "psp") return [weights];
      await writeSegmentationOnnx(graph, whole);
      return [weights, graph];
    },
    render: (report, { classes }) =>
      renderSegmentationReport({ ...report, classes, pictures: shown.pictures }),
  };
}

/** Trains and tests a segmentation, and writes it with its report. */
export async function finetuneSegmentation(
  context: Context<typeof finetuneFlags>,
): Promise<SegmentationResult> {
  const { metrics, classes, ...done } = await finetune(context, taskOf(context.flags));
  const { mIoU, pixelAccuracy, perClass } = metrics;
  return {
    task: "segmentation",
    ...done,
    metrics: { mIoU, pixelAccuracy, perClass: perClass.map((one, at) => ({ class: classes[at], ...one })) },
  };
}

/** For people. */
export function formatSegmentation(
  { task, head, arch, metrics, steps, seconds, files, report }: SegmentationResult,
): string {
  const { mIoU, pixelAccuracy, perClass } = metrics;
  return [
    formatTable([
      ["class", "IoU", "recognised"],
      ...perClass.map((one) => [one.class, share(one.iou), share(one.accuracy)]),
    ], "lrr"),
    "",
    `${task}, ${head} over ${arch}: mean IoU ${share(mIoU)}, pixels right ${share(pixelAccuracy)}; ` +
    `${steps} steps, ${formatDuration(seconds)}`,
    ...files,
    report,
  ].join("\n");
}
