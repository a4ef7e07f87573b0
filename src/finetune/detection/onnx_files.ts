/**
 * A trained detector as ONNX graphs of what runs between its decisions: from images to the pyramid's maps and what is said
 * of each of their positions, and from pooled regions to what each head says of them. What lies between, choosing boxes and
 * pooling regions, depends on the values, and is the caller's; docs/detection.md describes it.
 */
import { join } from "@std/path";
import { anchorsPerPosition } from "../../nn/detection/anchors.ts";
import { detectorHeads } from "../../nn/detection/detector_heads.ts";
import { addHead, type NetworkHead } from "../../nn/heads.ts";
import { addNetwork } from "../../nn/network.ts";
import { OnnxGraph } from "../../nn/onnx_graph.ts";
import { writeFileAtomically } from "../../store/atomic_file.ts";
import { encodeOnnx, type OnnxModel, type OnnxValue } from "../../store/onnx/encode.ts";
import { detectorMetadata, type DetectorModel } from "./model_file.ts";
import type { DetectionHead } from "./settings.ts";

/** Names of the files of a detector. */
export function detectorOnnxFiles(head: DetectionHead): string[] {
  return ["model.onnx", "boxes.onnx", ...head === "mask-rcnn" ? ["masks.onnx"] : []];
}

/**
 * The graphs of a detector, in the order of their files.
 *
 * - `model`: `images` [N, 3, H, W], whose sides are multiples of the stride, to the maps `p2`, `p3`, … [N, C, h, w], and of
 *   each `objectness2`, … [N, anchors, h, w] and `deltas2`, … [N, 4 anchors, h, w].
 * - `boxes`: `regions` [R, C, bins, bins] to `logits` [R, classes] and `deltas` [R, 4 classes], or [R, 4].
 * - `masks`: `regions` [R, C, bins, bins] to `logits` [R, classes, 2 bins, 2 bins].
 */
export function describeDetectorOnnx(model: DetectorModel): OnnxModel[] {
  const { settings: { classes, boxes, masks }, taps } = model;
  const heads = detectorHeads(model.settings, taps.length);
  const graphs = [
    describeMaps(model, heads.pyramid, heads.proposals),
    describeRegions(model, "boxes", heads.boxes, boxes.pool.bins, [
      { name: "logits", shape: ["R", classes] },
      { name: "deltas", shape: ["R", boxes.agnostic ? 4 : 4 * classes] },
    ]),
  ];
  if (!masks) return graphs;
  const { bins } = masks.pool;
  const outputs = [{ name: "logits", shape: ["R", classes, 2 * bins, 2 * bins] }];
  return [...graphs, describeRegions(model, "masks", heads.masks!, bins, outputs)];
}

function describeMaps(model: DetectorModel, pyramid: NetworkHead, proposals: NetworkHead): OnnxModel {
  const { network, taps, weights, settings: { channels, anchors, levels } } = model;
  const graph = new OnnxGraph(weights);
  addNetwork(graph, network);
  const outputs: OnnxValue[] = [];
  const name = (result: string, kind: string, at: number, channels: number) => {
    const level = levels.firstLevel + at;
    const called = graph.rename(result, `${kind}${level}`);
    outputs.push({ name: called, shape: ["N", channels, `p${level}_H`, `p${level}_W`] });
    return called;
  };
  const maps = addHead(graph, pyramid, taps).map((map, at) => name(map, "p", at, channels));
  const said = addHead(graph, proposals, maps);
  const [count] = anchorsPerPosition(anchors);
  maps.forEach((_, at) => name(said[2 * at], "objectness", at, count));
  maps.forEach((_, at) => name(said[2 * at + 1], "deltas", at, 4 * count));
  return graph.model({
    name: "model",
    metadata: detectorMetadata(model),
    inputs: [{ name: "images", shape: ["N", network.inputChannels, "H", "W"] }],
    outputs,
  });
}

function describeRegions(
  model: DetectorModel,
  name: string,
  head: NetworkHead,
  bins: number,
  outputs: readonly OnnxValue[],
): OnnxModel {
  const graph = new OnnxGraph(model.weights);
  addHead(graph, head, ["regions"]).forEach((result, at) => graph.rename(result, outputs[at].name));
  return graph.model({
    name,
    metadata: detectorMetadata(model),
    inputs: [{ name: "regions", shape: ["R", model.settings.channels, bins, bins] }],
    outputs,
  });
}

/**
 * Writes the graphs of {@linkcode describeDetectorOnnx} into a folder.
 *
 * @returns the paths of what was written
 * @throws {DataError} when the file system refuses
 */
export async function writeDetectorOnnx(folder: string, model: DetectorModel): Promise<string[]> {
  const paths: string[] = [];
  for (const described of describeDetectorOnnx(model)) {
    const path = join(folder, `${described.graph.name}.onnx`);
    await writeFileAtomically(path, await encodeOnnx(described));
    paths.push(path);
  }
  return paths;
}
