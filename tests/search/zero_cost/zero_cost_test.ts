import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { SearchSpace, type SpaceDefinition } from "../../../src/elastic/search_space.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import { Encoder } from "../../../src/nn/encoder.ts";
import type { Network } from "../../../src/nn/network.ts";
import { ElasticResNet } from "../../../src/nn/resnet.ts";
import { logDeterminant } from "../../../src/search/zero_cost/log_determinant.ts";
import { fittingImages, naswot } from "../../../src/search/zero_cost/naswot.ts";
import { synflow } from "../../../src/search/zero_cost/synflow.ts";
import { scoreUntrained } from "../../../src/search/zero_cost/zero_cost.ts";
import { readSafetensors } from "../../../src/store/safetensors.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { gpuTest, randomValues } from "../../helpers.ts";
import { elasticVgg } from "../../nn/vgg.ts";
import { type FeatureMap, pooledSum, readKernels, runReference } from "./reference.ts";

const basic: SpaceDefinition = {
  block: "basic",
  stem: { kind: "3x3", widths: [4] },
  widths: [[4, 6], [8]],
  depths: [[1, 2], [1]],
  strides: [1, 2],
};
const bottleneck: SpaceDefinition = {
  block: "bottleneck",
  stem: { kind: "7x7", widths: [4] },
  widths: [[4], [6]],
  depths: [[1], [1]],
  strides: [1, 2],
};
const resnet = (definition: SpaceDefinition) => new ElasticResNet(new SearchSpace(definition));
const networks = (): [string, Network][] => [
  ["basic blocks", resnet(basic)],
  ["bottlenecks and a max-pool", resnet(bottleneck)],
  ["a network that is no ResNet", elasticVgg()],
];

/** The largest architecture with random weights and gradients. */
async function largest(gpu: Gpu, network: Network, seed: number): Promise<Encoder> {
  const encoder = new Encoder(gpu, network.cut(network.space.max) as Network, undefined, true);
  await encoder.initialise(seed, { head: "kaiming", lastBatchnorm: 1 });
  return encoder;
}

/** Random images, as the reference and as the device see them. */
function randomImages(gpu: Gpu, images: number, side: number): { host: FeatureMap; device: Tensor } {
  const values = randomValues(images * 3 * side * side, 4);
  const shape = [images, 3, side, side];
  return { host: { shape, data: Float64Array.from(values) }, device: Tensor.from(gpu, values, shape) };
}

/** Codes of images by their float64 sums, and how near the nearest of these is to where its ReLU turns. */
async function referenceKernel(encoder: Encoder, images: FeatureMap) {
  const [count] = images.shape;
  const kernel = new Float64Array(count * count);
  let nearest = Infinity;
  runReference(encoder, images, {
    kernels: await readKernels(encoder),
    normalise: true,
    onRectified({ data }) {
      const length = data.length / count;
      nearest = data.reduce((least, value) => Math.min(least, Math.abs(value)), nearest);
      for (let pair = 0; pair < kernel.length; pair++) {
        const [one, other] = [Math.floor(pair / count), pair % count].map((at) => at * length);
        for (let at = 0; at < length; at++) {
          kernel[pair] += Number((data[one + at] > 0) === (data[other + at] > 0));
        }
      }
    },
  });
  return { kernel, nearest };
}

/** Σ |θ ∂R/∂θ| of a network that is linear in each of its convolutions: for each, R less R without it. */
async function referenceSynflow(encoder: Encoder, side: number): Promise<number> {
  const kernels = new Map(
    [...await readKernels(encoder)].map(([name, { shape, data }]) =>
      [name, { shape, data: data.map(Math.abs) }] as const
    ),
  );
  const image = { shape: [1, 3, side, side], data: new Float64Array(3 * side * side).fill(1) };
  const result = (kernels: ReadonlyMap<string, { shape: readonly number[]; data: Float64Array }>) =>
    pooledSum(runReference(encoder, image, { kernels, normalise: false }));
  const whole = result(kernels);
  return [...kernels].reduce((sum, [name, { shape, data }]) => {
    const without = new Map(kernels).set(name, { shape, data: new Float64Array(data.length) });
    return sum + whole - result(without);
  }, 0);
}

gpuTest("NASWOT is the log-determinant of the Hamming kernel of float64 codes", async (gpu) => {
  for (const [name, network] of networks()) {
    using encoder = await largest(gpu, network, 7);
    const { host, device } = randomImages(gpu, 6, 16);
    const { kernel, nearest } = await referenceKernel(encoder, host);
    const [found] = await naswot([encoder], encoder.network.space.max, device);
    device.release();
    assert(nearest > 1e-6, `${name}: a ReLU turns within rounding (${nearest}); take another seed`);
    assertAlmostEquals(found, logDeterminant(kernel, 6), 1e-9, name);
  }
});

