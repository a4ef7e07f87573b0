import { assert, assertEquals } from "@std/assert";
import {
  readHeadedNetwork,
  type SegmentationModel,
  writeSegmentationModel,
  writeSegmentationOnnx,
} from "../../../src/finetune/segmentation/model_file.ts";
import { type SegmentationHead, segmentationHead } from "../../../src/finetune/segmentation/network.ts";
import { withOutputStride } from "../../../src/nn/output_stride.ts";
import { backboneValues, type PlainModel } from "../../../src/extract/model.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import { HeadedNetwork } from "../../../src/nn/headed_network.ts";
import { describeOnnxFile } from "../../../src/store/onnx/describe.ts";
import { readSafetensors } from "../../../src/store/safetensors.ts";
import { gpuTest } from "../../helpers.ts";
import { withFolder } from "../../store/with_folder.ts";
import { smallConfig, smallModel } from "./small_segmentation.ts";

const classes = ["road", "sky", "größer"];

async function segmentationOf(
  gpu: Gpu,
  model: PlainModel,
  head: SegmentationHead,
  settings: object = {},
): Promise<SegmentationModel> {
  const { segmentation } = smallConfig({ segmentation: settings });
  const network = withOutputStride(model.network, segmentation.outputStride);
  using headed = new HeadedNetwork(gpu, network, segmentationHead(network, head, 3, segmentation), false);
  await headed.initialise(1, backboneValues(model));
  return await readHeadedNetwork(headed, { input: model.input, head, classes });
}

gpuTest("files have torchvision's names; the ONNX graph has no auxiliary classifier", async (gpu) => {
  const model = await smallModel(gpu);
  const whole = await segmentationOf(gpu, model, "fcn");
  await withFolder(async (folder) => {
    const path = `${folder}/model.safetensors`;
    await writeSegmentationModel(path, whole);
    const { tensors, metadata } = await readSafetensors(path);
    const batchnorm = (name: string) =>
      ["weight", "bias", "running_mean", "running_var"].map((part) => `${name}.${part}`);
    const heads = ["classifier", "aux_classifier"].flatMap((name) => [
      ...[`${name}.0.weight`, ...batchnorm(`${name}.1`), `${name}.4.weight`, `${name}.4.bias`],
    ]);
    const backbone = [...model.weights.keys()].map((name) => `backbone.${name}`);
    assertEquals([...tensors.keys()].toSorted(), [...backbone, ...heads].toSorted());
    for (const [name, { data, shape }] of model.weights) {
      const stored = tensors.get(`backbone.${name}`)!;
      assertEquals([stored.data, stored.shape], [data, shape]);
    }
    // c4 and c5 of the smallest subnet have 32 and 48 channels.
    assertEquals(tensors.get("classifier.0.weight")!.shape, [12, 48, 3, 3]);
    assertEquals(tensors.get("aux_classifier.0.weight")!.shape, [8, 32, 3, 3]);
    assertEquals(tensors.get("classifier.4.weight")!.shape, [3, 12, 1, 1]);
    const { format, task, head, dilated, classes: names } = metadata;
    assertEquals([format, task, head, JSON.parse(dilated), JSON.parse(names)], [
      ...["scion-segmentation-1", "segmentation", "fcn", [false, false, true, true], classes],
    ]);

    const onnx = `${folder}/model.onnx`;
    await writeSegmentationOnnx(onnx, whole);
    const described = await describeOnnxFile(onnx);
    const free = undefined;
    assertEquals(described.inputs, [{ name: "images", type: 1, shape: [free, 3, free, free] }]);
    assertEquals(described.outputs, [{ name: "logits", type: 1, shape: [free, 3, free, free] }]);
    assertEquals(described.metadata, metadata);
    const bytes = new TextDecoder("latin1").decode(await Deno.readFile(onnx));
    assert(bytes.includes("classifier.4") && !bytes.includes("aux_classifier"));
    for (const operator of ["Conv", "Resize"]) assert(bytes.includes(operator), operator);
  });
});

gpuTest("a PSPNet's graph takes images of any size, too", async (gpu) => {
  const whole = await segmentationOf(gpu, await smallModel(gpu), "psp");
  await withFolder(async (folder) => {
    const path = `${folder}/model.onnx`;
    await writeSegmentationOnnx(path, whole);
    const { inputs, outputs, metadata } = await describeOnnxFile(path);
    const shape = [undefined, 3, undefined, undefined];
    assertEquals([inputs[0].shape, outputs[0].shape], [shape, shape]);
    assertEquals(metadata.head, "psp");
    const bytes = new TextDecoder("latin1").decode(await Deno.readFile(path));
    // The first branch has a single cell, which is the mean of the whole map.
    for (const branch of [1, 2, 3]) assert(bytes.includes(`psp_modules.${branch}.0.rows.means`), `${branch}`);
  });
});

gpuTest(
  "a head of two convolutions has mmsegmentation's names, and its join is in the ONNX graph",
  async (gpu) => {
    const settings = { channels: 7, convolutions: 2, joinInput: true };
    const whole = await segmentationOf(gpu, await smallModel(gpu), "fcn", settings);
    const shapes = [...whole.weights].filter(([name]) =>
      name.startsWith("classifier") && name.includes("weight")
    );
    assertEquals(shapes.map(([name, { shape }]) => [name, shape.join()]), [
      ["classifier.convs.0.conv.weight", "7,48,3,3"],
      ["classifier.convs.0.bn.weight", "7"],
      ["classifier.convs.1.conv.weight", "7,7,3,3"],
      ["classifier.convs.1.bn.weight", "7"],
      ["classifier.conv_cat.conv.weight", "7,55,3,3"],
      ["classifier.conv_cat.bn.weight", "7"],
      ["classifier.conv_seg.weight", "3,7,1,1"],
    ]);
    await withFolder(async (folder) => {
      const onnx = `${folder}/model.onnx`;
      await writeSegmentationOnnx(onnx, whole);
      const bytes = new TextDecoder("latin1").decode(await Deno.readFile(onnx));
      for (const part of ["classifier.join", "classifier.conv_cat", "classifier.conv_seg"]) {
        assert(bytes.includes(part), part);
      }
    });
  },
);
