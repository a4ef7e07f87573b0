/** Layers without batchnorm, of which heads are made: convolutions and products with bias, sums of maps. */
import type { ParameterDefinition, Start } from "../elastic/unit.ts";
import { elements, type Shape } from "../shape.ts";
import { convolution } from "../tensor/ops/convolution.ts";
import { outputSize } from "../tensor/ops/convolution_geometry.ts";
import { relu } from "../tensor/ops/elementwise.ts";
import { linear } from "../tensor/ops/linear.ts";
import { addNearest } from "../tensor/ops/nearest.ts";
import { transposedConvolution } from "../tensor/ops/transposed_convolution.ts";
import type { Tape } from "../tensor/tape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { NetworkLayer, Pass } from "./layers.ts";
import type { OnnxGraph } from "./onnx_graph.ts";

/** How weights and biases start, by the fan in: the inputs that one output sums over. */
export interface LayerStart {
  weight(inputs: number): Start;
  bias(inputs: number): Start;
}

/** PyTorch's default: uniform within 1 / sqrt(fan in). */
export const uniformStart: LayerStart = {
  weight: (inputs) => ({ uniform: 1 / Math.sqrt(inputs) }),
  bias: (inputs) => ({ uniform: 1 / Math.sqrt(inputs) }),
};

/** Normal with a small deviation, as region proposal networks start. */
export const smallStart: LayerStart = { weight: () => ({ normal: 0.01 }), bias: () => "zero" };

/** Normal with variance 2 / fan out (He et al. 2015). */
export const fanOutStart: LayerStart = { weight: () => "fan-out", bias: () => "zero" };

/** Uniform with variance 1 / fan in (`kaiming_uniform` with a = 1), as feature pyramids start. */
export const pyramidStart: LayerStart = {
  weight: (inputs) => ({ uniform: Math.sqrt(3 / inputs) }),
  bias: () => "zero",
};

/** What a layer with weight and bias is called and how it starts; names are torchvision's. */
interface PlainDefinition {
  readonly name: string;
  /** Whether a ReLU follows; default false. */
  readonly relu?: boolean;
  readonly start: LayerStart;
}

function parametersOf(
  { name, start }: PlainDefinition,
  weight: Shape,
  outputs: number,
  inputs: number,
): [string, ParameterDefinition][] {
  return [
    [`${name}.weight`, { shape: weight, start: start.weight(inputs) }],
    [`${name}.bias`, { shape: [outputs], start: start.bias(inputs) }],
  ];
}

/** The weight's and the bias's parameters of a layer. */
function stored({ weights }: Pass, name: string) {
  return { weight: weights.parameter(`${name}.weight`), bias: weights.parameter(`${name}.bias`) };
}

function rectify(tape: Tape, value: Tensor, wanted = false): Tensor {
  if (!wanted) return value;
  const rectified = relu(tape, value);
  tape.discard(value);
  return rectified;
}

/** Adds a layer's constants, its node and its ReLU. */
function addNode(
  graph: OnnxGraph,
  operator: string,
  { name, relu: rectified }: PlainDefinition,
  input: string,
  attributes: Parameters<OnnxGraph["add"]>[3],
): string {
  const inputs = [`${name}.weight`, `${name}.bias`];
  for (const constant of inputs) {
    if (graph.constants.some((known) => known.name === constant)) continue;
    graph.constants.push({ name: constant, ...graph.weights.get(constant)! });
  }
  // A layer that is applied to several maps has a node for each.
  const used = (node: string) => graph.nodes.some((known) => known.name === node);
  let node = name;
  for (let copy = 1; used(node); copy++) node = `${name}_${copy}`;
  const result = graph.add(operator, node, [input, ...inputs], attributes);
  return rectified ? graph.add("Relu", `${node}.relu`, [result]) : result;
}

/** What a convolution is. */
export interface ConvolutionDefinition extends PlainDefinition {
  /** Output channels. */
  readonly channels: number;
  /** Side of the square window, odd; the padding keeps the map's side. */
  readonly kernel: number;
  /** Default 1. */
  readonly dilation?: number;
}

/** relu?(convolution(input) + bias), of stride 1. */
export class Convolution implements NetworkLayer {
  readonly dilation: number;
  readonly padding: number;

  constructor(readonly definition: ConvolutionDefinition) {
    const { kernel, dilation = 1 } = definition;
    this.dilation = dilation;
    this.padding = dilation * (kernel - 1) / 2;
  }

  get rectified(): boolean {
    return this.definition.relu === true;
  }

  parameters([, channels]: Shape): [string, ParameterDefinition][] {
    const { channels: outputs, kernel } = this.definition;
    return parametersOf(
      this.definition,
      [outputs, channels, kernel, kernel],
      outputs,
      channels * kernel ** 2,
    );
  }

  statistics(): [] {
    return [];
  }

  outputShape([images, , height, width]: Shape): Shape {
    const { channels, kernel } = this.definition;
    const side = (size: number) => outputSize(size, kernel, 1, this.padding, this.dilation);
    return [images, channels, side(height), side(width)];
  }

  macs(input: Shape): number {
    return elements(this.outputShape(input)) * input[1] * this.definition.kernel ** 2;
  }

  /** The sum before its ReLU. */
  scratchShape(input: Shape): Shape | undefined {
    return this.rectified ? this.outputShape(input) : undefined;
  }

