/** A trained detector on the host, and as a file: weights under torchvision's names. */
import { pixelRules } from "../../data/evaluation_image.ts";
import { formatMetadata, type ModelInput } from "../../extract/model.ts";
import { mostGrowth, proposalWeights } from "../../nn/detection/box_coder.ts";
import type { DetectorNetwork } from "../../nn/detection/detector_network.ts";
import type { DetectorSettings } from "../../nn/detection/settings.ts";
import { joinWeights } from "../../nn/detection/torchvision_names.ts";
import type { Network } from "../../nn/network.ts";
import { readWeights } from "../../nn/weights.ts";
import { type TensorOf, writeSafetensors } from "../../store/safetensors.ts";
import type { FineTuneConfig } from "../config.ts";
import type { DetectionHead } from "./settings.ts";

/** What a file says of a detector. */
export interface DetectorDescription {
  readonly task: string;
  readonly head: DetectionHead;
  readonly input: ModelInput;
  /** Without background. */
  readonly classes: readonly string[];
  /** How photos are resized for it. */
  readonly resize: Pick<FineTuneConfig["detection"], "shortSide" | "longSide" | "antialias">;
}

/** A trained detector on the host. */
export interface DetectorModel extends DetectorDescription {
  readonly network: Network;
  readonly settings: DetectorSettings;
  /** Names of the taps under the pyramid, from fine to coarse. */
  readonly taps: readonly string[];
  /** What sides of batches are a multiple of, in pixels. */
  readonly stride: number;
  /** Names without a prefix for the backbone's. */
  readonly weights: ReadonlyMap<string, TensorOf<"F32">>;
  ofBackbone(name: string): boolean;
}

/** Brings a detector to the host. */
export async function readDetector(
  detector: DetectorNetwork,
  description: DetectorDescription,
): Promise<DetectorModel> {
  const { network, taps, stride, detector: { settings } } = detector;
  return {
    ...description,
    ...{ network, settings, taps, stride },
    weights: await readWeights(detector.weights, detector.statistics),
    ofBackbone: (name) => detector.ofBackbone(name) || /\.running_(mean|var)$/.test(name),
  };
}

/** How photos become the network's input. */
function preprocessing({ resize: { shortSide, longSide, antialias }, stride }: DetectorModel) {
  return {
    resize: shortSide === null ? null : { shortSide, longSide, rounding: "down" },
    filter: antialias ? "bilinear, antialiased" : "bilinear",
    padToMultipleOf: stride,
    ...pixelRules,
  };
}

/** All numbers that stand between the heads' outputs and detections; docs/detection.md says what they do. */
function postprocessing({ settings: { anchors, proposals, levels, boxes, masks } }: DetectorModel) {
  return {
    anchors,
    proposals: { weights: proposalWeights, ...proposals.testing },
    mostGrowth,
    levels,
    boxes: { pool: boxes.pool, agnostic: boxes.agnostic, ...boxes.detections },
    ...masks && { masks: { pool: masks.pool, paste: masks.paste } },
  };
}

/** What all files of a detector say beside their weights. */
export function detectorMetadata(model: DetectorModel): Record<string, string> {
  const { task, head, network, input, classes } = model;
  return {
    ...formatMetadata({ network, input, calibration: undefined }),
    format: "scion-detection-1",
    task,
    head,
    classes: JSON.stringify(classes),
    preprocessing: JSON.stringify(preprocessing(model)),
    postprocessing: JSON.stringify(postprocessing(model)),
  };
}

/**
 * Writes `.safetensors` with the names of torchvision's detectors: `backbone.body.…`, `backbone.fpn.…`, `rpn.…`, `roi_heads.…`.
 *
 * @throws {DataError} when the file system refuses
 */
export async function writeDetectorModel(path: string, model: DetectorModel): Promise<void> {
  const part = (backbone: boolean) =>
    new Map([...model.weights].filter(([name]) => model.ofBackbone(name) === backbone));
  const joined = joinWeights({ backbone: part(true), heads: part(false) });
  await writeSafetensors(path, [...joined] as [string, TensorOf<"F32">][], detectorMetadata(model));
}
