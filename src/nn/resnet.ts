/**
 * The elastic ResNet: one set of stored weights, any architecture of its search space. Names, shapes and strides are
 * those of torchvision, with the stride of a bottleneck in its 3x3 convolution.
 */
import type { Architecture } from "../space/architecture.ts";
import type { SearchSpace } from "../space/search_space.ts";
import { globalAveragePool, maxPool } from "../tensor/ops/pool.ts";
import type { Shape, Tensor } from "../tensor/tensor.ts";
import {
  type Block,
  type ConvolutionBatchnorm,
  convolutionBatchnorm,
  type Pass,
  residualBlock,
} from "./layers.ts";
import type { WeightShapes } from "./weights.ts";

/** Feature maps of one forward pass. */
export interface Features {
  /** Output of each stage (c2, c3, … for the first, second, … stage), [N, C, H, W]. */
  readonly stages: readonly Tensor[];
  /** Last stage, averaged over its positions, [N, C]. */
  readonly pooled: Tensor;
}

/** The structure of the largest architecture, and how to run any smaller one in it. Holds no weights. */
export class ElasticResNet {
  readonly stem: ConvolutionBatchnorm;
  /** All stored blocks of each stage. */
  readonly stages: readonly (readonly Block[])[];
  /** Channels of the pooled features at the largest architecture. */
  readonly featureChannels: number;

  constructor(readonly space: SearchSpace) {
    const { definition, max } = space;
    const stemKernel = definition.stem.kind === "7x7" ? 7 : 3;
    this.stem = {
      convolution: "conv1",
      batchnorm: "bn1",
      shape: [max.stem, 3, stemKernel, stemKernel],
      stride: definition.stem.kind === "7x7" ? 2 : 1,
    };
    let incoming = max.stem;
    this.stages = max.widths.map((width, stage) =>
      Array.from({ length: max.depths[stage] }, (_, index) => {
        const block = describeBlock(space, stage, index, incoming, width);
        incoming = width * space.expansion;
        return block;
      })
    );
    this.featureChannels = incoming;
  }

  /** Names and full-width shapes of everything stored. */
  shapes(): WeightShapes {
    const parameters = new Map<string, Shape>();
    const statistics = new Map<string, Shape>();
    const blocks = this.stages.flat();
    const layers = [
      this.stem,
      ...blocks.flatMap(({ branch, downsample }) => downsample ? [...branch, downsample] : branch),
    ];
    for (const { convolution, batchnorm, shape } of layers) {
      parameters.set(`${convolution}.weight`, shape);
      parameters.set(`${batchnorm}.weight`, [shape[0]]);
      parameters.set(`${batchnorm}.bias`, [shape[0]]);
      statistics.set(`${batchnorm}.running_mean`, [shape[0]]);
      statistics.set(`${batchnorm}.running_var`, [shape[0]]);
    }
    return { parameters, statistics };
  }

  /** The last batchnorm of each residual branch, whose weights start at a value of their own. */
  lastBatchnorms(): Set<string> {
    return new Set(this.stages.flat().map(({ branch }) => branch[branch.length - 1].batchnorm));
  }

  /** The layers before the first stage. */
  runStem(pass: Pass, images: Tensor, width: number): Tensor {
    return pass.tape.scope(() => {
      const output = convolutionBatchnorm(pass, this.stem, images, width, { relu: true });
      return this.space.definition.stem.kind === "7x7" ? maxPool(pass.tape, output, 3, 2, 1) : output;
    });
  }

  /** Block `index` of `stage`, both from 0. */
  runBlock(pass: Pass, stage: number, index: number, input: Tensor, width: number): Tensor {
    return residualBlock(pass, this.stages[stage][index], input, width);
  }

  /**
   * All of an architecture.
   * @param images [N, 3, H, W], normalised
   * @param keepStages whether inference keeps the stages' outputs; without, `stages` holds the last alone
   */
  run(pass: Pass, images: Tensor, architecture: Architecture, keepStages = false): Features {
    let output = this.runStem(pass, images, architecture.stem);
    const stages: Tensor[] = [];
    architecture.widths.forEach((width, stage) => {
      for (let index = 0; index < architecture.depths[stage]; index++) {
        const input = output;
        output = this.runBlock(pass, stage, index, input, width);
        if (!stages.includes(input)) pass.tape.discard(input);
      }
      if (keepStages || stage === this.stages.length - 1) stages.push(output);
    });
    return { stages, pooled: globalAveragePool(pass.tape, output) };
  }
}

function describeBlock(
  space: SearchSpace,
  stage: number,
  index: number,
  incoming: number,
  width: number,
): Block {
  const prefix = `layer${stage + 1}.${index}`;
  const stride = index === 0 ? space.definition.strides[stage] : 1;
  const outgoing = width * space.expansion;
  const layer = (number: number, shape: Shape, layerStride: number): ConvolutionBatchnorm => ({
    convolution: `${prefix}.conv${number}`,
    batchnorm: `${prefix}.bn${number}`,
    shape,
    stride: layerStride,
  });
  const branch = space.definition.block === "bottleneck"
    ? [
      layer(1, [width, incoming, 1, 1], 1),
      layer(2, [width, width, 3, 3], stride),
      layer(3, [outgoing, width, 1, 1], 1),
    ]
    : [layer(1, [width, incoming, 3, 3], stride), layer(2, [outgoing, width, 3, 3], 1)];
  const downsample = index === 0 && space.hasDownsample(stage)
    ? {
      convolution: `${prefix}.downsample.0`,
      batchnorm: `${prefix}.downsample.1`,
      shape: [outgoing, incoming, 1, 1],
      stride,
    }
    : undefined;
  return { branch, downsample, expansion: space.expansion };
}
