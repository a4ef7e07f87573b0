/** `deno task finetune --task segmentation`. */
import { join } from "@std/path";
import { openSegmentation } from "../data/dense/open.ts";
import { formatDuration } from "../duration.ts";
import type { SegmentationMetrics } from "../evaluate/segmentation.ts";
import {
  readHeadedNetwork,
  writeSegmentationModel,
  writeSegmentationOnnx,
} from "../finetune/segmentation/model_file.ts";
import { expectHead } from "../finetune/segmentation/network.ts";
import { drawClasses } from "../finetune/segmentation/pictures.ts";
import { planSegmentation, type SegmentationKind, trainSegmentation } from "../finetune/segmentation/run.ts";
import { renderSegmentationReport } from "../report/segmentation_report.ts";
import { isPixels } from "../store/metrics.ts";
import type { Context } from "./command.ts";
import { type FinetuneFlags, type finetuneFlags, headOf } from "./finetune_flags.ts";
import { finetune, type FinetuneResult, type FinetuneTask } from "./finetune_frame.ts";
import { formatShareOrNone as share, formatTable } from "./format.ts";
import { PredictionsFolder } from "./predictions_folder.ts";

/** What the command prints of a segmentation. */
export type SegmentationResult = FinetuneResult<"segmentation", {
  readonly mIoU: number | null;
  readonly pixelAccuracy: number | null;
  readonly perClass: readonly ({ readonly class: string } & SegmentationMetrics["perClass"][number])[];
}>;

/** Segmentation, from the command line. */
export function segmentationTask(
  { head: asked, predictions }: FinetuneFlags,
): FinetuneTask<SegmentationKind> {
  const head = headOf("segmentation", asked);
  return {
    head,
    models: ["model.safetensors", "model.onnx"],
    check: ({ network }, { segmentation }) => Promise.resolve(expectHead(network, head, segmentation)),
    open: openSegmentation,
    async collect(train, test, pictures) {
      const folder = predictions === undefined
        ? undefined
        : await PredictionsFolder.open(predictions, test, [train, test]);
      return async (index, classes, size) => {
        await folder?.write(index, classes, size);
        await pictures.add(index, async (photo) => {
          const { values } = await test.target(index);
          return [drawClasses(photo, values, test.classes), drawClasses(photo, classes, test.classes)];
        });
      };
    },
    train: trainSegmentation,
    plan: planSegmentation,
    isLine: isPixels,
    describe: ({ mIoU, pixelAccuracy }) => `mean IoU ${share(mIoU)}, pixels right ${share(pixelAccuracy)}`,
    async write(out, { encoder }, { input }, classes) {
      const whole = await readHeadedNetwork(encoder, { input, head, classes });
      const [weights, graph] = [join(out, "model.safetensors"), join(out, "model.onnx")];
      await writeSegmentationModel(weights, whole);
      await writeSegmentationOnnx(graph, whole);
      return [weights, graph];
    },
    render: (report, classes) => renderSegmentationReport({ ...report, classes }),
  };
}

/** Trains and tests a segmentation, and writes it with its report. */
export async function finetuneSegmentation(
  context: Context<typeof finetuneFlags>,
): Promise<SegmentationResult> {
  const { metrics, classes, ...done } = await finetune(context, segmentationTask(context.flags));
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
