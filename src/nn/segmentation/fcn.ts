/**
 * The head of a fully convolutional network as torchvision has it (`fcn_resnet50`; Long et al. 2015): from the last map, and
 * as an auxiliary classifier from the one before, a 3x3 convolution to a quarter of the channels, batchnorm, ReLU, dropout,
 * and a 1x1 convolution to the classes. Names are torchvision's.
 */
import type { TappedHead } from "../headed_network.ts";
import { ConvolutionBatchnorm, type NetworkLayer } from "../layers.ts";
import { Convolution, uniformStart } from "../plain_layers.ts";

/** What a head of segmentation tells apart, and from which maps. */
export interface SegmentationHeadDefinition {
  readonly classes: number;
  /** Channels of the last two maps, c4 and c5. */
  readonly channels: readonly [before: number, last: number];
  /** Whether there is an auxiliary classifier, which only training uses. */
  readonly auxiliary: boolean;
}

/** The layers of one classifier. */
function classifier(name: string, channels: number, classes: number): readonly NetworkLayer[] {
  return [
    new ConvolutionBatchnorm({
      convolution: `${name}.0`,
      batchnorm: `${name}.1`,
      channels: Math.max(1, Math.floor(channels / 4)),
      kernel: 3,
      relu: `${name}.2`,
    }),
    new Convolution({ name: `${name}.4`, channels: classes, kernel: 1, start: uniformStart }),
  ];
}

/** The head of FCN: logits at the resolution of the last map, then those of the auxiliary classifier, if any. */
export function fcnHead(
  { classes, channels: [before, last], auxiliary }: SegmentationHeadDefinition,
): TappedHead {
  const main = classifier("classifier", last, classes);
  const side = auxiliary ? classifier("aux_classifier", before, classes) : undefined;
  const through = <V>(
    layers: readonly NetworkLayer[],
    apply: (layer: NetworkLayer, ...inputs: V[]) => V,
    input: V,
  ) => layers.reduce((value, layer) => apply(layer, value), input);
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
