/**
 * The head of a fully convolutional network as torchvision has it (`fcn_resnet50`; Long et al. 2015): from the last map, and
 * as an auxiliary classifier from the one before, a 3x3 convolution to a quarter of the channels, batchnorm, ReLU, dropout,
 * and a 1x1 convolution to the classes. Names are torchvision's.
 */
import type { TappedHead } from "../headed_network.ts";
import {
  auxiliaryClassifier,
  fullyConvolutional,
  type SegmentationHeadDefinition,
  through,
} from "./classifier.ts";

/** The head of FCN: logits at the resolution of the last map, then those of the auxiliary classifier, if any. */
export function fcnHead(
  { classes, channels: [before, last], auxiliary, dropout }: SegmentationHeadDefinition,
): TappedHead {
  const main = fullyConvolutional("classifier", last, classes, dropout, 0);
  const side = auxiliary ? auxiliaryClassifier(before, classes, dropout) : undefined;
  return {
    taps: auxiliary ? ["c4", "c5"] : ["c5"],
    head: {
      forward(apply, inputs) {
        const logits = through(main, apply, inputs.at(-1)!);
        return side ? [logits, through(side, apply, inputs[0])] : [logits];
      },
    },
  };
}
