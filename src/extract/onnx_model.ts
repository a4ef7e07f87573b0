/** Extracted models as ONNX graphs: batchnorm folded into the convolutions, feature maps as outputs. */
import { featureChannels, tapShapes } from "../elastic/network.ts";
import { addNetwork } from "../nn/network.ts";
import { OnnxGraph } from "../nn/onnx_graph.ts";
import { writeFileAtomically } from "../store/atomic_file.ts";
import { encodeOnnx, type OnnxModel } from "../store/onnx/encode.ts";
import { classifierNames, formatMetadata, type PlainModel } from "./model.ts";

/**
 * Writes a model as an ONNX file, atomically: input `images` [N, 3, H, W], an output for each tap (`c2`, `c3`, … for a
 * ResNet's stages), `features` [N, C] (the last map, averaged over positions) and, where it has a classifier, `logits`
 * [N, classes]. N, H and W are free.
 *
 * @throws {DataError} when the weights exceed what ONNX holds, or the file system refuses
 */
export async function writeOnnxModel(path: string, model: PlainModel): Promise<void> {
  await writeFileAtomically(path, await encodeOnnx(describeOnnx(model)));
}

/** The graph of {@linkcode writeOnnxModel}. */
export function describeOnnx(model: PlainModel): OnnxModel {
  const { network, classes } = model;
  const architecture = network.space.max;
  const graph = new OnnxGraph(model.weights);
  graph.add("GlobalAveragePool", "avgpool", [addNetwork(graph, network)]);
  graph.add("Flatten", "flatten", ["avgpool"], { axis: 1 }, "features");
  if (classes) {
    for (const name of classifierNames) {
      const { shape, data } = model.weights.get(name)!;
      graph.constants.push({ name, shape, data });
    }
    graph.add("Gemm", "fc", ["features", ...classifierNames], { transB: 1 }, "logits");
  }
  return graph.model({
    name: "encoder",
    metadata: formatMetadata(model),
    inputs: [{ name: "images", shape: ["N", network.inputChannels, "H", "W"] }],
    outputs: [
      ...[...tapShapes(network, architecture, model.input.imageSize)].map(([name, [, channels]]) => ({
        name,
        shape: ["N", channels, `${name}_H`, `${name}_W`],
      })),
      { name: "features", shape: ["N", featureChannels(network, architecture)] },
      ...classes ? [{ name: "logits", shape: ["N", classes.length] }] : [],
    ],
  });
}
