/** The network that a segmentation trains: a backbone at an output stride, and a head over its last maps. */
import type { FineTuneConfig } from "../config.ts";
import { tapNames, tapShapes } from "../../elastic/network.ts";
import { ConfigurationError, UsageError } from "../../errors.ts";
import type { TappedHead } from "../../nn/headed_network.ts";
import type { Network } from "../../nn/network.ts";
import { ElasticResNet } from "../../nn/resnet.ts";
import { fcnHead } from "../../nn/segmentation/fcn.ts";
import { pspHead } from "../../nn/segmentation/psp.ts";

/** Heads of segmentation. */
export const segmentationHeads = ["fcn", "psp"] as const;

/** One of {@linkcode segmentationHeads}. */
export type SegmentationHead = typeof segmentationHeads[number];

/**
 * The backbone with the strides of its later stages replaced by dilation, so that one pixel of its last map stands for so
 * many of the image. Weights stay what they are.
 *
 * @throws {ConfigurationError} for a stride that it cannot have
 * @throws {UsageError} for a network that is no ResNet, and would have to be dilated
 */
export function withOutputStride(network: Network, outputStride: number): Network {
  const side = 1024;
  const natural = side / [...tapShapes(network, network.space.max, side).values()].at(-1)![2];
  if (natural === outputStride) return network;
  if (!(network instanceof ElasticResNet)) {
    throw new UsageError(`Only a ResNet can be dilated; this network has output stride ${natural}.`);
  }
  const { strides } = network.space.definition;
  const dilated = strides.map(() => false);
  let stride = natural;
  for (let stage = strides.length - 1; stage > 0 && stride > outputStride; stage--) {
    if (strides[stage] === 1) continue;
    dilated[stage] = true;
    stride /= strides[stage];
  }
  if (stride === outputStride) return new ElasticResNet(network.space, { ...network.options, dilated });
  throw new ConfigurationError(
    `segmentation.outputStride is ${outputStride}, but this network has ${natural}. Allowed: ${natural} and less, by the ` +
      "strides of its stages.",
  );
}

/** A head over the last maps of a network. @throws {ConfigurationError} for an auxiliary classifier of a single stage */
export function segmentationHead(
  network: Network,
  kind: SegmentationHead,
  classes: number,
  { auxiliaryWeight, dropout }: FineTuneConfig["segmentation"],
): TappedHead {
  const shapes = tapShapes(network, network.space.max, 224);
  const names = tapNames(network);
  const auxiliary = auxiliaryWeight > 0;
  if (auxiliary && names.length < 2) {
    throw new ConfigurationError(
      `segmentation.auxiliaryWeight is ${auxiliaryWeight}, but this network has a single stage, and so no map before its ` +
        "last for an auxiliary classifier. Set it to 0.",
    );
  }
  const channels = names.map((name) => shapes.get(name)![1]);
  const definition = { classes, channels: [channels.at(-2)!, channels.at(-1)!] as const, auxiliary, dropout };
  const { head, taps } = { fcn: fcnHead, psp: pspHead }[kind](definition);
  // The last maps of a network of fewer stages have other names.
  return { head, taps: names.slice(-taps.length) };
}
