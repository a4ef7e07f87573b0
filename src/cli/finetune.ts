/** `deno task finetune`: trains a head on a subnet, and the subnet with it, on labelled images. */
import { type Context, defineCommand, runCommand } from "./command.ts";
import {
  type ClassificationResult,
  finetuneClassification,
  formatClassification,
} from "./finetune_classification.ts";
import {
  type DetectionResult,
  detectionTask,
  finetuneDetection,
  formatDetection,
} from "./finetune_detection.ts";
import { checkFinetuneFlags, finetuneFlags } from "./finetune_flags.ts";
import { type FinetunePlan, formatFinetunePlan, planFinetuning } from "./finetune_plan.ts";
import {
  finetuneSegmentation,
  formatSegmentation,
  type SegmentationResult,
  segmentationTask,
} from "./finetune_segmentation.ts";

/** The command; exported for its tests. */
export const finetuneCommand = defineCommand({
  name: "finetune",
  summary:
    "Trains a head for a task on a subnet of a run or on an extracted model, and the network with it; tests it on other " +
    "images, and writes it as .safetensors with torchvision's names, and as .onnx: a classifier and a segmentation whole, " +
    "a detector up to what its heads say of images and of regions.",
  flags: finetuneFlags,
  examples: [
    "deno task finetune --run runs/roads --arch max --data masks:roads/train --test-data masks:roads/test --out runs/fcn",
    "deno task finetune --model best.safetensors --data voc:VOC/train --test-data voc:VOC/val --out runs/fcn",
    "deno task finetune --model best.safetensors --from scratch --data masks:roads/train --test-data masks:roads/test --out runs/new",
    "deno task finetune --from scratch --config configs/finetune-cityscapes-fcn.json --data cityscapes:DIR/train --test-data cityscapes:DIR/val --dry-run",
  ],
  run,
  format(result) {
    if ("memory" in result) return formatFinetunePlan(result);
    if (result.task === "classification") return formatClassification(result);
    return result.task === "segmentation" ? formatSegmentation(result) : formatDetection(result);
  },
});

async function run(
  context: Context<typeof finetuneFlags>,
): Promise<ClassificationResult | SegmentationResult | DetectionResult | FinetunePlan> {
  const { flags, flags: { task } } = context;
  checkFinetuneFlags(flags);
  if (task === "classification") return await finetuneClassification(context);
  if (flags.dryRun) {
    return task === "segmentation"
      ? await planFinetuning(context, segmentationTask(flags))
      : await planFinetuning(context, detectionTask(task, flags));
  }
  return task === "segmentation"
    ? await finetuneSegmentation(context)
    : await finetuneDetection(context, task);
}

if (import.meta.main) await runCommand(finetuneCommand);
