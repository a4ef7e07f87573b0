/** The work that is compared: one description for everybody, with the same values in PyTorch's layouts. */
import { imageShape, unitsOf } from "../../src/elastic/network.ts";
import { type LayerCall, storedCalls, traceUnit, type Unit } from "../../src/elastic/unit.ts";
import { ConvolutionBatchnorm, type NetworkLayer } from "../../src/nn/layers.ts";
import { ElasticResNet, type ResidualBlock } from "../../src/nn/resnet.ts";
import { purpose, Random } from "../../src/random.ts";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { outputSize } from "../../src/tensor/ops/convolution_geometry.ts";
import { elements, type Shape } from "../../src/shape.ts";
import { resnet18Space, resnet50Space } from "../spaces.ts";

/** Values on the host. */
export interface HostTensor {
  readonly shape: Shape;
  readonly data: Float32Array<ArrayBuffer>;
}

/** [size, size] times [size, size]. */
export interface MatmulRow {
  readonly kind: "matmul";
  readonly name: string;
  readonly size: number;
}

/** A convolution with padding (kernel - 1) / 2; `gradients`: both of them, from a given gradient of the output. */
export interface ConvolutionRow {
  readonly kind: "convolution";
  readonly name: string;
  readonly batch: number;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly gradients: boolean;
}

/** relu(batchnorm(images)) with the batch's statistics, and its gradients. */
export interface BatchnormRow {
  readonly kind: "batchnorm";
  readonly name: string;
  readonly batch: number;
  readonly channels: number;
  readonly size: number;
}

/** A convolution without bias and the batchnorm behind it, by torchvision's names. */
export interface LayerDescription {
  readonly convolution: string;
  readonly batchnorm: string;
  /** [out, in, kernel, kernel]. */
  readonly shape: Shape;
  readonly stride: number;
}

/** relu(branch(input) + shortcut(input)), with ReLU between the branch's layers. */
export interface BlockDescription {
  readonly branch: readonly LayerDescription[];
  readonly downsample: LayerDescription | undefined;
}

/** A residual block in training mode, and the gradients of its input and parameters. */
export interface BlockRow {
  readonly kind: "block";
  readonly name: string;
  readonly batch: number;
  readonly channels: number;
  readonly size: number;
  readonly width: number;
  readonly block: BlockDescription;
}

/** A step of training a classifier: forward pass, cross-entropy, gradients, SGD with momentum. */
export interface TrainingRow {
  readonly kind: "training";
  readonly name: string;
  readonly batch: number;
  readonly size: number;
  readonly classes: number;
  readonly stem: LayerDescription;
  readonly blocks: readonly BlockDescription[];
}

/** One line of the table. */
export type Row = MatmulRow | ConvolutionRow | BatchnormRow | BlockRow | TrainingRow;

/** Settings of the training step's optimiser, without weight decay: not all have it. */
export const sgd = { learningRate: 0.05, momentum: 0.9 };

function convolutionRows(
  inChannels: number,
  outChannels: number,
  size: number,
  kernel: number,
  stride = 1,
): ConvolutionRow[] {
  return [false, true].map((gradients) => ({
    kind: "convolution",
    name: `convolution ${kernel}x${kernel}${stride > 1 ? `/${stride}` : ""} ${inChannels}→${outChannels} ` +
      `${size}x${size} ${gradients ? "with gradients" : "forward"}`,
    batch: 32,
    inChannels,
    outChannels,
    size,
    kernel,
    stride,
    gradients,
  }));
}

const resnet18 = new ElasticResNet(new SearchSpace(resnet18Space));
const resnet50 = new ElasticResNet(new SearchSpace(resnet50Space));
/** The unit of the block's row. */
export const blockUnit: ResidualBlock = resnet50.block(0, 1, 64);
const blockShape = [32, 256, 16, 16] as const;

function describeLayer({ layer, inputs }: LayerCall): LayerDescription {
  if (!(layer instanceof ConvolutionBatchnorm)) throw new Error("a layer that peers do not have");
  const { definition: { convolution, batchnorm }, stride } = layer;
  const [[, { shape }]] = layer.parameters(inputs[0]);
  return { convolution, batchnorm, shape, stride };
}

function describeBlock(unit: Unit<NetworkLayer>, input: Shape): BlockDescription {
  const block = unit as ResidualBlock;
  const layers = storedCalls(block, traceUnit(block, input)).map(describeLayer);
  const { length } = block.branch;
  return { branch: layers.slice(0, length), downsample: layers[length] };
}

