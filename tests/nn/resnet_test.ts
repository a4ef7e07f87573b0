import { assertEquals, assertThrows } from "@std/assert";
import { choicesBySegment, tapNames, tapShapes, unitsOf } from "../../src/elastic/network.ts";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { traceUnit } from "../../src/elastic/unit.ts";
import { ConfigurationError, ShapeError } from "../../src/errors.ts";
import { extractSubnet } from "../../src/extract/extract.ts";
import { readModel, writeModel } from "../../src/extract/model_file.ts";
import { describeOnnx } from "../../src/extract/onnx_model.ts";
import { Encoder } from "../../src/nn/encoder.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { purpose, Random } from "../../src/random.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { published } from "../elastic/spaces.ts";
import { basicSpace, bottleneckSpace, evaluateFeatures, livelyEncoder } from "../extract/encoders.ts";
import { assertClose, gpuTest, randomTensor, randomValues } from "../helpers.ts";

const imagenet = new SearchSpace(published);

function sides(network: ElasticResNet, imageSize: number): number[] {
  return [...tapShapes(network, network.space.max, imageSize).values()].map(([, , height]) => height);
}

Deno.test("stages are segments, whose taps are c2, c3, …", () => {
  const network = new ElasticResNet(imagenet);
  assertEquals(tapNames(network), ["c2", "c3", "c4", "c5"]);
  const r50 = imagenet.resolve("r50");
  assertEquals(choicesBySegment(network, r50), [[64], [64, 3], [128, 4], [256, 6], [512, 3]]);
  const units = unitsOf(network, r50);
  assertEquals(units.length, 1 + 3 + 4 + 6 + 3);
  assertEquals(units.filter(({ tap }) => tap !== undefined).map(({ tap, unit }) => [tap, unit.key]), [
    ["c2", "layer1.2 64"],
    ["c3", "layer2.3 128"],
    ["c4", "layer3.5 256"],
    ["c5", "layer4.2 512"],
  ]);
});

Deno.test("units of equal keys have the same layers with the same weights", () => {
  for (const definition of [published, bottleneckSpace, basicSpace]) {
    const network = new ElasticResNet(new SearchSpace(definition));
    const random = new Random(1, purpose.test);
    const known = new Map<string, string>();
    for (let draw = 0; draw < 40; draw++) {
      for (const { unit } of unitsOf(network, network.space.sampleUniform(random))) {
        const { calls, output } = traceUnit(unit, [1, 24, 32, 32]);
        const layers = calls.map(({ layer, inputs }) => layer.parameters(...inputs));
        const text = JSON.stringify([layers, output]);
        assertEquals(known.get(unit.key) ?? text, text, unit.key);
        known.set(unit.key, text);
      }
    }
    assertEquals(new Set(known.values()).size, known.size, "different keys stand for different units");
  }
});

Deno.test("dilated stages keep the size of their maps: output strides 32, 16 and 8", () => {
  const outputStride = (...dilated: boolean[]) =>
    512 / sides(new ElasticResNet(imagenet, { dilated }), 512)[3];
  assertEquals(512 / sides(new ElasticResNet(imagenet), 512)[3], 32);
  assertEquals(outputStride(false, false, false, true), 16);
  assertEquals(outputStride(false, false, true, true), 8);
  assertThrows(
    () => new ElasticResNet(imagenet, { dilated: [true] }),
    ConfigurationError,
    "dilated: describes 1 stages; the network has 4",
  );
});

Deno.test("dilation is torchvision's: a stage's first block keeps the one before, padding follows", () => {
  const network = new ElasticResNet(imagenet, { dilated: [false, false, true, true] });
  const middle = (stage: number, index: number) => {
    const { stride, dilation, padding } = network.block(stage, index, 64).branch[1];
    return { stride, dilation, padding };
  };
  assertEquals(middle(1, 0), { stride: 2, dilation: 1, padding: 1 });
  assertEquals(middle(2, 0), { stride: 1, dilation: 1, padding: 1 });
  assertEquals(middle(2, 1), { stride: 1, dilation: 2, padding: 2 });
  assertEquals(middle(3, 0), { stride: 1, dilation: 2, padding: 2 });
  assertEquals(middle(3, 1), { stride: 1, dilation: 4, padding: 4 });
  assertEquals(network.block(3, 0, 64).downsample!.stride, 1);
});

for (const [kind, definition] of Object.entries({ bottleneck: bottleneckSpace, basic: basicSpace })) {
  gpuTest(
    `a dilated network of ${kind} blocks holds the strided one's maps between its values`,
    async (gpu) => {
      const strided = livelyEncoder(gpu, definition);
      const stages = definition.widths.length;
      const dilated = definition.widths.map((_, stage) => stage >= stages - 2);
      const network = new ElasticResNet(new SearchSpace(definition), { dilated });
      const encoder = new Encoder(gpu, network, strided.head, false);
      encoder.copyFrom(strided);
      const side = kind === "bottleneck" ? 64 : 16;
      const images = { shape: [2, 3, side, side], data: randomValues(6 * side ** 2, 4) };
      for (const architecture of [network.space.max, network.space.min]) {
        const expected = await evaluateFeatures(strided, architecture, images);
        const found = await evaluateFeatures(encoder, architecture, images);
        for (const [name, shape] of tapShapes(network, architecture, side)) {
          const [fine, coarse] = [found.get(name)!, expected.get(name)!];
          assertEquals(fine.shape, [2, ...shape.slice(1)]);
          const step = fine.shape[3] / coarse.shape[3];
          const [, , height, width] = fine.shape;
          const picked = fine.data.filter((_, at) =>
            at % width % step === 0 && Math.floor(at / width) % height % step === 0
          );
          assertClose(picked, coarse.data, 1e-5, name);
        }
        const last = tapNames(network).at(-1)!;
        assertEquals(found.get(last)!.shape[3], 4 * expected.get(last)!.shape[3]);
      }

      const model = await extractSubnet(encoder, network.space.min, {
        imageSize: side,
        mean: [0, 0, 0],
        std: [1, 1, 1],
      }, undefined);
      const path = await Deno.makeTempFile({ suffix: ".safetensors" });
      await writeModel(path, model);
      const read = (await readModel(path)).network as ElasticResNet;
      assertEquals(read.options, { dilated });
      assertEquals(sides(read, side), sides(network, side));
      await Deno.remove(path);
      const dilations = describeOnnx(model).graph.nodes.flatMap(({ attributes }) =>
        attributes.dilations ?? []
      );
      assertEquals(dilations, kind === "bottleneck" ? [2, 2] : [2, 2, 2, 2, 4, 4]);
    },
  );
}

gpuTest("features are asked for by the names of taps", async (gpu) => {
  const encoder = livelyEncoder(gpu, basicSpace);
  const images = randomTensor(gpu, [1, 3, 16, 16], 1);
  const used = gpu.pool.use.used;
  const tape = new Tape(gpu, false);
  const pass = encoder.pass({ tape, training: false, batchnormGroups: 1 });
  const { max } = encoder.network.space;
  const { taps, pooled } = encoder.features(pass, images, max, ["c4", "c2"]);
  assertEquals([...taps].map(([name, { shape }]) => [name, shape]), [
    ["c2", [1, 8, 16, 16]],
    ["c4", [1, 16, 4, 4]],
  ]);
  assertEquals(pooled.shape, [1, 16]);
  assertThrows(
    () => encoder.features(pass, images, max, ["c2", "c9"]),
    ShapeError,
    "no tap 'c9'; it has c2, c3, c4",
  );
  tape.release();
  await gpu.finish();
  assertEquals(gpu.pool.use.used, used);
});
