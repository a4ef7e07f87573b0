/** Classifiers of pixels that heads of segmentation share. */
import { ConvolutionBatchnorm, type NetworkLayer } from "../layers.ts";
import { Dropout } from "../map_layers.ts";
import { Convolution, uniformStart } from "../plain_layers.ts";

/** What a head of segmentation tells apart, and from which maps. */
export interface SegmentationHeadDefinition {
  readonly classes: number;
  /** Channels of the last two maps, c4 and c5. */
  readonly channels: readonly [before: number, last: number];
  /** Whether there is an auxiliary classifier, which only training uses. */
  readonly auxiliary: boolean;
  /** Part of the values that training drops before the last convolution; 0.1 in torchvision and mmsegmentation. */
  readonly dropout: number;
}

/**
 * The layers of torchvision's `FCNHead`: 3x3 convolution to a quarter of the channels, batchnorm, ReLU, dropout, 1x1
 * convolution.
 *
 * @param number of its dropout among those of the network
 */
export function fullyConvolutional(
  name: string,
  channels: number,
  classes: number,
  dropout: number,
  number: number,
): readonly NetworkLayer[] {
  return [
    new ConvolutionBatchnorm({
      convolution: `${name}.0`,
      batchnorm: `${name}.1`,
      channels: Math.max(1, Math.floor(channels / 4)),
      kernel: 3,
      relu: `${name}.2`,
    }),
    new Dropout(`${name}.3`, dropout, number),
    new Convolution({ name: `${name}.4`, channels: classes, kernel: 1, start: uniformStart }),
  ];
}

/** The classifier over the map before the last, which helps training and is left out of exports. */
export function auxiliaryClassifier(
  channels: number,
  classes: number,
  dropout: number,
): readonly NetworkLayer[] {
  return fullyConvolutional("aux_classifier", channels, classes, dropout, 1);
}

/** Applies layers one after the other. */
export function through<V>(
  layers: readonly NetworkLayer[],
  apply: (layer: NetworkLayer, ...inputs: V[]) => V,
  input: V,
): V {
  return layers.reduce((value, layer) => apply(layer, value), input);
}
