/** `deno task finetune --task detection` and `--task instances`. */
import { join } from "@std/path";
import { openInstances } from "../data/dense/open.ts";
import type { InstanceSource } from "../data/dense/target.ts";
import { formatDuration } from "../duration.ts";
import { UsageError } from "../errors.ts";
import type { DetectedObject } from "../evaluate/coco.ts";
import { resultsJson } from "../evaluate/coco_results.ts";
import { readDetector, writeDetectorModel } from "../finetune/detection/model_file.ts";
import { detectorOnnxFiles, writeDetectorOnnx } from "../finetune/detection/onnx_files.ts";
import { type DrawnObject, drawObjects } from "../finetune/detection/pictures.ts";
import {
  averagePrecisions,
  type DetectionKind,
  expectPyramid,
  planDetection,
  trainDetection,
} from "../finetune/detection/run.ts";
import { renderDetectionReport } from "../report/detection_report.ts";
import { writeFileAtomically } from "../store/atomic_file.ts";
import { isObjects, type ObjectMetrics } from "../store/metrics.ts";
import type { Context } from "./command.ts";
import { type FinetuneFlags, type finetuneFlags, headOf } from "./finetune_flags.ts";
import { finetune, type FinetuneResult, type FinetuneTask } from "./finetune_frame.ts";
import { formatShareOrNone as share } from "./format.ts";

type Task = "detection" | "instances";

/** What the command prints of a detector. */
export type DetectionResult = FinetuneResult<Task, Omit<ObjectMetrics, "step" | "epoch">>;

/** The least score of what is drawn over test images. */
const drawnScore = 0.5;

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

/** Detection with or without masks, from the command line. */
export function detectionTask(
  task: Task,
  { head: asked, predictions }: FinetuneFlags,
): FinetuneTask<DetectionKind> {
  const head = headOf(task, asked);
  const found: DetectedObject[] = [];
  return {
    head,
    models: ["model.safetensors", ...detectorOnnxFiles(head)],
    async check({ network }) {
      expectPyramid(network);
      if (predictions !== undefined) await expectOwnResults(predictions);
    },
    open: (spec, options) => openInstances(spec, task === "instances", options),
    collect(_, test, pictures) {
      return Promise.resolve(async (index, detections) => {
        found.push(...detections);
        await pictures.add(index, async (photo) => [
          drawObjects(photo, await trueObjects(test, index)),
          drawObjects(photo, sureObjects(test, detections)),
        ]);
      });
    },
    train: trainDetection,
    plan: planDetection,
    isLine: isObjects,
    describe({ boxAP, maskAP }) {
      const masks = maskAP === undefined ? "" : `, mask AP ${share(maskAP)}`;
      return `box AP ${share(boxAP)}${masks}`;
    },
    async write(out, { encoder }, { input }, classes, { detection }) {
      const whole = await readDetector(encoder, { task, head, input, classes, resize: detection });
      const path = join(out, "model.safetensors");
      await writeDetectorModel(path, whole);
      const files = [path, ...await writeDetectorOnnx(out, whole)];
      if (predictions === undefined) return files;
      await writeFileAtomically(predictions, resultsJson(found));
      return [...files, predictions];
    },
    render: (report, classes) => renderDetectionReport({ ...report, task, classes }),
  };
}

async function trueObjects(test: InstanceSource, index: number): Promise<DrawnObject[]> {
  const { instances } = await test.target(index);
  return instances.map(({ box, mask, classIndex }) => ({
    box,
    ...mask && { mask },
    colour: test.classes[classIndex].colour,
  }));
}

function sureObjects({ classes }: InstanceSource, detections: readonly DetectedObject[]): DrawnObject[] {
  const colours = new Map(classes.map(({ id, colour }) => [id, colour]));
  return detections.filter(({ score }) => score >= drawnScore).map(({ box, mask, categoryId }) => ({
    ...box && { box },
    ...mask && { mask },
    colour: colours.get(categoryId)!,
  }));
}

/** Trains and tests a detector, and writes it with its report. */
export async function finetuneDetection(
  context: Context<typeof finetuneFlags>,
  task: Task,
): Promise<DetectionResult> {
  const { metrics, classes: _, ...done } = await finetune(context, detectionTask(task, context.flags));
  return { task, ...done, metrics: averagePrecisions(metrics) };
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
