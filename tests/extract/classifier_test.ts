/** Models with a classifier: files, use, ONNX, loader. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import { extractSubnet } from "../../src/extract/extract.ts";
import type { PlainModel } from "../../src/extract/model.ts";
import { openModel, readModel, uploadModel, writeModel } from "../../src/extract/model_file.ts";
import { describeOnnx, writeOnnxModel } from "../../src/extract/onnx_model.ts";
import { pytorchLoader } from "../../src/extract/pytorch_loader.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { describeOnnxFile } from "../../src/store/onnx/describe.ts";
import { readSafetensors, type TensorData, writeSafetensors } from "../../src/store/safetensors.ts";
import { extractFeatures } from "../../src/evaluate/features.ts";
import { assertClose, gpuTest, randomTensor, randomValues } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";
import { basicSpace, livelyEncoder } from "./encoders.ts";

const classes = ['bees "wild"', "größe", "c"];

async function classifier(gpu: Gpu): Promise<PlainModel> {
  const encoder = livelyEncoder(gpu, basicSpace);
  const input = { imageSize: 24, mean: [0.5, 0.5, 0.5] as const, std: [0.2, 0.2, 0.2] as const };
  const model = await extractSubnet(encoder, encoder.network.space.min, input, undefined);
  encoder.release();
  const weights = new Map(model.weights);
  weights.set("fc.weight", { dtype: "F32", shape: [3, 16], data: randomValues(48, 2) });
  weights.set("fc.bias", { dtype: "F32", shape: [3], data: randomValues(3, 3) });
  return { ...model, classes, weights };
}

gpuTest(
  "a model file gives classes and classifier back; its logits are features times weights",
  async (gpu) => {
    await withFolder(async (folder) => {
      const model = await classifier(gpu);
      const path = `${folder}/model.safetensors`;
      await writeModel(path, model);
      const read = await readModel(path);
      assertEquals(read.classes, classes);
      for (const name of ["fc.weight", "fc.bias"]) {
        assertEquals(read.weights.get(name), model.weights.get(name));
      }

      const opened = await openModel(gpu, path);
      assertEquals(opened.classes, classes);
      const { max } = opened.network.space;
      const batch = () => [randomTensor(gpu, [2, 3, 24, 24], 5)];
      const features = await extractFeatures(opened.encoder, max, "pooled", batch());
      const logits = await extractFeatures(opened.encoder, max, "projection", batch());
      const [weight, bias] = [model.weights.get("fc.weight")!.data, model.weights.get("fc.bias")!.data];
      const expected = Array.from({ length: 6 }, (_, at) => {
        const [row, label] = [Math.floor(at / 3), at % 3];
        let sum = bias[label];
        for (let column = 0; column < 16; column++) {
          sum += features.values[16 * row + column] * weight[16 * label + column];
        }
        return sum;
      });
      assertClose(logits.values, expected, 1e-5, "logits");
      // Without its classifier the features are the same bits.
      const plain = new Map([...model.weights].filter(([name]) => !name.startsWith("fc.")));
      const backbone = uploadModel(gpu, { ...model, classes: undefined, weights: plain });
      assertEquals((await extractFeatures(backbone.encoder, max, "pooled", batch())).values, features.values);
      for (const { encoder } of [opened, backbone]) encoder.release();
    });
  },
);

gpuTest("a classifier that does not fit its classes is refused", async (gpu) => {
  await withFolder(async (folder) => {
    const path = `${folder}/model.safetensors`;
    await writeModel(path, await classifier(gpu));
    const { tensors, metadata } = await readSafetensors(path);
    const refused = async (
      message: string,
      changes: Record<string, string | undefined>,
      without?: string,
    ) => {
      const map = new Map<string, TensorData>(tensors);
      if (without) map.delete(without);
      const changed = Object.entries({ ...metadata, ...changes }).filter(([, value]) => value !== undefined);
      await writeSafetensors(path, map, Object.fromEntries(changed) as Record<string, string>);
      await assertRejects(() => readModel(path), DataError, message);
    };
    await refused("fc.weight", { classes: '["a","b"]' });
    await refused("fc.bias", {}, "fc.bias");
    await refused('its tensor "fc.bias" is not part', { classes: undefined });
    await refused('metadata "classes"', { classes: '["alone"]' });
    await refused('metadata "classes"', { classes: "many" });
  });
});

gpuTest("ONNX has logits beside the features, and the classes", async (gpu) => {
  await withFolder(async (folder) => {
    const model = await classifier(gpu);
    const { graph } = describeOnnx(model);
    const { name, operator, inputs, outputs } = graph.nodes.at(-1)!;
    assertEquals([name, operator, inputs, outputs], ["fc", "Gemm", ["features", "fc.weight", "fc.bias"], [
      "logits",
    ]]);
    assertEquals(graph.outputs.at(-1), { name: "logits", shape: ["N", 3] });
    assertEquals(
      graph.initializers.filter(({ name }) => name.startsWith("fc.")).map(({ shape }) => shape),
      [[3, 16], [3]],
    );
    const path = `${folder}/model.onnx`;
    await writeOnnxModel(path, model);
    const described = await describeOnnxFile(path);
    assertEquals(described.outputs.map(({ name }) => name), ["c2", "c3", "c4", "features", "logits"]);
    assertEquals(described.outputs.at(-1)!.shape, [undefined, 3]);
    assertEquals(JSON.parse(described.metadata.classes), classes);
  });
});

gpuTest("a loader names the classes, and builds the classifier", async (gpu) => {
  const text = pytorchLoader("a.safetensors", await classifier(gpu));
  assertStringIncludes(text, 'CLASSES = ["bees \\"wild\\"", "größe", "c"]');
  assertStringIncludes(text, 'outputs["logits"]');
  const { classes: _, ...plain } = await classifier(gpu);
  const without = pytorchLoader("a.safetensors", plain);
  assertStringIncludes(without, "CLASSES = None");
  assert(!without.includes('outputs["logits"]        '));
});
