/** Extracted models as ONNX graphs: batchnorm folded into the convolutions, feature maps as outputs. */
import type { Block, ConvolutionBatchnorm } from "../nn/layers.ts";
import { ElasticResNet } from "../nn/resnet.ts";
import { writeFileAtomically } from "../store/atomic_file.ts";
import { encodeOnnx, type OnnxModel, type OnnxNode, type OnnxTensor } from "../store/onnx/encode.ts";
import { batchnormEpsilon } from "../tensor/ops/batchnorm.ts";
import { version } from "../version.ts";
import type { PlainWeights } from "./cut.ts";
import { formatMetadata, type PlainModel } from "./model.ts";

/** What stands in the files, chosen so that every runtime of the last years reads them. */
const irVersion = 8, opset = 17;

/**
 * Writes a model as an ONNX file, atomically: input `images` [N, 3, H, W], outputs `c2`, `c3`, … (one for each stage)
 * and `features` [N, C] (the last stage, averaged over positions). N, H and W are free.
 *
 * @throws {DataError} when the weights exceed what ONNX holds, or the file system refuses
 */
export async function writeOnnxModel(path: string, model: PlainModel): Promise<void> {
  await writeFileAtomically(path, await encodeOnnx(describeOnnx(model)));
}

/** The graph of {@linkcode writeOnnxModel}. */
export function describeOnnx(model: PlainModel): OnnxModel {
  const network = new ElasticResNet(model.space);
  const graph = new GraphBuilder(model.weights);
  let output = graph.convolution(network.stem, "images");
  output = graph.add("Relu", "relu", [output]);
  if (model.space.definition.stem.kind === "7x7") {
    output = graph.add("MaxPool", "maxpool", [output], {
      kernel_shape: [3, 3],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    });
  }
  network.stages.forEach((blocks, stage) => {
    blocks.forEach((block, index) => {
      const last = index === blocks.length - 1;
      const prefix = `layer${stage + 1}.${index}`;
      output = graph.block(block, prefix, output, last ? `c${stage + 2}` : `${prefix}.output`);
    });
  });
  graph.add("GlobalAveragePool", "avgpool", [output]);
  graph.add("Flatten", "flatten", ["avgpool"], { axis: 1 }, "features");
  const { expansion, max: { widths } } = model.space;
  return {
    irVersion,
    opset,
    producer: { name: "scion", version },
    metadata: formatMetadata(model),
    graph: {
      name: "encoder",
      nodes: graph.nodes,
      initializers: graph.constants,
      inputs: [{ name: "images", shape: ["N", 3, "H", "W"] }],
      outputs: [
        ...widths.map((width, stage) => {
          const name = `c${stage + 2}`;
          return { name, shape: ["N", width * expansion, `${name}_H`, `${name}_W`] };
        }),
        { name: "features", shape: ["N", network.featureChannels] },
      ],
    },
  };
}

/** Collects nodes and constants. Every node is called after its output unless that is an output of the graph. */
class GraphBuilder {
  readonly nodes: OnnxNode[] = [];
  readonly constants: OnnxTensor[] = [];

  constructor(readonly weights: PlainWeights) {}

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

  /** A convolution with its batchnorm folded in; returns the output's name. */
  convolution({ convolution, batchnorm, shape, stride }: ConvolutionBatchnorm, input: string): string {
    const { weight, bias } = foldBatchnorm(this.weights, convolution, batchnorm);
    this.constants.push(
      { name: `${convolution}.weight`, shape, data: weight },
      { name: `${convolution}.bias`, shape: [shape[0]], data: bias },
    );
    const [, , height, width] = shape;
    const rows = (height - 1) / 2, columns = (width - 1) / 2;
    return this.add("Conv", convolution, [input, `${convolution}.weight`, `${convolution}.bias`], {
      kernel_shape: [height, width],
      strides: [stride, stride],
      pads: [rows, columns, rows, columns],
    });
  }

  /** A residual block whose result is called `output`. */
  block({ branch, downsample }: Block, prefix: string, input: string, output: string): string {
    const shortcut = downsample ? this.convolution(downsample, input) : input;
    let result = input;
    branch.forEach((layer, index) => {
      result = this.convolution(layer, result);
      if (index < branch.length - 1) result = this.add("Relu", `${prefix}.relu${index + 1}`, [result]);
    });
    const sum = this.add("Add", `${prefix}.add`, [result, shortcut]);
    return this.add("Relu", `${prefix}.relu`, [sum], {}, output);
  }
}

/**
 * The convolution that equals a convolution followed by batchnorm in evaluation mode, computed in float64.
 *
 * @returns weight [out, in, kernel, kernel] and bias [out]
 */
export function foldBatchnorm(
  weights: PlainWeights,
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
