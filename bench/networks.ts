/** The layers of the networks that are benchmarked, at the sizes that they see. */
import demoFile from "../configs/demo.json" with { type: "json" };
import { parseConfig } from "../src/config/load.ts";
import { imageShape, unitsOf } from "../src/elastic/network.ts";
import { traceUnit } from "../src/elastic/unit.ts";
import { ConvolutionBatchnorm } from "../src/nn/layers.ts";
import { ElasticResNet } from "../src/nn/resnet.ts";
import { SearchSpace, type SpaceDefinition } from "../src/elastic/search_space.ts";
import { resnet18Space, resnet50Space } from "./spaces.ts";

/** A network, its batch and its images. */
export interface Network {
  readonly name: string;
  readonly structure: ElasticResNet;
  readonly batch: number;
  readonly imageSize: number;
}

/** A convolution as it occurs in a network. */
export interface ConvolutionLayer {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernel: number;
  readonly stride: number;
  /** Height and width of the input. */
  readonly size: number;
}

/** A batchnorm with ReLU as it occurs in a network. */
export interface BatchnormLayer {
  readonly channels: number;
  readonly size: number;
  /** A shortcut is added before ReLU. */
  readonly residual: boolean;
}

function network(name: string, definition: SpaceDefinition, batch: number, imageSize: number): Network {
  return { name, structure: new ElasticResNet(new SearchSpace(definition)), batch, imageSize };
}

const demo = parseConfig(demoFile, "configs/demo.json");

/** The demo's network at its largest; ResNet-18 for small images; ResNet-50. Batches fit two CPU cores. */
export const networks: readonly Network[] = [
  network("demo", demo.space, demo.training.batch, demo.data.imageSize),
  network("ResNet-18", resnet18Space, 16, 32),
  network("ResNet-50", resnet50Space, 4, 224),
];

function unique<T extends object>(items: readonly T[]): T[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];
}

/** All layers in order, with repetitions. */
function walk({ structure, imageSize }: Network): {
  convolutions: ConvolutionLayer[];
  batchnorms: BatchnormLayer[];
} {
  const convolutions: ConvolutionLayer[] = [];
  const batchnorms: BatchnormLayer[] = [];
  let shape = imageShape(structure, imageSize);
  for (const { unit } of unitsOf(structure, structure.space.max)) {
    const trace = traceUnit(unit, shape);
    for (const { layer, inputs: [[, inChannels, size]], output: [, outChannels, outSize] } of trace.calls) {
      if (!(layer instanceof ConvolutionBatchnorm)) continue;
      const { kernel, relu, sum } = layer.definition;
      convolutions.push({ inChannels, outChannels, kernel, stride: layer.stride, size });
      if (relu !== undefined) {
        batchnorms.push({ channels: outChannels, size: outSize, residual: sum !== undefined });
      }
    }
    shape = trace.output;
  }
  return { convolutions, batchnorms };
}

/** The different convolutions of a network. */
export function convolutionLayers(network: Network): ConvolutionLayer[] {
  return unique(walk(network).convolutions);
}

/** The different batchnorms with ReLU of a network. */
export function batchnormLayers(network: Network): BatchnormLayer[] {
  return unique(walk(network).batchnorms);
}

/** Height and width of the last stage's output. */
export function lastSize(network: Network): number {
  return walk(network).batchnorms.at(-1)!.size;
}
