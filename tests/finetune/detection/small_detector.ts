/** A narrow detector with weights such that no layer is trivial. */
import { parseFineTuneConfig } from "../../../src/finetune/config.ts";
import { type DetectorModel, readDetector } from "../../../src/finetune/detection/model_file.ts";
import { type DetectionHead, detectorSettings } from "../../../src/finetune/detection/settings.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import { DetectorNetwork } from "../../../src/nn/detection/detector_network.ts";
import { purpose, Random } from "../../../src/random.ts";
import { elements, type Shape } from "../../../src/shape.ts";
import { lively } from "../../extract/encoders.ts";
import { smallModel } from "../segmentation/small_segmentation.ts";

const classes = ["circle", "square", "größer"];

/**
 * Products keep the size of what they are given, but predictions: logits far enough apart that rounding does not change an
 * order, and not so far that probabilities saturate.
 */
function values(name: string, shape: Shape, random: Random): Float32Array<ArrayBuffer> {
  if (shape.length === 1) return lively(name, shape, random);
  const strength = /bbox_pred/.test(name) ? 0.1 : /cls_logits|cls_score/.test(name) ? 0.5 : 1;
  const bound = strength * Math.sqrt(6 / elements(shape.slice(1)));
  return Float32Array.from({ length: elements(shape) }, () => random.uniform(-bound, bound));
}

/** The detector on the device, and on the host as files describe it. */
export async function smallDetector(
  gpu: Gpu,
  head: DetectionHead,
  changes: { readonly agnostic?: boolean } = {},
): Promise<{ network: DetectorNetwork; model: DetectorModel }> {
  const { network: backbone, input } = await smallModel(gpu);
  const { detection } = parseFineTuneConfig({
    detection: {
      ...{ shortSide: 96, longSide: 160, channels: 8, hidden: 16, maskConvolutions: 2, maskChannels: 6 },
      ...{ anchorSizes: [12, 24, 48, 96, 192], canonicalScale: 48, testingProposals: 60, ...changes },
    },
  }, "test");
  const settings = detectorSettings(head, classes.length, detection);
  const network = new DetectorNetwork(gpu, backbone, settings, false, true);
  let index = 0;
  for (const arena of [network.weights.values, network.statistics.arena]) {
    for (const [name, tensor] of arena.entries()) {
      tensor.write(values(name, tensor.shape, new Random(3, purpose.test, index++)));
    }
  }
  const task = head === "mask-rcnn" ? "instances" : "detection";
  return { network, model: await readDetector(network, { task, head, input, classes, resize: detection }) };
}
