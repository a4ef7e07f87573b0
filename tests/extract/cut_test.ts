import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConfigurationError, ShapeError } from "../../src/errors.ts";
import { cutSubnet } from "../../src/extract/cut.ts";
import { extractSubnet } from "../../src/extract/extract.ts";
import { uploadModel } from "../../src/extract/model_file.ts";
import { Statistics } from "../../src/nn/weights.ts";
import { parseArchitecture } from "../../src/elastic/resnet_architecture.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { elements } from "../../src/shape.ts";
import { assertClose, gpuTest, randomTensor, randomValues } from "../helpers.ts";
import { basicSpace, bottleneckSpace, evaluateFeatures, livelyEncoder } from "./encoders.ts";

const input = {
  imageSize: 32,
  mean: [0.5, 0.4, 0.3] as [number, number, number],
  std: [0.2, 0.3, 0.4] as [number, number, number],
};
const images = { shape: [2, 3, 32, 32], data: randomValues(2 * 3 * 32 * 32, 5) };

gpuTest("a cut holds the leading channels of the first blocks under torchvision's names", async (gpu) => {
  const encoder = livelyEncoder(gpu, bottleneckSpace);
  const statistics = new Statistics(gpu, encoder.shapes);
  statistics.reset();
  const cut = await cutSubnet(encoder, parseArchitecture("6-4.6.12.12-1.2.1.1"), statistics);
  assertEquals(cut.get("conv1.weight")!.shape, [6, 3, 7, 7]);
  assertEquals(cut.get("layer2.0.conv1.weight")!.shape, [6, 16, 1, 1]);
  assertEquals(cut.get("layer2.0.downsample.0.weight")!.shape, [24, 16, 1, 1]);
  assertEquals(cut.get("layer2.1.conv2.weight")!.shape, [6, 6, 3, 3]);
  assertEquals(cut.get("layer3.0.bn3.running_var")!.shape, [48]);
  assert(!cut.has("layer1.1.conv1.weight") && !cut.has("layer2.2.conv1.weight"));
  assert(![...cut.keys()].some((name) => name.startsWith("fc.")));
  // The stem, and five blocks of three layers, of which four project.
  assertEquals(cut.size, 5 * (1 + 5 * 3 + 4));

  const name = "layer2.1.conv2.weight";
  const stored = encoder.weights.values.get(name);
  const values = await stored.read();
  const found = cut.get(name)!;
  const [, storedIn, height, width] = stored.shape;
  let index = 0;
  for (let out = 0; out < found.shape[0]; out++) {
    for (let channel = 0; channel < found.shape[1]; channel++) {
      const start = (out * storedIn + channel) * height * width;
      const kernel = values.subarray(start, start + height * width);
      assertEquals(found.data.subarray(index, index += height * width), kernel);
    }
  }
  // The statistics are those that were given, not the encoder's own.
  assert(cut.get("layer3.0.bn3.running_var")!.data.every((value) => value === 1));
  for (const { shape, data } of cut.values()) assertEquals(data.length, elements(shape));

  await assertRejects(
    () => cutSubnet(encoder, parseArchitecture("6-4.6.12.10-1.2.1.1"), encoder.statistics),
    ConfigurationError,
    "stage 4 width 10",
  );
});

for (const [kind, definition] of Object.entries({ bottleneck: bottleneckSpace, basic: basicSpace })) {
  gpuTest(`an extracted model of ${kind} blocks gives the subnet's feature maps`, async (gpu) => {
    const encoder = livelyEncoder(gpu, definition);
    const { space } = encoder.network;
    const inner = kind === "basic" ? "8-8.6.16-1.2.1" : "middle";
    for (const text of ["max", "min", inner]) {
      const architecture = space.resolve(text);
      const model = uploadModel(gpu, await extractSubnet(encoder, architecture, input, undefined));
      assertEquals(model.network.space.max, architecture);
      const expected = await evaluateFeatures(encoder, architecture, images);
      const found = await evaluateFeatures(model.encoder, model.network.space.max, images);
      assertEquals([...found.keys()], [...expected.keys()]);
      for (const [name, { shape, data }] of expected) {
        assertEquals(found.get(name)!.shape, shape);
        assert(data.some((value) => value !== 0));
        assertClose(found.get(name)!.data, data, 1e-6, `${text} ${name}`);
      }
      model.encoder.release();
    }
  });
}

gpuTest("an extracted model has no projection", async (gpu) => {
  const encoder = livelyEncoder(gpu, basicSpace);
  const model = uploadModel(gpu, await extractSubnet(encoder, encoder.network.space.min, input, undefined));
  const tape = new Tape(gpu, false);
  const pooled = randomTensor(gpu, [1, 16], 1);
  const pass = model.encoder.pass({ tape, training: false, batchnormGroups: 1 });
  assertThrows(() => model.encoder.project(pass, pooled), ShapeError, "without a head");
});

gpuTest("calibration takes the statistics from the images and leaves the encoder's alone", async (gpu) => {
  const encoder = livelyEncoder(gpu, basicSpace);
  const architecture = encoder.network.space.min;
  const before = await encoder.statistics.of("bn1").mean.read();
  const used = gpu.pool.use.used;
  const model = await extractSubnet(encoder, architecture, input, {
    images: 6,
    source: "tensor:six.safetensors",
    batches: () => [randomTensor(gpu, [4, 3, 16, 16], 2), randomTensor(gpu, [2, 3, 16, 16], 3)],
  });
  assertEquals(gpu.pool.use.used, used);
  assertEquals(model.calibration, { images: 6, source: "tensor:six.safetensors" });
  assertEquals(await encoder.statistics.of("bn1").mean.read(), before);

  // Mean of the stem's convolution over all six images, computed here.
  const weight = model.weights.get("conv1.weight")!;
  const batches = [{ images: 4, seed: 2 }, { images: 2, seed: 3 }];
  const expected = new Float64Array(weight.shape[0]);
  for (const batch of batches) {
    const values = randomValues(batch.images * 3 * 256, batch.seed);
    for (let out = 0; out < expected.length; out++) {
      expected[out] += summedConvolution(
        values,
        batch.images,
        weight.data.subarray(out * 27, (out + 1) * 27),
      );
    }
  }
  const mean = model.weights.get("bn1.running_mean")!.data;
  assertClose(mean, expected.map((sum) => sum / (6 * 256)), 1e-4, "bn1.running_mean");
});

/** Sum over images and positions of a 3x3 convolution, padded by one, of [N, 3, 16, 16]. */
function summedConvolution(values: Float32Array, images: number, kernel: Float32Array): number {
  let sum = 0;
  for (let plane = 0; plane < 3 * images; plane++) {
    for (let tap = 0; tap < 9; tap++) {
      const down = Math.floor(tap / 3) - 1, right = tap % 3 - 1;
      for (let y = Math.max(0, down); y < Math.min(16, 16 + down); y++) {
        for (let x = Math.max(0, right); x < Math.min(16, 16 + right); x++) {
          sum += values[plane * 256 + y * 16 + x] * kernel[(plane % 3) * 9 + tap];
        }
      }
    }
  }
  return sum;
}
