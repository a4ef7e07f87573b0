/** Layers of convolutional networks, at any width below the stored one: what they need, how they run, their ONNX. */
import type { Layer, ParameterDefinition, Unit } from "../elastic/unit.ts";
import { batchnorm } from "../tensor/ops/batchnorm.ts";
import { convolution } from "../tensor/ops/convolution.ts";
import { outputSize } from "../tensor/ops/convolution_geometry.ts";
import { maxPool } from "../tensor/ops/pool.ts";
import type { Tape } from "../tensor/tape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { elements, type Shape } from "../shape.ts";
import type { OnnxGraph } from "./onnx_graph.ts";
import type { Statistics, Weights } from "./weights.ts";

/** One pass through a network: whose weights and statistics, recorded where, in which mode. */
export interface Pass {
  readonly tape: Tape;
  readonly weights: Weights;
  readonly statistics: Statistics;
  /** Batchnorm with the batch's statistics, which also move the running ones; or, false, with the running ones. */
  readonly training: boolean;
  /** Groups of the batch with statistics of their own. */
  readonly batchnormGroups: number;
  /** Weight of new batchnorm statistics in the running ones; 0.1 unless they are recalibrated. */
  readonly batchnormMomentum?: number;
  /** What decides about dropout in training; without, nothing is dropped. */
  readonly dropout?: { readonly seed: number; readonly step: number };
}

/** A layer that runs on the device and can be exported. */
export interface NetworkLayer extends Layer {
  /** Whether its result comes out of a ReLU; false where absent. */
  readonly rectified?: boolean;
  /** Records the layer; what it needs meanwhile is released, its result is the tape's. */
  run(pass: Pass, ...inputs: Tensor[]): Tensor;
  /** Adds nodes, without what only training needs; returns the name of the result. */
  onnx(graph: OnnxGraph, ...inputs: string[]): string;
}

/** A unit of such layers. */
export type NetworkUnit = Unit<NetworkLayer>;

/** Runs a unit. Without recording, the memory of everything but its result is given back at the end. */
export function runUnit(pass: Pass, unit: NetworkUnit, input: Tensor): Tensor {
  return pass.tape.scope(() => unit.forward<Tensor>((layer, ...inputs) => layer.run(pass, ...inputs), input));
}

/** What a convolution with batchnorm is called and how it moves; names are torchvision's. */
export interface ConvolutionBatchnormDefinition {
  readonly convolution: string;
  readonly batchnorm: string;
  /** Output channels. */
  readonly channels: number;
  /** Side of the square window, odd. */
  readonly kernel: number;
  /** Default 1. */
  readonly stride?: number;
  /** Default 1. The padding keeps the map's side: dilation (kernel - 1) / 2. */
  readonly dilation?: number;
  /** Name of the ReLU behind it; undefined for none. */
  readonly relu?: string;
  /** Name of the addition of a second input before the ReLU, which ends a residual branch; undefined for none. */
  readonly sum?: string;
  /** Name of the result in ONNX; that of the last operation unless it is given. */
  readonly output?: string;
}

/** relu?(batchnorm(convolution(input)) + residual?). */
export class ConvolutionBatchnorm implements NetworkLayer {
  readonly stride: number;
  readonly dilation: number;
  readonly padding: number;

  constructor(readonly definition: ConvolutionBatchnormDefinition) {
    const { stride = 1, dilation = 1, kernel } = definition;
    this.stride = stride;
    this.dilation = dilation;
    this.padding = dilation * (kernel - 1) / 2;
  }

  get rectified(): boolean {
    return this.definition.relu !== undefined;
  }

  parameters(input: Shape): [string, ParameterDefinition][] {
    const { convolution, batchnorm, channels, sum } = this.definition;
    return [
      [`${convolution}.weight`, { shape: this.#weight(input), start: "fan-out" }],
      [`${batchnorm}.weight`, { shape: [channels], start: sum === undefined ? "one" : "residual" }],
      [`${batchnorm}.bias`, { shape: [channels], start: "zero" }],
    ];
  }

  statistics(): [string, Shape][] {
    const { batchnorm, channels } = this.definition;
    return [[`${batchnorm}.running_mean`, [channels]], [`${batchnorm}.running_var`, [channels]]];
  }

  outputShape([images, , height, width]: Shape): Shape {
    const { channels, kernel } = this.definition;
    const side = (size: number) => outputSize(size, kernel, this.stride, this.padding, this.dilation);
    return [images, channels, side(height), side(width)];
  }

  macs(input: Shape): number {
    const [images, , height, width] = this.outputShape(input);
    return images * height * width * elements(this.#weight(input));
  }

  /** The convolution's result. */
  scratchShape(input: Shape): Shape {
    return this.outputShape(input);
  }

  run(pass: Pass, input: Tensor, residual?: Tensor): Tensor {
    const { tape, weights, statistics } = pass;
    const { definition, stride, dilation, padding } = this;
    const name = definition.batchnorm;
    const convolved = convolution(tape, input, weights.parameter(`${definition.convolution}.weight`), {
      outChannels: definition.channels,
      stride,
      dilation,
      padding,
    });
    const normalised = batchnorm(
      tape,
      convolved,
      weights.parameter(`${name}.weight`),
      weights.parameter(`${name}.bias`),
      statistics.of(name),
      {
        relu: definition.relu !== undefined,
        residual,
        training: pass.training,
        groups: pass.batchnormGroups,
        momentum: pass.batchnormMomentum,
      },
    );
    tape.discard(convolved);
    return normalised;
  }

  onnx(graph: OnnxGraph, input: string, residual?: string): string {
    const { convolution, batchnorm, kernel, relu, sum, output } = this.definition;
    const { stride, dilation, padding } = this;
    let result = graph.foldedConvolution(convolution, batchnorm, input, {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
      ...(dilation === 1 ? {} : { dilations: [dilation, dilation] }),
    });
    if (sum !== undefined) result = graph.add("Add", sum, [result, residual!]);
    return relu === undefined ? result : graph.add("Relu", relu, [result], {}, output);
  }

  #weight([, channels]: Shape): Shape {
    const { kernel } = this.definition;
    return [this.definition.channels, channels, kernel, kernel];
  }
}

/** Largest value of each window. */
export class MaxPool implements NetworkLayer {
  /** @param name in ONNX */
  constructor(
    readonly name: string,
    readonly window: number,
    readonly stride: number,
    readonly padding: number,
  ) {}

  parameters(): [] {
    return [];
  }

  statistics(): [] {
    return [];
  }

  outputShape([images, channels, height, width]: Shape): Shape {
    const side = (size: number) => outputSize(size, this.window, this.stride, this.padding);
    return [images, channels, side(height), side(width)];
  }

  macs(): number {
    return 0;
  }

  scratchShape(): undefined {}

  run({ tape }: Pass, input: Tensor): Tensor {
    return maxPool(tape, input, this.window, this.stride, this.padding);
  }

  onnx(graph: OnnxGraph, input: string): string {
    const { window, stride, padding } = this;
    return graph.add("MaxPool", this.name, [input], {
      kernel_shape: [window, window],
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
    });
  }
}
