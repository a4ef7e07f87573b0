/**
 * The head of a fully convolutional network (Long et al. 2015): from the last map, and as an auxiliary classifier from the one
 * before, logits of the classes. Two forms of it are known:
 *
 * - torchvision's (`fcn_resnet50`): a 3x3 convolution with batchnorm and ReLU, dropout, a 1x1 convolution; named `classifier.0`
 *   to `classifier.4`.
 * - mmsegmentation's (`fcn_r50-d8`): several 3x3 convolutions (`classifier.convs.0` and so on), their result joined with the
 *   map itself (`classifier.conv_cat`, another 3x3 convolution), dropout, a 1x1 convolution (`classifier.conv_seg`).
 */
import type { TappedHead } from "../headed_network.ts";
import type { NetworkLayer } from "../layers.ts";
import { Dropout, JoinChannels } from "../map_layers.ts";
import { Convolution, smallStart } from "../plain_layers.ts";
import {
  auxiliaryClassifier,
  fullyConvolutional,
  namedConvolution,
  quarterOf,
  type SegmentationHeadDefinition,
  through,
} from "./classifier.ts";

/** What an FCN's head is. One convolution without a joined input is torchvision's form, with its names. */
export interface FcnDefinition extends SegmentationHeadDefinition {
  /** 3x3 convolutions before the classifying one, at least 1; 2 in mmsegmentation. */
  readonly convolutions: number;
  /** Whether their result is joined with the map that they see, and convolved once more; so in mmsegmentation. */
  readonly joinInput: boolean;
}

/** Logits from the last map, over values of any kind. */
type Classifier = <V>(apply: (layer: NetworkLayer, ...inputs: V[]) => V, map: V) => V;

/** The head of FCN: logits at the resolution of the last map, then those of the auxiliary classifier, if any. */
export function fcnHead(definition: FcnDefinition): TappedHead {
  const classify = mainClassifier(definition);
  const side = definition.auxiliary ? auxiliaryClassifier(definition) : undefined;
  return {
    taps: side ? ["c4", "c5"] : ["c5"],
    head: {
      forward(apply, inputs) {
        const logits = classify(apply, inputs.at(-1)!);
        return side ? [logits, through(side, apply, inputs[0])] : [logits];
      },
    },
  };
}

function mainClassifier(
  { classes, channels: [, last], width: given, dropout, convolutions, joinInput }: FcnDefinition,
): Classifier {
  const width = given ?? quarterOf(last);
  if (convolutions === 1 && !joinInput) {
    const layers = fullyConvolutional("classifier", width, classes, dropout, 0);
    return (apply, map) => through(layers, apply, map);
  }
  const layers = Array.from(
    { length: convolutions },
    (_, at) => namedConvolution(`classifier.convs.${at}`, width, 3),
  );
  const join = new JoinChannels("classifier.join");
  const fuse = namedConvolution("classifier.conv_cat", width, 3);
  const classify = [
    new Dropout("classifier.dropout", dropout.probability, 0, dropout.channels),
    new Convolution({ name: "classifier.conv_seg", channels: classes, kernel: 1, start: smallStart }),
  ];
  return (apply, map) => {
    const features = through(layers, apply, map);
    return through(classify, apply, joinInput ? apply(fuse, apply(join, map, features)) : features);
  };
}
