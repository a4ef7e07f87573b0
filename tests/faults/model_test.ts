/** Extracted models that are not what was written, or not finite. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import { extractSubnet } from "../../src/extract/extract.ts";
import { openModel, readModel, writeModel } from "../../src/extract/model_file.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { basicSpace, livelyEncoder } from "../extract/encoders.ts";
import { gpuTest, randomTensor } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";
import { rewrite } from "./run_files.ts";

const input = {
  imageSize: 16,
  mean: [0.5, 0.5, 0.5] as [number, number, number],
  std: [1, 1, 1] as [number, number, number],
};

gpuTest(
  "a model that is not finite is refused, and the tensor is named",
  (gpu) =>
    withFolder(async (folder) => {
      const encoder = livelyEncoder(gpu, basicSpace);
      const model = await extractSubnet(encoder, encoder.network.space.max, input, undefined);
      for (const [name, value] of [["layer2.0.bn1.running_var", Infinity], ["conv1.weight", NaN]] as const) {
        const path = `${folder}/${name}.safetensors`;
        await writeModel(path, model);
        await rewrite(path, (_, tensors) => (tensors.get(name)!.data as Float32Array)[1] = value);
        await assertRejects(() => openModel(gpu, path), DataError, `${name} is not finite`);
      }
    }),
);

gpuTest("images that give no finite statistics are refused before anything is cut out", async (gpu) => {
  const encoder = livelyEncoder(gpu, basicSpace);
  const images = randomTensor(gpu, [4, 3, 16, 16], 1);
  const values = await images.read();
  values[700] = Infinity;
  await assertRejects(
    () =>
      extractSubnet(encoder, encoder.network.space.max, input, {
        images: 4,
        source: "tensor:x",
        batches: () => [Tensor.from(gpu, values, [4, 3, 16, 16])],
      }),
    DataError,
    "The batchnorm statistics of tensor:x cannot be used: bn1.running_mean",
  );
});

gpuTest(
  "a model without a checksum: of this version damaged, of an older one read with a warning",
  (gpu) =>
    withFolder(async (folder) => {
      const encoder = livelyEncoder(gpu, basicSpace);
      const model = await extractSubnet(encoder, encoder.network.space.min, input, undefined);
      const path = `${folder}/model.safetensors`;
      await writeModel(path, model);
      const bytes = await Deno.readFile(path);
      const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
      const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
      delete header.__metadata__["scion.sha256"];
      const warnings: string[] = [];
      const read = async (format: string) => {
        header.__metadata__.format = format;
        bytes.set(new TextEncoder().encode(JSON.stringify(header).padEnd(length)), 8);
        await Deno.writeFile(path, bytes);
        return await readModel(path, (text) => warnings.push(text));
      };
      await assertRejects(() => read("scion-model-2"), DataError, "its checksum is missing");
      assertEquals(warnings, []);
      assert((await read("scion-model-1")).weights.size > 0);
      assertStringIncludes(warnings[0], "has no checksum");
    }),
);
