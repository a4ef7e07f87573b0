import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DataError, UsageError } from "../../src/errors.ts";
import { openOnnxNetwork } from "../../src/extract/onnx_network.ts";
import type { OnnxFeatureModel } from "../../src/host/onnx_model.ts";
import { gpuTest, randomTensor } from "../helpers.ts";

/** A file that is opened without ONNX Runtime; its features are the sums of the images. */
function model(
  height: number | undefined,
  width: number | undefined,
  metadata: Record<string, string> = {},
): () => Promise<OnnxFeatureModel> {
  return () =>
    Promise.resolve({
      input: { name: "x", height, width },
      batch: undefined,
      dimension: 1,
      output: "y",
      metadata,
      run(images, [count]) {
        const size = images.length / count;
        const sum = (row: number) => images.subarray(row * size, (row + 1) * size).reduce((a, b) => a + b, 0);
        return Promise.resolve({
          features: Float32Array.from({ length: count }, (_, row) => sum(row)),
          dimension: 1,
        });
      },
      release: () => Promise.resolve(),
    });
}

const scion = {
  format: "scion-model-2",
  arch: "8-8.6.16-1.2.1",
  imageSize: "16",
  mean: "[0.5,0.4,0.3]",
  std: "[0.2,0.2,0.2]",
  calibration: '{"images":7,"source":"folder:a"}',
};

gpuTest(
  "an ONNX file's images are those of its metadata, else its input's size and ImageNet's",
  async (gpu) => {
    const opened = async (
      open: ReturnType<typeof model>,
      given: Parameters<typeof openOnnxNetwork>[2] = {},
    ) => {
      const told: string[] = [];
      const network = await openOnnxNetwork(gpu, "dir/m.onnx", given, (text) => void told.push(text), open);
      return { ...network, told };
    };
    const own = await opened(model(undefined, undefined, scion));
    assertEquals(own.input, { imageSize: 16, mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.2] });
    assertEquals([own.name, own.calibration, own.told, own.dimension], [
      "8-8.6.16-1.2.1",
      { images: 7, source: "folder:a" },
      [],
      1,
    ]);
    using images = randomTensor(gpu, [2, 3, 16, 16], 4);
    const values = await images.read();
    const found = await own.features(randomTensor(gpu, [2, 3, 16, 16], 4));
    assertEquals(
      found,
      Float32Array.of(
        values.subarray(0, 768).reduce((a, b) => a + b),
        values.subarray(768).reduce((a, b) => a + b),
      ),
    );

    const other = await opened(model(undefined, undefined));
    const usual = { imageSize: 224, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
    assertEquals([other.input, other.name, other.calibration], [usual, "m.onnx", undefined]);
    assertStringIncludes(
      other.told[0],
      "resized to 256, cropped to 224 x 224, mean 0.485,0.456,0.406, std 0.229,0.224,0.225.",
    );
    assertEquals((await opened(model(96, undefined))).input.imageSize, 96);
    const given = { imageSize: 32, mean: [0, 0, 0], std: [1, 1, 1] } as const;
    const said = await opened(model(undefined, undefined), given);
    assertEquals([said.input, said.told], [{ ...given }, []]);
  },
);

gpuTest("sizes that cannot be are refused", async (gpu) => {
  const open = (given: { imageSize?: number; resize?: number }, of: ReturnType<typeof model>) =>
    openOnnxNetwork(gpu, "m.onnx", given, () => {}, of);
  const any = model(undefined, undefined);
  const resized = { ...scion, preprocessing: '{"resize":20}' };
  assertEquals((await open({}, model(undefined, undefined, resized))).input.resize, 20);
  assertEquals((await open({ imageSize: 64 }, model(undefined, undefined, resized))).input.resize, undefined);
  assertEquals((await open({ resize: 64, imageSize: 64 }, any)).input.resize, 64);
  await assertRejects(() => open({}, model(96, 128)), DataError, "only square ones can be made");
  await assertRejects(
    () => open({ imageSize: 64 }, model(96, 96)),
    UsageError,
    "takes images of 96 x 96 pixels",
  );
  await assertRejects(
    () => open({ imageSize: 64, resize: 60 }, any),
    UsageError,
    "--resize 60 is less than the 64",
  );
  const damaged = model(undefined, undefined, { ...scion, mean: "grey" });
  await assertRejects(() => open({}, damaged), DataError, 'its metadata "mean"');
});