/** Stem and blocks of a ResNet for small images. */
function describeNetwork(network: ElasticResNet, size: number) {
  let shape = imageShape(network, size);
  const [stem, ...blocks] = unitsOf(network, network.space.max).map(({ unit }) => {
    const input = shape;
    shape = traceUnit(unit, input).output;
    return { unit, input };
  });
  return {
    stem: describeLayer(traceUnit(stem.unit, stem.input).calls[0]),
    blocks: blocks.map(({ unit, input }) => describeBlock(unit, input)),
  };
}

/** All lines of the table. */
export const rows: readonly Row[] = [
  { kind: "matmul", name: "matmul 512x512x512", size: 512 },
  ...convolutionRows(64, 64, 32, 3),
  ...convolutionRows(128, 128, 16, 3),
  ...convolutionRows(256, 256, 8, 3),
  ...convolutionRows(64, 256, 32, 1),
  ...convolutionRows(3, 64, 64, 7, 2),
  {
    kind: "batchnorm",
    name: "batchnorm + ReLU 64 32x32 with gradients",
    batch: 32,
    channels: 64,
    size: 32,
  },
  {
    kind: "block",
    name: "bottleneck block 256-64-256 16x16 with gradients",
    batch: blockShape[0],
    channels: blockShape[1],
    size: blockShape[2],
    width: 64,
    block: describeBlock(blockUnit, blockShape),
  },
  {
    kind: "training",
    name: "ResNet-18 32x32 training step, batch 8",
    batch: 8,
    size: 32,
    classes: 10,
    ...describeNetwork(resnet18, 32),
  },
];

/** Names and shapes of the parameters of a block or of a whole network, by torchvision's names. */
export function parameterShapes(row: BlockRow | TrainingRow): Map<string, Shape> {
  const blocks = row.kind === "block" ? [row.block] : row.blocks;
  const layers = blocks.flatMap(({ branch, downsample }) => downsample ? [...branch, downsample] : branch);
  if (row.kind === "training") layers.unshift(row.stem);
  const shapes = new Map<string, Shape>();
  for (const { convolution, batchnorm, shape } of layers) {
    shapes.set(`${convolution}.weight`, shape);
    shapes.set(`${batchnorm}.weight`, [shape[0]]);
    shapes.set(`${batchnorm}.bias`, [shape[0]]);
  }
  if (row.kind === "training") {
    const features = row.blocks[row.blocks.length - 1].branch.at(-1)!.shape[0];
    shapes.set("fc.weight", [row.classes, features]);
    shapes.set("fc.bias", [row.classes]);
  }
  return shapes;
}

function uniform(shape: Shape, seed: number, low: number, high: number): HostTensor {
  const random = new Random(seed, purpose.test);
  return { shape, data: Float32Array.from({ length: elements(shape) }, () => random.uniform(low, high)) };
}

/** Values that keep the activations' scale from layer to layer. */
function parameterValues(name: string, shape: Shape, seed: number): HostTensor {
  if (shape.length === 1) {
    return name.endsWith(".weight") ? uniform(shape, seed, 0.5, 1) : uniform(shape, seed, -0.1, 0.1);
  }
  const bound = Math.sqrt(6 / (elements(shape) / shape[0]));
  return uniform(shape, seed, -bound, bound);
}

/** Values of a row's inputs, by name. Labels are whole numbers. */
export function rowInputs(row: Row): Map<string, HostTensor> {
  const inputs = new Map<string, HostTensor>();
  const add = (name: string, shape: Shape) => inputs.set(name, uniform(shape, inputs.size + 1, -1, 1));
  switch (row.kind) {
    case "matmul":
      add("left", [row.size, row.size]);
      add("right", [row.size, row.size]);
      break;
    case "convolution": {
      const { batch, inChannels, outChannels, size, kernel, stride } = row;
      const outSize = outputSize(size, kernel, stride, (kernel - 1) / 2);
      add("images", [batch, inChannels, size, size]);
      add("weight", [outChannels, inChannels, kernel, kernel]);
      if (row.gradients) add("gradOutput", [batch, outChannels, outSize, outSize]);
      break;
    }
    case "batchnorm": {
      const shape = [row.batch, row.channels, row.size, row.size];
      add("images", shape);
      add("weight", [row.channels]);
      add("bias", [row.channels]);
      add("gradOutput", shape);
      break;
    }
    case "block": {
      const shape = [row.batch, row.channels, row.size, row.size];
      add("images", shape);
      add("gradOutput", shape);
      break;
    }
    case "training": {
      add("images", [row.batch, 3, row.size, row.size]);
      const labels = Float32Array.from({ length: row.batch }, (_, index) => index % row.classes);
      inputs.set("labels", { shape: [row.batch], data: labels });
    }
  }
  if (row.kind === "block" || row.kind === "training") {
    for (const [name, shape] of parameterShapes(row)) {
      inputs.set(name, parameterValues(name, shape, inputs.size + 1));
    }
  }
  return inputs;
}
