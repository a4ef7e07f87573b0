import { assertEquals } from "@std/assert";
import { extractSubnet } from "../../src/extract/extract.ts";
import { describeOnnx } from "../../src/extract/onnx_model.ts";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { foldBatchnorm } from "../../src/nn/onnx_graph.ts";
import { assertClose, gpuTest, randomValues } from "../helpers.ts";
import type { TensorOf } from "../../src/store/safetensors.ts";
import { assertSound } from "../nn/sound_graph.ts";
import { basicSpace, bottleneckSpace, livelyEncoder } from "./encoders.ts";

const input = {
  imageSize: 32,
  mean: [0, 0, 0] as [number, number, number],
  std: [1, 1, 1] as [number, number, number],
};

Deno.test("a folded convolution is the convolution followed by batchnorm", () => {
  const tensor = (shape: number[], data: Float32Array): TensorOf<"F32"> => ({ dtype: "F32", shape, data });
  const weights = new Map([
    ["conv.weight", tensor([3, 2, 1, 1], randomValues(6, 1))],
    ["bn.weight", tensor([3], randomValues(3, 2))],
    ["bn.bias", tensor([3], randomValues(3, 3))],
    ["bn.running_mean", tensor([3], randomValues(3, 4))],
    ["bn.running_var", tensor([3], Float32Array.of(0.5, 1e-7, 100))],
  ]);
  const { weight, bias } = foldBatchnorm(weights, "conv", "bn");
  const of = (name: string) => weights.get(name)!.data;
  const pixel = [0.7, -1.3];
  const found: number[] = [], expected: number[] = [];
  for (let channel = 0; channel < 3; channel++) {
    const convolve = (kernel: Float32Array) =>
      kernel[2 * channel] * pixel[0] + kernel[2 * channel + 1] * pixel[1];
    found.push(convolve(weight) + bias[channel]);
    const normalised = (convolve(of("conv.weight")) - of("bn.running_mean")[channel]) /
      Math.sqrt(of("bn.running_var")[channel] + 1e-5);
    expected.push(normalised * of("bn.weight")[channel] + of("bn.bias")[channel]);
  }
  for (let channel = 0; channel < 3; channel++) {
    assertClose([found[channel]], [expected[channel]], 1e-6, `channel ${channel}`);
  }
  assertEquals(of("conv.weight"), randomValues(6, 1));
});

for (const [kind, definition] of Object.entries({ bottleneck: bottleneckSpace, basic: basicSpace })) {
  gpuTest(`the graph of a model of ${kind} blocks is sound`, async (gpu) => {
    const encoder = livelyEncoder(gpu, definition);
    const architecture = new SearchSpace(definition).max;
    const model = await extractSubnet(encoder, architecture, input, undefined);
    const described = describeOnnx(model);
    assertSound(described);
    const { graph, opset, irVersion, metadata } = described;
    assertEquals([opset, irVersion], [17, 8]);
    assertEquals(metadata.calibration, "none");
    assertEquals(JSON.parse(metadata.preprocessing).resize, 37);

    const stages = definition.widths.length;
    assertEquals(graph.outputs.map(({ name }) => name), [
      ...Array.from({ length: stages }, (_, stage) => `c${stage + 2}`),
      "features",
    ]);
    const blocks = architecture.depths.reduce((sum, depth) => sum + depth, 0);
    const count = (operator: string) => graph.nodes.filter((node) => node.operator === operator).length;
    assertEquals(count("Conv"), 1 + blocks * (kind === "basic" ? 2 : 3) + stages);
    assertEquals(count("Add"), blocks);
    assertEquals(count("MaxPool"), kind === "basic" ? 0 : 1);
    assertEquals(count("BatchNormalization"), 0);
    const width = architecture.widths[stages - 1] * (kind === "basic" ? 1 : 4);
    assertEquals(graph.outputs.at(-1)!.shape, ["N", width]);
  });
}
