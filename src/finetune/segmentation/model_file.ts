/** A trained segmentation as files: weights under torchvision's names, and an ONNX graph from images to logits. */
import { formatMetadata, type ModelInput } from "../../extract/model.ts";
import { OnnxGraph } from "../../nn/onnx_graph.ts";
import { addHead } from "../../nn/heads.ts";
import type { HeadedNetwork } from "../../nn/headed_network.ts";
import { addNetwork } from "../../nn/network.ts";
import { readWeights } from "../../nn/weights.ts";
import { writeFileAtomically } from "../../store/atomic_file.ts";
import { encodeOnnx } from "../../store/onnx/encode.ts";
import { type TensorOf, writeSafetensors } from "../../store/safetensors.ts";

/** A trained segmentation on the host. */
export interface SegmentationModel {
  readonly network: HeadedNetwork["network"];
  readonly tapped: HeadedNetwork["tapped"];
  readonly input: ModelInput;
  readonly head: string;
  readonly classes: readonly string[];
  /** Names without a prefix for the backbone's. */
  readonly weights: ReadonlyMap<string, TensorOf<"F32">>;
}

/** Brings a network to the host. */
export async function readHeadedNetwork(
  headed: HeadedNetwork,
  description: Pick<SegmentationModel, "input" | "head" | "classes">,
): Promise<SegmentationModel> {
  const { network, tapped, weights, statistics } = headed;
  return { ...description, network, tapped, weights: await readWeights(weights, statistics) };
}

function metadataOf({ network, input, head, classes }: SegmentationModel): Record<string, string> {
  return {
    ...formatMetadata({ network, input, calibration: undefined }),
    format: "scion-segmentation-1",
    task: "segmentation",
    head,
    classes: JSON.stringify(classes),
  };
}

/** Whether a parameter is the head's. */
function ofHead(name: string): boolean {
  return name.startsWith("classifier.") || name.startsWith("aux_classifier.");
}

/**
 * Writes `.safetensors` with the names of torchvision's segmentation models: `backbone.…`, `classifier.…`,
 * `aux_classifier.…`.
 *
 * @throws {DataError} when the file system refuses
 */
export async function writeSegmentationModel(path: string, model: SegmentationModel): Promise<void> {
  const tensors = [...model.weights].map(([name, tensor]) =>
    [ofHead(name) ? name : `backbone.${name}`, tensor] as const
  );
  await writeSafetensors(path, tensors, metadataOf(model));
}

/**
 * Writes `.onnx`: input `images` [N, 3, H, W], output `logits` [N, classes, H, W], interpolated to the images' size.
 *
 * @throws {DataError} when the file system refuses
 */
export async function writeSegmentationOnnx(path: string, model: SegmentationModel): Promise<void> {
  const { network, tapped: { head, taps }, weights, classes } = model;
  const graph = new OnnxGraph(weights);
  addNetwork(graph, network);
  // Classifiers beside the first are of training alone.
  const [coarse] = addHead(graph, head, taps);
  const channels = graph.add("Shape", "channels", [coarse], { start: 0, end: 2 });
  const sides = graph.add("Shape", "sides", ["images"], { start: 2, end: 4 });
  const size = graph.add("Concat", "size", [channels, sides], { axis: 0 });
  graph.add("Resize", "upsample", [coarse, "", "", size], {
    mode: "linear",
    coordinate_transformation_mode: "pytorch_half_pixel",
  }, "logits");
  const described = graph.model({
    name: "segmentation",
    metadata: metadataOf(model),
    inputs: [{ name: "images", shape: ["N", network.inputChannels, "H", "W"] }],
    outputs: [{ name: "logits", shape: ["N", classes.length, "H", "W"] }],
  });
  await writeFileAtomically(path, await encodeOnnx(described));
}
