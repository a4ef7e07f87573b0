import { assert, assertEquals, assertRejects } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import { extractSubnet } from "../../src/extract/extract.ts";
import { modelCosts, type PlainModel } from "../../src/extract/model.ts";
import { openModel, readModel, writeModel } from "../../src/extract/model_file.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { macs, parameters } from "../../src/elastic/costs.ts";
import { readSafetensors, type TensorData, writeSafetensors } from "../../src/store/safetensors.ts";
import { gpuTest, randomValues } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";
import type { ElasticResNet } from "../../src/nn/resnet.ts";
import { basicSpace, evaluateFeatures, livelyEncoder } from "./encoders.ts";

function extracted(gpu: Gpu, text: string): Promise<PlainModel> {
  const encoder = livelyEncoder(gpu, basicSpace);
  const input = {
    imageSize: 24,
    mean: [0.485, 0.456, 0.406] as [number, number, number],
    std: [0.229, 0.224, 0.225] as [number, number, number],
  };
  return extractSubnet(encoder, encoder.network.space.resolve(text), input, undefined);
}

gpuTest("a model file gives back what was written, and runs", async (gpu) => {
  await withFolder(async (folder) => {
    // As wide as its stem: a fixed network would not project the first shortcut, the supernet did.
    const model = await extracted(gpu, "8-8.6.16-1.2.1");
    const path = `${folder}/model.safetensors`;
    await writeModel(path, { ...model, calibration: { images: 7, source: "folder:a b" } });
    const read = await readModel(path);
    const [readSpace, space] = [read, model].map(({ network }) => (network as ElasticResNet).space);
    assertEquals(readSpace.definition, space.definition);
    assert(readSpace.hasDownsample(0));
    assertEquals(read.input, model.input);
    assertEquals(read.calibration, { images: 7, source: "folder:a b" });
    assertEquals([...read.weights.keys()].sort(), [...model.weights.keys()].sort());
    for (const [name, { data }] of model.weights) assertEquals(read.weights.get(name)!.data, data);

    const { metadata } = await readSafetensors(path);
    const { arch, format, block, stem, strides, expansion, imageSize } = metadata;
    assertEquals(
      { arch, format, block, stem, strides, expansion, imageSize, mean: metadata.mean },
      {
        arch: "8-8.6.16-1.2.1",
        format: "scion-model-2",
        block: "basic",
        stem: "3x3",
        strides: "[1,2,2]",
        expansion: "1",
        imageSize: "24",
        mean: "[0.485,0.456,0.406]",
      },
    );
    const encoder = livelyEncoder(gpu, basicSpace);
    const { network } = encoder;
    const architecture = network.space.resolve(arch);
    assertEquals(modelCosts(read), {
      macs: macs(network, architecture, 24),
      params: parameters(network, architecture),
    });
    assertEquals(metadata.macs, String(macs(network, architecture, 24)));

    const images = { shape: [1, 3, 24, 24], data: randomValues(3 * 24 * 24, 8) };
    const opened = await openModel(gpu, path);
    const found = await evaluateFeatures(opened.encoder, opened.network.space.max, images);
    const expected = await evaluateFeatures(encoder, architecture, images);
    assertEquals(found.get("features"), expected.get("features"));
  });
});

gpuTest(
  "a model file says how photos become its input, and gives another resize than the usual back",
  async (gpu) => {
    await withFolder(async (folder) => {
      const path = `${folder}/model.safetensors`;
      const model = await extracted(gpu, "min");
      await writeModel(path, model);
      const { metadata, tensors } = await readSafetensors(path);
      const described = JSON.parse(metadata.preprocessing);
      assertEquals([described.resize, described.centerCrop], [27, 24]);
      for (const key of ["filter", "smallImages", "orientation", "transparency", "colour", "values"]) {
        assert(described[key].length > 5, key);
      }
      await writeModel(path, { ...model, input: { ...model.input, resize: 24 } });
      assertEquals((await readModel(path)).input, { ...model.input, resize: 24 });
      const { preprocessing: _, ...older } = metadata;
      await writeSafetensors(path, tensors, older);
      assertEquals((await readModel(path)).input, model.input);
    });
  },
);

gpuTest("statistics that were not recalibrated are said to be none", async (gpu) => {
  await withFolder(async (folder) => {
    const path = `${folder}/model.safetensors`;
    await writeModel(path, await extracted(gpu, "min"));
    assertEquals((await readSafetensors(path)).metadata.calibration, "none");
    assertEquals((await readModel(path)).calibration, undefined);
  });
});

gpuTest("files that are no sound model are refused with a reason", async (gpu) => {
  await withFolder(async (folder) => {
    const path = `${folder}/model.safetensors`;
    await writeModel(path, await extracted(gpu, "min"));
    const { tensors, metadata } = await readSafetensors(path);
    const refused = async (message: string, changed: {
      metadata?: Record<string, string>;
      tensors?: (map: Map<string, TensorData>) => void;
    }) => {
      const other = `${folder}/other.safetensors`;
      const map = new Map(tensors);
      changed.tensors?.(map);
      await writeSafetensors(other, map, changed.metadata ?? metadata);
      await assertRejects(() => readModel(other), DataError, message);
    };
    await refused("is not an extracted model", { metadata: {} });
    await refused("is not an extracted model", { metadata: { format: "pt" } });
    await refused("is a checkpoint", { metadata: { format: "1", step: "5", config: "{}" } });
    await refused("has model format scion-model-3", { metadata: { ...metadata, format: "scion-model-3" } });
    await refused('metadata "mean" is "0.5"', { metadata: { ...metadata, mean: "0.5" } });
    await refused('metadata "std" is "red" (is not JSON)', { metadata: { ...metadata, std: "red" } });
    await refused('metadata "preprocessing" is "{}"', { metadata: { ...metadata, preprocessing: "{}" } });
    await refused("resize images to 20 and cut 24 out", {
      metadata: { ...metadata, preprocessing: '{"resize":20}' },
    });
    await refused('metadata "calibration" is "some"', { metadata: { ...metadata, calibration: "some" } });
    await refused('"64" is not an architecture id', { metadata: { ...metadata, arch: "64" } });
    await refused("expected F32 [8, 3, 3, 3]", { metadata: { ...metadata, arch: "8-4.6.16-1.1.1" } });
    await refused('has no tensor "layer1.1.conv1.weight"', {
      metadata: { ...metadata, arch: "4-4.6.16-2.1.1" },
    });
    await refused("an identity does not fit stage 2", {
      tensors: (map) => map.delete("layer2.0.downsample.0.weight"),
    });
    await refused('tensor "fc.weight" is not part of the architecture 4-4.6.16-1.1.1', {
      tensors: (map) => map.set("fc.weight", { dtype: "F32", shape: [1], data: new Float32Array(1) }),
    });

    const bytes = await Deno.readFile(path);
    await Deno.writeFile(path, bytes.subarray(0, bytes.length - 100));
    await assertRejects(() => openModel(gpu, path), DataError, "is truncated");
    await assertRejects(
      () => openModel(gpu, `${folder}/none.safetensors`),
      DataError,
      "there is no such file",
    );
  });
});