  run(pass: Pass, input: Tensor): Tensor {
    const { name, channels: outChannels } = this.definition;
    const { weight, bias } = stored(pass, name);
    const { dilation, padding } = this;
    const options = { outChannels, dilation, padding, bias };
    return rectify(pass.tape, convolution(pass.tape, input, weight, options), this.rectified);
  }

  onnx(graph: OnnxGraph, input: string): string {
    const { kernel } = this.definition;
    const { padding, dilation } = this;
    return addNode(graph, "Conv", this.definition, input, {
      kernel_shape: [kernel, kernel],
      pads: [padding, padding, padding, padding],
      ...(dilation === 1 ? {} : { dilations: [dilation, dilation] }),
    });
  }
}

/** What a convolution that enlarges is. */
export interface EnlargingDefinition extends PlainDefinition {
  /** Output channels. */
  readonly channels: number;
  /** Side of the square window, and how many times a map's side grows. */
  readonly factor: number;
}

/** relu?(transposed convolution(input) + bias), whose windows lie side by side. */
export class Enlargement implements NetworkLayer {
  constructor(readonly definition: EnlargingDefinition) {}

  get rectified(): boolean {
    return this.definition.relu === true;
  }

  /** PyTorch counts the fan in of such a weight, [in, out, kernel, kernel], by its outputs. */
  parameters([, channels]: Shape): [string, ParameterDefinition][] {
    const { channels: outputs, factor } = this.definition;
    return parametersOf(this.definition, [channels, outputs, factor, factor], outputs, outputs * factor ** 2);
  }

  statistics(): [] {
    return [];
  }

  outputShape([images, , height, width]: Shape): Shape {
    const { channels, factor } = this.definition;
    return [images, channels, height * factor, width * factor];
  }

  macs(input: Shape): number {
    return elements(this.outputShape(input)) * input[1];
  }

  /** The sum before its ReLU. */
  scratchShape(input: Shape): Shape | undefined {
    return this.rectified ? this.outputShape(input) : undefined;
  }

  run(pass: Pass, input: Tensor): Tensor {
    const { name, channels: outChannels, factor: stride } = this.definition;
    const { weight, bias } = stored(pass, name);
    const sum = transposedConvolution(pass.tape, input, weight, { outChannels, stride, bias });
    return rectify(pass.tape, sum, this.rectified);
  }

  onnx(graph: OnnxGraph, input: string): string {
    const { factor } = this.definition;
    return addNode(graph, "ConvTranspose", this.definition, input, {
      kernel_shape: [factor, factor],
      strides: [factor, factor],
    });
  }
}

/** What a linear layer is. */
export interface LinearDefinition extends PlainDefinition {
  /** Output features. */
  readonly features: number;
}

/** relu?(weight input + bias), over all values of each row of the input, whatever its shape. */
export class Linear implements NetworkLayer {
  constructor(readonly definition: LinearDefinition) {}

  get rectified(): boolean {
    return this.definition.relu === true;
  }

  parameters([, ...row]: Shape): [string, ParameterDefinition][] {
    const { features } = this.definition;
    return parametersOf(this.definition, [features, elements(row)], features, elements(row));
  }

  statistics(): [] {
    return [];
  }

  outputShape([rows]: Shape): Shape {
    return [rows, this.definition.features];
  }

  macs(input: Shape): number {
    return elements(input) * this.definition.features;
  }

  /** The sum before its ReLU. */
  scratchShape(input: Shape): Shape | undefined {
    return this.rectified ? this.outputShape(input) : undefined;
  }

  run(pass: Pass, input: Tensor): Tensor {
    const { name, features: outFeatures } = this.definition;
    const { weight, bias } = stored(pass, name);
    const [rows, ...row] = input.shape;
    const flat = row.length === 1 ? input : input.view([rows, elements(row)]);
    return rectify(pass.tape, linear(pass.tape, flat, weight, bias, { outFeatures }), this.rectified);
  }

  onnx(graph: OnnxGraph, input: string): string {
    const flat = graph.add("Flatten", `${this.definition.name}.rows`, [input], { axis: 1 });
    return addNode(graph, "Gemm", this.definition, flat, { transB: 1 });
  }
}

/** A coarse map, its pixels repeated to the size of a finer one, plus that; the inputs in this order. */
export class NearestSum implements NetworkLayer {
  /** @param name in ONNX */
  constructor(readonly name: string) {}

  parameters(): [] {
    return [];
  }

  statistics(): [] {
    return [];
  }

  outputShape(_coarse: Shape, fine: Shape): Shape {
    return fine;
  }

  macs(): number {
    return 0;
  }

  scratchShape(): undefined {}

  run({ tape }: Pass, coarse: Tensor, fine: Tensor): Tensor {
    return addNearest(tape, coarse, fine);
  }

  onnx(graph: OnnxGraph, coarse: string, fine: string): string {
    const size = graph.add("Shape", `${this.name}.size`, [fine]);
    const attributes = {
      mode: "nearest",
      coordinate_transformation_mode: "asymmetric",
      nearest_mode: "floor",
    };
    const larger = graph.add("Resize", `${this.name}.larger`, [coarse, "", "", size], attributes);
    return graph.add("Add", this.name, [larger, fine]);
  }
}