gpuTest("NASWOT does not change with the scale of the weights, and equal images count once", async (gpu) => {
  using encoder = await largest(gpu, resnet(basic), 1);
  const { max } = encoder.network.space;
  const values = randomValues(5 * 3 * 256, 4);
  const score = async (images: readonly number[]) => {
    const chosen = Float32Array.from(images.flatMap((at) => [...values.subarray(at * 768, (at + 1) * 768)]));
    using tensor = Tensor.from(gpu, chosen, [images.length, 3, 16, 16]);
    return (await naswot([encoder], max, tensor))[0];
  };
  const once = await score([0, 1, 2, 3]);
  for (const [, tensor] of encoder.weights.values.entries()) {
    if (tensor.shape.length === 4) tensor.write((await tensor.read()).map((value) => 1024 * value));
  }
  assertAlmostEquals(await score([0, 1, 2, 3]), once, 1e-2);
  // Twice all images leave the batch's statistics as they are.
  assertAlmostEquals(await score([0, 1, 2, 3, 0, 1, 2, 3]), await score([0, 1, 2, 3]), 1e-9);
});

gpuTest("SynFlow is the sum that a float64 network has", async (gpu) => {
  for (const [name, network] of networks()) {
    using encoder = await largest(gpu, network, 3);
    const expected = Math.log(await referenceSynflow(encoder, 16));
    const [found] = await synflow([encoder], encoder.network.space.max, 16);
    assertAlmostEquals(found, expected, 1e-5, name);
  }
});

gpuTest("both are what PyTorch has with the published formulas, also beyond float32", async (gpu) => {
  const path = new URL("../../golden/zero_cost.safetensors", import.meta.url).pathname;
  const { tensors, metadata } = await readSafetensors(path);
  const get = (name: string) => Tensor.from(gpu, tensors.get(name)!.data as Float32Array<ArrayBuffer>);
  let largestSum = -Infinity;
  for (const { name, block, stem, widths, depths, strides, ...expected } of JSON.parse(metadata.cases)) {
    const network = resnet({
      block,
      stem: { kind: "3x3", widths: [stem] },
      widths: widths.map((width: number) => [width]),
      depths: depths.map((depth: number) => [depth]),
      strides,
    });
    using encoder = await largest(gpu, network, 0);
    for (const [parameter, tensor] of encoder.weights.values.entries()) {
      if (tensor.shape.length < 4) continue;
      using value = get(`${name}.${parameter}`);
      gpu.stream.copy(value, tensor);
    }
    using images = get(`${name}.images`);
    const { max } = network.space;
    const [rectified] = await naswot([encoder], max, images.view(tensors.get(`${name}.images`)!.shape));
    assertAlmostEquals(rectified, expected.naswot, 1e-9, name);
    const [flow] = await synflow([encoder], max, 16);
    assertAlmostEquals(flow, expected.synflow, 1e-6 * expected.synflow, name);
    largestSum = Math.max(largestSum, flow);
  }
  assert(largestSum > Math.log(3.5e38));
});

gpuTest("SynFlow stays finite and exact where the sum is beyond float32, and below it", async (gpu) => {
  using encoder = await largest(gpu, resnet(basic), 3);
  const { max } = encoder.network.space;
  const convolutions = [...encoder.weights.values.entries()].filter(([, { shape }]) => shape.length === 4);
  const scaled = async (factor: number) => {
    for (const [, tensor] of convolutions) {
      tensor.write((await tensor.read()).map((value) => factor * value));
    }
    const expected = await referenceSynflow(encoder, 16);
    const [found] = await synflow([encoder], max, 16);
    assertAlmostEquals(found, Math.log(expected), 1e-5 * Math.abs(Math.log(expected)));
    return expected;
  };
  assert(await scaled(2 ** 28) > 3.5e38);
  assert(await scaled(2 ** -100) < 1e-38);
});

gpuTest(
  "untrained scores are the same for the same seed, others for another, and need no trained network",
  async (gpu) => {
    const network = resnet(basic);
    const { space } = network;
    const { device } = randomImages(gpu, 8, 16);
    const small = await scoreUntrained(gpu, network, space.min, device, 1);
    assertEquals(Object.keys(small), ["naswot", "synflow"]);
    assertEquals(await scoreUntrained(gpu, network, space.min, device, 1), small);
    const other = await scoreUntrained(gpu, network, space.min, device, 2);
    assert(other.naswot !== small.naswot && other.synflow !== small.synflow);
    const large = await scoreUntrained(gpu, network, space.max, device, 1);
    assert(large.naswot > small.naswot && large.synflow > small.synflow);
    device.release();
  },
);

gpuTest("a mini-batch has no more images than feature maps fit into a buffer", (gpu) => {
  const network = resnet(basic);
  assertEquals(fittingImages(gpu, network, 16, 64), 64);
  const side = 2048, map = 4 * 6 * side ** 2;
  assertEquals(fittingImages(gpu, network, side, 1e9), Math.max(2, Math.floor(gpu.pool.limit / map)));
  return Promise.resolve();
});
