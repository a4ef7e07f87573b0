/** The detector that a configuration describes. */
import { type DetectorSettings, fasterRcnnSettings, maskRcnnSettings } from "../../nn/detection/settings.ts";
import type { FineTuneConfig } from "../config.ts";

/** Heads of detection. */
export const detectionHeads = ["faster-rcnn", "mask-rcnn"] as const;

/** One of {@linkcode detectionHeads}. */
export type DetectionHead = typeof detectionHeads[number];

/**
 * torchvision's settings, changed as the configuration says.
 * @param classes without background
 */
export function detectorSettings(
  head: DetectionHead,
  classes: number,
  config: FineTuneConfig["detection"],
): DetectorSettings {
  const usual = head === "mask-rcnn" ? maskRcnnSettings(classes + 1) : fasterRcnnSettings(classes + 1);
  const { proposals, boxes, masks } = usual;
  const most = (count: number) => ({ beforeNms: count, afterNms: count });
  const { maskConvolutions, maskChannels, proposalSamples, regionSamples, regionShare, beta } = config;
  return {
    ...usual,
    channels: config.channels,
    anchors: { ...usual.anchors, sizes: config.anchorSizes.map((size) => [size]) },
    levels: { ...usual.levels, canonicalScale: config.canonicalScale },
    proposals: {
      targets: { ...proposals.targets, sample: { ...proposals.targets.sample, size: proposalSamples } },
      training: { ...proposals.training, ...most(config.trainingProposals) },
      testing: { ...proposals.testing, ...most(config.testingProposals) },
      beta,
    },
    boxes: {
      ...boxes,
      hidden: config.hidden,
      agnostic: config.agnostic,
      targets: { ...boxes.targets, sample: { size: regionSamples, positiveFraction: regionShare } },
      beta,
    },
    ...masks && {
      masks: {
        ...masks,
        convolutions: new Array<number>(maskConvolutions).fill(maskChannels),
        hidden: maskChannels,
      },
    },
  };
}
