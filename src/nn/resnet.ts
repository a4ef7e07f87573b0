/**
 * The elastic ResNet: any architecture of its search space. Names, shapes and strides are those of torchvision, with the
 * stride of a bottleneck in its 3x3 convolution.
 */
import type { Architecture } from "../elastic/architecture.ts";
import type { Segment } from "../elastic/network.ts";
import type { SearchSpace } from "../elastic/search_space.ts";
import { sequence } from "../elastic/unit.ts";
import { ConfigurationError } from "../errors.ts";
import { ConvolutionBatchnorm, MaxPool, type NetworkLayer, type NetworkUnit } from "./layers.ts";
import type { Network } from "./network.ts";

/** A residual block: relu(branch(input) + shortcut(input)) (He et al. 2016). */
export interface ResidualBlock extends NetworkUnit {
  readonly branch: readonly ConvolutionBatchnorm[];
  /** The projection of the shortcut where there is one. */
  readonly downsample: ConvolutionBatchnorm | undefined;
}

/** How a ResNet differs from its search space's without other weights. */
export interface ResNetOptions {
  /**
   * For each stage whether its stride is replaced by dilation, as torchvision's `replace_stride_with_dilation`: its maps
   * keep their size, and the 3x3 convolutions behind see as much of the image as before. `[false, false, true, true]`
   * gives output stride 8, `[false, false, false, true]` 16. Default: none.
   */
  readonly dilated?: readonly boolean[];
}

/** How one stage moves over its maps. */
interface StageGeometry {
  /** Of the first block. */
  readonly stride: number;
  /** Of the first block; like torchvision's it keeps the dilation of the stage before. */
  readonly firstDilation: number;
  readonly dilation: number;
}

/** The definition of an elastic ResNet. Taps: `c2`, `c3`, … for the first, second, … stage. Holds no weights. */
export class ElasticResNet implements Network {
  readonly inputChannels = 3;
  readonly segments: readonly Segment<NetworkLayer>[];
  readonly #geometry: readonly StageGeometry[];

  /** @throws {ConfigurationError} when `dilated` does not say so for each stage */
  constructor(readonly space: SearchSpace, readonly options: ResNetOptions = {}) {
    const { definition: { strides }, stages } = space;
    const { dilated = strides.map(() => false) } = options;
    if (dilated.length !== stages) {
      throw new ConfigurationError(
        `dilated: describes ${dilated.length} stages; the network has ${stages}. Give one entry per stage.`,
      );
    }
    let dilation = 1;
    this.#geometry = strides.map((stride, stage) => {
      const firstDilation = dilation;
      if (dilated[stage]) dilation *= stride;
      return { stride: dilated[stage] ? 1 : stride, firstDilation, dilation };
    });
    this.segments = [
      { dimensions: 1, units: ([width]) => [this.#stem(width)] },
      ...strides.map((_, stage): Segment<NetworkLayer> => ({
        dimensions: 2,
        tap: `c${stage + 2}`,
        units: ([width, depth]) =>
          Array.from({ length: depth }, (_, index) => this.block(stage, index, width)),
      })),
    ];
  }

  /** Block `index` of `stage`, both from 0. */
  block(stage: number, index: number, width: number): ResidualBlock {
    const { space } = this;
    const { stride, firstDilation, dilation } = this.#geometry[stage];
    const prefix = `layer${stage + 1}.${index}`;
    const moves = index === 0 ? { stride, dilation: firstDilation } : { dilation };
    const outgoing = width * space.expansion;
    const inner = (number: number, kernel: number, moves = {}) =>
      new ConvolutionBatchnorm({
        convolution: `${prefix}.conv${number}`,
        batchnorm: `${prefix}.bn${number}`,
        channels: width,
        kernel,
        relu: `${prefix}.relu${number}`,
        ...moves,
      });
    const last = (number: number, kernel: number, moves = {}) =>
      new ConvolutionBatchnorm({
        convolution: `${prefix}.conv${number}`,
        batchnorm: `${prefix}.bn${number}`,
        channels: outgoing,
        kernel,
        sum: `${prefix}.add`,
        relu: `${prefix}.relu`,
        output: `${prefix}.output`,
        ...moves,
      });
    const branch = space.definition.block === "bottleneck"
      ? [inner(1, 1), inner(2, 3, moves), last(3, 1)]
      : [inner(1, 3, moves), last(2, 3, { dilation })];
    const downsample = index === 0 && space.hasDownsample(stage)
      ? new ConvolutionBatchnorm({
        convolution: `${prefix}.downsample.0`,
        batchnorm: `${prefix}.downsample.1`,
        channels: outgoing,
        kernel: 1,
        stride,
      })
      : undefined;
    return residualBlock(`${prefix} ${width}`, branch, downsample);
  }

  get description(): Record<string, string> {
    const { definition: { block, stem, strides }, expansion } = this.space;
    return {
      block,
      stem: stem.kind,
      strides: JSON.stringify(strides),
      expansion: String(expansion),
      ...(this.options.dilated ? { dilated: JSON.stringify(this.options.dilated) } : {}),
    };
  }

  cut(architecture: Architecture): ElasticResNet {
    return new ElasticResNet(this.space.cut(architecture), this.options);
  }

  #stem(width: number): NetworkUnit {
    const large = this.space.definition.stem.kind === "7x7";
    const convolution = new ConvolutionBatchnorm({
      convolution: "conv1",
      batchnorm: "bn1",
      channels: width,
      kernel: large ? 7 : 3,
      stride: large ? 2 : 1,
      relu: "relu",
    });
    return sequence(
      `stem ${width}`,
      large ? [convolution, new MaxPool("maxpool", 3, 2, 1)] : [convolution],
    );
  }
}

function residualBlock(
  key: string,
  branch: readonly ConvolutionBatchnorm[],
  downsample: ConvolutionBatchnorm | undefined,
): ResidualBlock {
  return {
    key,
    branch,
    downsample,
    layers: downsample ? [...branch, downsample] : branch,
    forward(apply, input) {
      const residual = downsample ? apply(downsample, input) : input;
      const last = branch.length - 1;
      const inner = branch.slice(0, last).reduce((value, layer) => apply(layer, value), input);
      return apply(branch[last], inner, residual);
    },
  };
}
