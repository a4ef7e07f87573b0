/** The head that a segmentation trains over a backbone's last maps. */
import type { FineTuneConfig } from "../config.ts";
import { tapNames, tapShapes } from "../../elastic/network.ts";
import { ConfigurationError } from "../../errors.ts";
import { withOutputStride } from "../../nn/output_stride.ts";
import type { TappedHead } from "../../nn/headed_network.ts";
import type { Network } from "../../nn/network.ts";
import { fcnHead } from "../../nn/segmentation/fcn.ts";
import { pspHead } from "../../nn/segmentation/psp.ts";

/** Heads of segmentation. */
export const segmentationHeads = ["fcn", "psp"] as const;

/** One of {@linkcode segmentationHeads}. */
export type SegmentationHead = typeof segmentationHeads[number];

/**
 * A head over the last maps of a network.
 * @throws {ConfigurationError} for an auxiliary classifier of a single stage, or settings that are another head's
 */
export function segmentationHead(
  network: Network,
  kind: SegmentationHead,
  classes: number,
  settings: FineTuneConfig["segmentation"],
): TappedHead {
  const { auxiliaryWeight, convolutions, joinInput } = settings;
  const shapes = tapShapes(network, network.space.max, 224);
  const names = tapNames(network);
  const auxiliary = auxiliaryWeight > 0;
  if (auxiliary && names.length < 2) {
    throw new ConfigurationError(
      `segmentation.auxiliaryWeight is ${auxiliaryWeight}, but this network has a single stage, and so no map before its ` +
        "last for an auxiliary classifier. Set it to 0.",
    );
  }
  if (kind === "psp") expectNoFcnSettings(settings);
  const channels = names.map((name) => shapes.get(name)![1]);
  const definition = {
    classes,
    channels: [channels.at(-2)!, channels.at(-1)!] as const,
    width: settings.channels,
    auxiliary,
    dropout: { probability: settings.dropout, channels: settings.dropoutOf === "channels" },
  };
  const { head, taps } = kind === "psp"
    ? pspHead(definition)
    : fcnHead({ ...definition, convolutions, joinInput });
  // The last maps of a network of fewer stages have other names.
  return { head, taps: names.slice(-taps.length) };
}

/**
 * Sees that a network can have such a head at the output stride that the settings ask for.
 * @throws {ConfigurationError}, {@linkcode UsageError} where it cannot
 */
export function expectHead(
  network: Network,
  kind: SegmentationHead,
  settings: FineTuneConfig["segmentation"],
): void {
  segmentationHead(withOutputStride(network, settings.outputStride), kind, 2, settings);
}

function expectNoFcnSettings({ convolutions, joinInput }: FineTuneConfig["segmentation"]): void {
  const [field, value] = convolutions !== 1
    ? ["convolutions", convolutions]
    : joinInput
    ? ["joinInput", joinInput]
    : [];
  if (field === undefined) return;
  throw new ConfigurationError(
    `segmentation.${field} is ${value}, but --head psp has no such part. Leave it out, or give --head fcn.`,
  );
}
