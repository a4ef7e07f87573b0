/** The flags of `deno task correlate`. */
import { detectionHeads } from "../finetune/detection/settings.ts";
import { segmentationHeads } from "../finetune/segmentation/network.ts";
import { tasks } from "../search/places.ts";
import { correlateProtocols } from "../studies/correlate/protocols.ts";
import { dataFlag } from "./data_flag.ts";
import type { FlagValues } from "./flags.ts";
import { checkpointFlag } from "./run_checkpoint.ts";

export const correlateFlags = {
  run: { type: "string", placeholder: "DIR", required: true, description: "Run folder of a pretraining" },
  checkpoint: checkpointFlag,
  subnets: {
    type: "integer",
    placeholder: "N",
    minimum: 3,
    default: 20,
    description: "Subnets, spread over the range of MACs; all where the space has fewer",
  },
  protocol: {
    type: "string",
    choices: correlateProtocols,
    default: "knn",
    description:
      "What a subnet is judged by: knn, with the configuration's own settings, linear, a linear probe on pooled features, or " +
      "segmentation, detection or instances, for which each is trained with a head, as finetune does: mean IoU, AP of " +
      "boxes, AP of masks",
  },
  head: {
    type: "string",
    choices: [...segmentationHeads, ...detectionHeads],
    description:
      "With a protocol that trains: its head, as in finetune (default: fcn, faster-rcnn, mask-rcnn)",
  },
  config: {
    type: "string",
    placeholder: "FILE",
    description: "With a protocol that trains: its settings, e.g. configs/finetune-camvid.json",
  },
  set: {
    type: "strings",
    placeholder: "PATH=VALUE",
    description: "With a protocol that trains: replace one field of the settings, e.g. training.epochs=10",
  },
  data: dataFlag(
    "Labelled images that classify or are trained on, and are scored on",
    "those that the run was trained on",
  ),
  testData: dataFlag("Labelled images that are classified or tested on", "those that the run held out"),
  task: {
    type: "string",
    choices: tasks,
    description:
      "What decides about the features that scores compare, as in search (default: the protocol's, or classification)",
  },
  images: {
    type: "integer",
    placeholder: "N",
    minimum: 4,
    default: 512,
    description: "Images that candidates are scored on",
  },
  seeds: {
    type: "integer",
    placeholder: "N",
    minimum: 1,
    maximum: 8,
    default: 1,
    description:
      "From 2 on, pretrains the same again under the next seeds (in --out), to see how far two runs agree: no score can " +
      "expect more",
  },
  out: {
    type: "string",
    placeholder: "DIR",
    description:
      "Folder of the results (default: correlate in the run's folder); those of each protocol have names of their own there",
  },
  resume: { type: "boolean", description: "Go on with an interrupted correlation" },
} as const;

/** Values of {@linkcode correlateFlags}. */
export type CorrelateFlags = FlagValues<typeof correlateFlags>;
