/** Classifiers of pixels that heads of segmentation share. */
import { ConvolutionBatchnorm, type NetworkLayer } from "../layers.ts";
import { Dropout } from "../map_layers.ts";
import { Convolution, uniformStart } from "../plain_layers.ts";

/** What training drops before the last convolution. */
export interface DropoutDefinition {
  /** 0.1 in torchvision and mmsegmentation. */
  readonly probability: number;
  /** Whether whole channels are dropped, as in mmsegmentation, or elements, as in torchvision. */
  readonly channels: boolean;
}

/** What a head of segmentation tells apart, and from which maps. */
export interface SegmentationHeadDefinition {
  readonly classes: number;
  /** Channels of the last two maps, c4 and c5. */
  readonly channels: readonly [before: number, last: number];
  /** Channels that the head computes with; null for a quarter of the last map's, as torchvision. */
  readonly width: number | null;
  /** Whether there is an auxiliary classifier, which only training uses. */
  readonly auxiliary: boolean;
  readonly dropout: DropoutDefinition;
}

/** A quarter of a map's channels, at least one. */
export function quarterOf(channels: number): number {
  return Math.max(1, Math.floor(channels / 4));
}

/**
 * The layers of torchvision's `FCNHead`: 3x3 convolution, batchnorm, ReLU, dropout, 1x1 convolution.
 *
 * @param width channels of the first convolution; a quarter of the map's in torchvision
 * @param number of its dropout among those of the network
 */
export function fullyConvolutional(
  name: string,
  width: number,
  classes: number,
  dropout: DropoutDefinition,
  number: number,
): readonly NetworkLayer[] {
  return [
    new ConvolutionBatchnorm({
      convolution: `${name}.0`,
      batchnorm: `${name}.1`,
      channels: width,
      kernel: 3,
      relu: `${name}.2`,
    }),
    new Dropout(`${name}.3`, dropout.probability, number, dropout.channels),
    new Convolution({ name: `${name}.4`, channels: classes, kernel: 1, start: uniformStart }),
  ];
}

/** A convolution with batchnorm and ReLU under mmsegmentation's names: `NAME.conv`, `NAME.bn`. */
export function namedConvolution(name: string, channels: number, kernel: number): ConvolutionBatchnorm {
  return new ConvolutionBatchnorm({
    convolution: `${name}.conv`,
    batchnorm: `${name}.bn`,
    channels,
    kernel,
    relu: `${name}.relu`,
  });
}

/**
 * The classifier over the map before the last, which helps training and is left out of exports: torchvision's, and in all but
 * names mmsegmentation's, a quarter of the channels wide in both.
 */
export function auxiliaryClassifier(
  { classes, channels: [before], dropout }: SegmentationHeadDefinition,
): readonly NetworkLayer[] {
  return fullyConvolutional("aux_classifier", quarterOf(before), classes, dropout, 1);
}

/** Applies layers one after the other. */
export function through<V>(
  layers: readonly NetworkLayer[],
  apply: (layer: NetworkLayer, ...inputs: V[]) => V,
  input: V,
): V {
  return layers.reduce((value, layer) => apply(layer, value), input);
}
