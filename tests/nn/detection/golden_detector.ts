/** The small detector whose values torchvision computed. */
import { assertEquals } from "@std/assert";
import type { Gpu } from "../../../src/gpu/device.ts";
import { Detector } from "../../../src/nn/detection/detector.ts";
import { everything } from "../../../src/nn/detection/sampler.ts";
import { type DetectorSettings, maskRcnnSettings } from "../../../src/nn/detection/settings.ts";
import type { Pass } from "../../../src/nn/layers.ts";
import { Tape } from "../../../src/tensor/tape.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { assertClose, type GoldenCase, goldenCases } from "../../helpers.ts";

export const size = ([height, width]: readonly number[]) => ({ height, width });

/** A pass that only a detector's own weights are read in. */
export function passOf(gpu: Gpu, detector: Detector, recording = false): Pass {
  return {
    tape: new Tape(gpu, recording),
    weights: detector.weights,
    // deno-lint-ignore no-explicit-any
    statistics: undefined as any,
    training: recording,
    batchnormGroups: 1,
  };
}

export function settingsOf({ parameters: one }: GoldenCase): DetectorSettings {
  const settings = maskRcnnSettings(one.classes);
  const { beforeNms, afterNms } = one;
  return {
    ...settings,
    channels: one.channels,
    anchors: { ...settings.anchors, sizes: one.anchors.map((side: number) => [side]) },
    // All anchors and regions are taken: no chance.
    proposals: {
      ...settings.proposals,
      targets: { ...settings.proposals.targets, sample: everything },
      training: { ...settings.proposals.training, beforeNms, afterNms },
      testing: { ...settings.proposals.testing, beforeNms, afterNms },
    },
    levels: { ...settings.levels, canonicalScale: one.canonicalScale },
    boxes: {
      ...settings.boxes,
      hidden: one.hidden,
      targets: { ...settings.boxes.targets, sample: everything },
      detections: { ...settings.boxes.detections, most: one.most },
    },
    masks: { ...settings.masks!, convolutions: one.maskConvolutions, hidden: one.maskHidden },
  };
}

export function weightsOf(one: GoldenCase, detector: Detector) {
  const names = [...detector.weights.shapes.parameters.keys()];
  return new Map(names.map((name) => [name, one.get(`weight.${name}`)]));
}

export async function goldenDetector(gpu: Gpu) {
  const [one] = await goldenCases("detector");
  const detector = new Detector(gpu, one.parameters.taps, settingsOf(one), true);
  detector.load(weightsOf(one, detector));
  const taps = [0, 1, 2, 3].map((tap) => {
    const { data, shape } = one.get(`tap${tap}`);
    return Tensor.from(gpu, data, shape);
  });
  return { one, detector, taps };
}

export async function close(one: GoldenCase, name: string, found: Tensor): Promise<void> {
  assertEquals(found.shape, one.get(name).shape, name);
  assertClose(await found.read(), one.get(name).data, one.tolerance.forward, name);
}
