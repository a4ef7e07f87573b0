/** The flags of `deno task finetune`, and what they say together. */
import type { Override } from "../config/overrides.ts";
import { parseSet } from "../config/overrides.ts";
import { UsageError } from "../errors.ts";
import { type DetectionHead, detectionHeads } from "../finetune/detection/settings.ts";
import { type SegmentationHead, segmentationHeads } from "../finetune/segmentation/network.ts";
import { encoderFlag } from "./encoder_flag.ts";
import type { FlagValues } from "./flags.ts";
import { checkpointFlag } from "./run_checkpoint.ts";

const forms =
  "masks:DIR, cityscapes:DIR, voc:DIR or synthetic:N; for objects also coco:IMAGES,ANNOTATIONS.json; for classes of images " +
  "what evaluate takes, e.g. a folder of one folder a class";

export const finetuneFlags = {
  run: { type: "string", placeholder: "DIR", description: "Run folder of a pretraining" },
  checkpoint: checkpointFlag,
  arch: {
    type: "string",
    placeholder: "ARCH",
    description:
      "With --run, or of a network that --config describes: max, min, a name, or an id (default: max)",
  },
  encoder: encoderFlag,
  model: {
    type: "string",
    placeholder: "FILE",
    description: 'In place of --run: a .safetensors that "deno task extract" wrote',
  },
  from: {
    type: "string",
    choices: ["pretrained", "scratch"],
    default: "pretrained",
    description:
      "Start from the weights, or from new ones: of the same architecture, to compare, or without --run and --model of the " +
      "network that --config describes",
  },
  task: {
    type: "string",
    choices: ["classification", "segmentation", "detection", "instances"],
    default: "segmentation",
    description:
      "What is learnt: the class of each image, the class of each pixel, objects with their boxes, or objects with boxes " +
      "and masks",
  },
  head: {
    type: "string",
    choices: ["linear", ...segmentationHeads, ...detectionHeads],
    description:
      "For classification linear, a layer over the pooled features. For segmentation fcn, the default, torchvision's, or psp, PSPNet's pyramid of pooled maps; both with an auxiliary " +
      "classifier. For detection faster-rcnn, for instances mask-rcnn, torchvision's",
  },
  data: { type: "string", placeholder: "SPEC", required: true, description: `Images to train on: ${forms}` },
  testData: {
    type: "string",
    placeholder: "SPEC",
    required: true,
    description: `Images to test on: ${forms}`,
  },
  out: { type: "string", placeholder: "DIR", description: "Folder of the run; only a dry run needs none" },
  config: { type: "string", placeholder: "FILE", description: "Settings, e.g. configs/finetune-camvid.json" },
  set: {
    type: "strings",
    placeholder: "PATH=VALUE",
    description: "Replace one field of the settings, e.g. optimizer.learningRate=0.02",
  },
  epochs: { type: "integer", placeholder: "N", minimum: 1, description: "Passes over the images" },
  seed: {
    type: "integer",
    placeholder: "N",
    minimum: 0,
    maximum: 0xffff_ffff,
    description: "Seed of all randomness",
  },
  predictions: {
    type: "string",
    placeholder: "PATH",
    description:
      "Also write what is predicted of the test images: into a folder of label PNGs with the files' own ids, of objects a " +
      "file of COCO results, of classes a .csv",
  },
  resume: { type: "boolean", description: "Go on with an interrupted run of the same settings in --out" },
  dryRun: {
    type: "boolean",
    description:
      "Count and measure a few steps, show how long all take and how much memory, and stop: nothing is written",
  },
} as const;

/** Values of {@linkcode finetuneFlags}. */
export type FinetuneFlags = FlagValues<typeof finetuneFlags>;

/** The heads of each task, the default first. */
const headsOfTasks = {
  classification: ["linear"],
  segmentation: segmentationHeads,
  detection: ["faster-rcnn"],
  instances: ["mask-rcnn"],
} as const satisfies Record<FinetuneFlags["task"], readonly FinetuneFlags["head"][]>;

/** The head that was asked for, or the task's own. @throws {UsageError} for one of another task */
export function headOf(task: "classification", head: FinetuneFlags["head"]): "linear";
export function headOf(task: "segmentation", head: FinetuneFlags["head"]): SegmentationHead;
export function headOf(task: "detection" | "instances", head: FinetuneFlags["head"]): DetectionHead;
export function headOf(task: FinetuneFlags["task"], head: FinetuneFlags["head"]): string {
  const heads: readonly string[] = headsOfTasks[task];
  if (head === undefined) return heads[0];
  if (heads.includes(head)) return head;
  throw new UsageError(`--head ${head} does not go with --task ${task}, which has ${heads.join(" and ")}.`);
}

/** Checks the flags against each other. @throws {UsageError} naming those that do not go together */
export function checkFinetuneFlags(
  { run, model, checkpoint, arch, encoder, from, data, testData }: FinetuneFlags,
): void {
  if (run !== undefined && model !== undefined) {
    throw new UsageError("Give either --run DIR, a pretraining, or --model FILE, not both.");
  }
  if (run === undefined && model === undefined && from !== "scratch") {
    throw new UsageError(
      "Give either --run DIR, a pretraining, or --model FILE; or --from scratch with a --config that describes a network, " +
        "as configs/finetune-cityscapes-fcn.json does.",
    );
  }
  if (model !== undefined && arch !== undefined) {
    throw new UsageError(
      `--arch ${arch} does not go with --model, which is of one architecture. Leave it out.`,
    );
  }
  const ofRuns = Object.entries({
    "--checkpoint": checkpoint !== undefined,
    "--encoder momentum": encoder === "momentum",
  }).find(([, given]) => given);
  if (run === undefined && ofRuns) throw new UsageError(`${ofRuns[0]} goes with --run only.`);
  if (data === testData && !data.startsWith("synthetic")) {
    throw new UsageError(
      `--data and --test-data are the same images (${data}). Test on others than those that are trained on.`,
    );
  }
}

/** Changes of the settings. */
export function finetuneOverrides({ epochs, seed, set }: FinetuneFlags): Override[] {
  return [
    ...set.map(parseSet),
    ...epochs === undefined ? [] : [{ path: "training.epochs", value: epochs, flag: "--epochs" }],
    ...seed === undefined ? [] : [{ path: "training.seed", value: seed, flag: "--seed" }],
  ];
}
