/** A graph of ONNX nodes in the making. Batchnorm is folded into the convolutions. */
import type { OnnxModel, OnnxNode, OnnxTensor, OnnxValue } from "../store/onnx/encode.ts";
import { batchnormEpsilon } from "../tensor/ops/batchnorm.ts";
import type { Shape } from "../shape.ts";
import { version } from "../version.ts";

/** What stands in the files, chosen so that every runtime of the last years reads them. */
const irVersion = 8, opset = 17;

/** Weights on the host by name, e.g. `layer1.0.conv1.weight` [out, in, kernel, kernel]. */
export type HostWeights = ReadonlyMap<string, { readonly shape: Shape; readonly data: Float32Array }>;

/** What a finished graph is called, takes and gives. */
export interface OnnxFace {
  readonly name: string;
  readonly metadata: OnnxModel["metadata"];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

/** Collects nodes and constants. Every node is called after its output unless that has a name of its own. */
export class OnnxGraph {
  nodes: OnnxNode[] = [];
  readonly constants: OnnxTensor[] = [];

  constructor(readonly weights: HostWeights) {}

  /** Adds a node with one output; returns the output's name. */
  add(
    operator: string,
    name: string,
    inputs: readonly string[],
    attributes: OnnxNode["attributes"] = {},
    output = name,
  ): string {
    this.nodes.push({ name, operator, inputs, outputs: [output], attributes });
    return output;
  }

  /** Gives a result another name, wherever it is written and read; returns that name. */
  rename(result: string, name: string): string {
    const renamed = (names: readonly string[]) => names.map((one) => one === result ? name : one);
    this.nodes = this.nodes.map((node) => ({
      ...node,
      inputs: renamed(node.inputs),
      outputs: renamed(node.outputs),
    }));
    return name;
  }

  /** Adds a constant of integers; returns its name. */
  integers(name: string, values: readonly number[], shape: Shape): string {
    this.constants.push({ name, shape, data: BigInt64Array.from(values, BigInt) });
    return name;
  }

  /** The model that gives these outputs, without the nodes and constants that none of them needs. */
  model({ name, metadata, inputs, outputs }: OnnxFace): OnnxModel {
    const needed = new Set(outputs.map(({ name }) => name));
    const nodes = this.nodes.toReversed().filter(({ inputs, outputs }) => {
      const used = outputs.some((name) => needed.has(name));
      if (used) inputs.forEach((name) => needed.add(name));
      return used;
    }).toReversed();
    const initializers = this.constants.filter(({ name }) => needed.has(name));
    return {
      irVersion,
      opset,
      producer: { name: "scion", version },
      metadata,
      graph: { name, nodes, initializers, inputs, outputs },
    };
  }

  /** A convolution with the batchnorm behind it folded in; returns the output's name. */
  foldedConvolution(
    convolution: string,
    batchnorm: string,
    input: string,
    attributes: OnnxNode["attributes"],
  ): string {
    const { weight, bias } = foldBatchnorm(this.weights, convolution, batchnorm);
    const { shape } = this.weights.get(`${convolution}.weight`)!;
    this.constants.push(
      { name: `${convolution}.weight`, shape, data: weight },
      { name: `${convolution}.bias`, shape: [shape[0]], data: bias },
    );
    const inputs = [input, `${convolution}.weight`, `${convolution}.bias`];
    return this.add("Conv", convolution, inputs, attributes);
  }
}

/**
 * The convolution that equals a convolution followed by batchnorm in evaluation mode, computed in float64.
 *
 * @returns weight [out, in, kernel, kernel] and bias [out]
 */
export function foldBatchnorm(
  weights: HostWeights,
  convolution: string,
  batchnorm: string,
): { weight: Float32Array; bias: Float32Array } {
  const values = (name: string) => weights.get(name)!.data;
  const [gamma, beta] = [values(`${batchnorm}.weight`), values(`${batchnorm}.bias`)];
  const [mean, variance] = [values(`${batchnorm}.running_mean`), values(`${batchnorm}.running_var`)];
  const weight = values(`${convolution}.weight`).slice();
  const bias = new Float32Array(gamma.length);
  const row = weight.length / gamma.length;
  for (let channel = 0; channel < gamma.length; channel++) {
    const scale = gamma[channel] / Math.sqrt(variance[channel] + batchnormEpsilon);
    bias[channel] = beta[channel] - mean[channel] * scale;
    for (let index = channel * row; index < (channel + 1) * row; index++) weight[index] *= scale;
  }
  return { weight, bias };
}
