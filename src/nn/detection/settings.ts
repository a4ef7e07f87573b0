/** All that makes up a detector but its backbone. */
import type { RoiSampling } from "../../tensor/ops/roi_align_table.ts";
import type { AnchorSettings } from "./anchors.ts";
import type { BoxWeights } from "./box_coder.ts";
import type { DetectionRule } from "./detections.ts";
import type { PasteRule } from "./paste.ts";
import type { ProposalRule } from "./proposals.ts";
import { defaultLevelRule, type LevelRule } from "./pyramid_levels.ts";
import { defaultMaskTargets, type MaskTargetRule, type TargetRule } from "./targets.ts";

/** Settings of a Faster R-CNN, or with masks of a Mask R-CNN, over a feature pyramid. */
export interface DetectorSettings {
  /** Classes, background included. */
  readonly classes: number;
  /** Channels of the pyramid's maps. */
  readonly channels: number;
  readonly anchors: AnchorSettings;
  readonly proposals: {
    readonly targets: TargetRule;
    readonly training: ProposalRule;
    readonly testing: ProposalRule;
    /** Width of the parabola of the boxes' smooth L1; 0 for L1, as mmdet and detectron2. */
    readonly beta: number;
  };
  /** The pyramid level of each region, for boxes and masks. */
  readonly levels: LevelRule;
  readonly boxes: {
    readonly pool: RoiSampling;
    /** Width of the two hidden layers. */
    readonly hidden: number;
    /** Whether a region has one box, whatever its class; each class has its own otherwise. */
    readonly agnostic: boolean;
    readonly targets: TargetRule & { readonly weights: BoxWeights };
    readonly detections: DetectionRule;
    /** As that of proposals. */
    readonly beta: number;
  };
  /** Undefined for boxes alone. */
  readonly masks?: {
    readonly pool: RoiSampling;
    /** Channels of each 3x3 convolution. */
    readonly convolutions: readonly number[];
    /** Channels of the enlarged map. */
    readonly hidden: number;
    readonly targets: MaskTargetRule;
    readonly paste: PasteRule;
  };
}

const boxWeights: BoxWeights = [10, 10, 5, 5];

/** torchvision's `fasterrcnn_resnet50_fpn`. */
export function fasterRcnnSettings(classes: number): DetectorSettings {
  const proposals: ProposalRule = { beforeNms: 1000, afterNms: 1000, nmsThreshold: 0.7, leastSide: 1e-3 };
  return {
    classes,
    channels: 256,
    anchors: { sizes: [[32], [64], [128], [256], [512]], ratios: [0.5, 1, 2], rounded: true },
    proposals: {
      targets: {
        match: { positive: 0.7, negative: 0.3, lowQuality: "own" },
        sample: { size: 256, positiveFraction: 0.5 },
      },
      training: { ...proposals, beforeNms: 2000, afterNms: 2000 },
      testing: proposals,
      beta: 1 / 9,
    },
    levels: defaultLevelRule,
    boxes: {
      pool: { bins: 7, samplingRatio: 2, aligned: false },
      hidden: 1024,
      agnostic: false,
      targets: {
        match: { positive: 0.5, negative: 0.5 },
        sample: { size: 512, positiveFraction: 0.25 },
        weights: boxWeights,
      },
      detections: {
        scoreThreshold: 0.05,
        nmsThreshold: 0.5,
        most: 100,
        leastSide: 1e-2,
        weights: boxWeights,
      },
      beta: 1 / 9,
    },
  };
}

/** torchvision's `maskrcnn_resnet50_fpn`. */
export function maskRcnnSettings(classes: number): DetectorSettings {
  return {
    ...fasterRcnnSettings(classes),
    masks: {
      pool: { bins: 14, samplingRatio: 2, aligned: false },
      convolutions: [256, 256, 256, 256],
      hidden: 256,
      targets: defaultMaskTargets,
      paste: "expanded",
    },
  };
}
