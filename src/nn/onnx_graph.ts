/** A graph of ONNX nodes in the making. Batchnorm is folded into the convolutions. */
import type { OnnxNode, OnnxTensor } from "../store/onnx/encode.ts";
import { batchnormEpsilon } from "../tensor/ops/batchnorm.ts";
import type { Shape } from "../shape.ts";

/** Weights on the host by name, e.g. `layer1.0.conv1.weight` [out, in, kernel, kernel]. */
export type HostWeights = ReadonlyMap<string, { readonly shape: Shape; readonly data: Float32Array }>;

/** Collects nodes and constants. Every node is called after its output unless that has a name of its own. */
export class OnnxGraph {
  nodes: OnnxNode[] = [];
  constants: OnnxTensor[] = [];

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

  /** Drops the nodes and constants that none of these results needs. */
  keepWhatMakes(results: readonly string[]): void {
    const needed = new Set(results);
    this.nodes = this.nodes.toReversed().filter(({ inputs, outputs }) => {
      const used = outputs.some((name) => needed.has(name));
      if (used) inputs.forEach((name) => needed.add(name));
      return used;
    }).toReversed();
    this.constants = this.constants.filter(({ name }) => needed.has(name));
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
