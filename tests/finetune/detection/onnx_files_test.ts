/** A detector's files without what runs them: graphs, names, and all that a stranger needs beside the weights. */
import { assert, assertEquals } from "@std/assert";
import { writeDetectorModel } from "../../../src/finetune/detection/model_file.ts";
import {
  describeDetectorOnnx,
  detectorOnnxFiles,
  writeDetectorOnnx,
} from "../../../src/finetune/detection/onnx_files.ts";
import type { OnnxModel } from "../../../src/store/onnx/encode.ts";
import { describeOnnxFile } from "../../../src/store/onnx/describe.ts";
import { readSafetensors } from "../../../src/store/safetensors.ts";
import { gpuTest } from "../../helpers.ts";
import { assertSound } from "../../nn/sound_graph.ts";
import { withFolder } from "../../store/with_folder.ts";
import { smallDetector } from "./small_detector.ts";

const levels = [2, 3, 4, 5, 6];

function shapesOf({ graph: { inputs, outputs } }: OnnxModel): [string, string][] {
  return [...inputs, ...outputs].map(({ name, shape }) => [name, shape.join(" ")]);
}

gpuTest("the graphs of a detector with masks", async (gpu) => {
  const { network, model } = await smallDetector(gpu, "mask-rcnn");
  network.release();
  const graphs = describeDetectorOnnx(model);
  graphs.forEach(assertSound);
  const [maps, boxes, masks] = graphs;
  const map = (kind: string, channels: number) =>
    levels.map((level): [string, string] => [`${kind}${level}`, `N ${channels} p${level}_H p${level}_W`]);
  assertEquals(
    shapesOf(maps).toSorted(),
    [
      ["images", "N 3 H W"],
      ...[...map("p", 8), ...map("objectness", 3), ...map("deltas", 12)],
    ].toSorted(),
  );
  // Three classes and background.
  assertEquals(shapesOf(boxes), [["regions", "R 8 7 7"], ["logits", "R 4"], ["deltas", "R 16"]]);
  assertEquals(shapesOf(masks), [["regions", "R 8 14 14"], ["logits", "R 4 28 28"]]);

  // Every weight of the heads is in one graph, as it is; batchnorm is folded.
  const constants = graphs.flatMap(({ graph }) => graph.initializers);
  const heads = [...model.weights].filter(([name]) => !model.ofBackbone(name));
  for (const [name, { data }] of heads) {
    assertEquals(constants.filter((one) => one.name === name).map((one) => one.data), [data], name);
  }
  const operators = (of: OnnxModel) => new Set(of.graph.nodes.map(({ operator }) => operator));
  assertEquals(operators(maps), new Set(["Conv", "Relu", "Add", "MaxPool", "Shape", "Resize"]));
  assertEquals(operators(boxes), new Set(["Flatten", "Gemm", "Relu"]));
  assertEquals(operators(masks), new Set(["Conv", "Relu", "ConvTranspose"]));
});

gpuTest("a region's only box, of whatever class, and no masks", async (gpu) => {
  const { network, model } = await smallDetector(gpu, "faster-rcnn", { agnostic: true });
  network.release();
  const graphs = describeDetectorOnnx(model);
  graphs.forEach(assertSound);
  assertEquals(graphs.length, 2);
  assertEquals(shapesOf(graphs[1]), [["regions", "R 8 7 7"], ["logits", "R 4"], ["deltas", "R 4"]]);
});

gpuTest("all files of a detector say the same, and all that lies between its graphs", async (gpu) => {
  const { network, model } = await smallDetector(gpu, "mask-rcnn");
  network.release();
  await withFolder(async (folder) => {
    const paths = await writeDetectorOnnx(folder, model);
    assertEquals(paths, detectorOnnxFiles("mask-rcnn").map((name) => `${folder}/${name}`));
    assertEquals(detectorOnnxFiles("faster-rcnn"), ["model.onnx", "boxes.onnx"]);
    const weights = `${folder}/model.safetensors`;
    await writeDetectorModel(weights, model);
    const { metadata, tensors } = await readSafetensors(weights);
    assert(tensors.has("backbone.body.bn1.running_var") && tensors.has("backbone.fpn.inner_blocks.0.0.bias"));
    for (const path of paths) assertEquals((await describeOnnxFile(path)).metadata, metadata);

    const { format, head, classes, mean, preprocessing, postprocessing } = metadata;
    assertEquals([format, head, JSON.parse(classes), JSON.parse(mean)], [
      ...["scion-detection-1", "mask-rcnn", model.classes, [0.5, 0.5, 0.5]],
    ]);
    assertEquals(JSON.parse(preprocessing), {
      resize: { shortSide: 96, longSide: 160, rounding: "down" },
      filter: "bilinear",
      padToMultipleOf: 32,
      orientation: "by EXIF",
      transparency: "on white",
      colour: "RGB, profiles ignored; CMYK by its profile",
      values: "(value / 255 - mean) / std",
    });
    const pool = { samplingRatio: 2, aligned: false };
    assertEquals(JSON.parse(postprocessing), {
      anchors: { sizes: [[12], [24], [48], [96], [192]], ratios: [0.5, 1, 2], rounded: true },
      proposals: { weights: [1, 1, 1, 1], beforeNms: 60, afterNms: 60, nmsThreshold: 0.7, leastSide: 0.001 },
      mostGrowth: Math.fround(Math.log(62.5)),
      levels: { firstLevel: 2, levels: 4, canonicalScale: 48, canonicalLevel: 4 },
      boxes: {
        pool: { bins: 7, ...pool },
        agnostic: false,
        ...{ scoreThreshold: 0.05, nmsThreshold: 0.5, most: 100, leastSide: 0.01, weights: [10, 10, 5, 5] },
      },
      masks: { pool: { bins: 14, ...pool }, paste: "expanded" },
    });
  });
});
