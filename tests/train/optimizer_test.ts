/** SGD over an arena: groups, clipping, and the same bits as one launch where all parameters are alike. */
import { assertEquals, assertThrows } from "@std/assert";
import { ConfigurationError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { Weights } from "../../src/nn/weights.ts";
import { Sgd, type SgdOptions } from "../../src/train/optimizer.ts";
import { gradientScale } from "../../src/tensor/ops/clip.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, gpuTest, randomValues } from "../helpers.ts";

const shapes = new Map([["stem.weight", [5, 3, 3, 3]], ["stem.bias", [5]], ["fc.weight", [7, 40]], [
  "fc.bias",
  [
    7,
  ],
]]);
const plain: SgdOptions = { momentum: 0.9, weightDecay: 0.01, groups: [], clipNorm: 0 };

/** Weights with values and gradients drawn by name. */
function drawnWeights(gpu: Gpu): Weights {
  const weights = new Weights(gpu, { parameters: shapes, statistics: new Map() }, true);
  for (const [index, [name, tensor]] of [...weights.values.entries()].entries()) {
    tensor.write(randomValues(tensor.length, index + 1));
    weights.gradients!.get(name).write(randomValues(tensor.length, index + 11));
  }
  return weights;
}

/** What two updates make of the weights, in float64, by `torch.optim.SGD`'s formula. */
function expected(name: string, index: number, rate: number, decay: number, factor = 1): Float64Array {
  const length = shapes.get(name)!.reduce((product, size) => product * size, 1);
  const value = Float64Array.from(randomValues(length, index + 1));
  const gradient = randomValues(length, index + 11);
  const velocity = new Float64Array(length);
  for (let step = 0; step < 2; step++) {
    value.forEach((weight, at) => {
      velocity[at] = 0.9 * velocity[at] + factor * gradient[at] + decay * weight;
      value[at] = weight - rate * velocity[at];
    });
  }
  return value;
}

async function update(gpu: Gpu, options: SgdOptions): Promise<Weights> {
  const weights = drawnWeights(gpu);
  using optimizer = new Sgd(gpu, weights, "net", options);
  for (let step = 0; step < 2; step++) optimizer.update(0.1);
  await gpu.finish();
  return weights;
}

gpuTest("groups have their own rate and decay, or are left alone", async (gpu) => {
  const weights = await update(gpu, {
    ...plain,
    groups: [
      { match: "^stem\\.bias$", learningRateFactor: 1, frozen: true },
      { match: "bias$", learningRateFactor: 2, weightDecay: 0, frozen: false },
      { match: "^fc\\.", learningRateFactor: 0.5, frozen: false },
    ],
  });
  const wanted: Record<string, [rate: number, decay: number]> = {
    "stem.weight": [0.1, 0.01],
    "stem.bias": [0, 0],
    "fc.weight": [0.05, 0.01],
    "fc.bias": [0.2, 0],
  };
  for (const [index, [name, tensor]] of [...weights.values.entries()].entries()) {
    assertClose(await tensor.read(), expected(name, index, ...wanted[name]), 1e-6, name);
  }
});

gpuTest("alike parameters are updated in one launch", async (gpu) => {
  const weights = drawnWeights(gpu);
  using optimizer = new Sgd(gpu, weights, "net", plain);
  const before = gpu.stream.dispatches;
  optimizer.update(0.1);
  assertEquals(gpu.stream.dispatches - before, weights.values.chunks.length);
  await gpu.finish();
});

gpuTest("gradients longer than the limit are shortened together, shorter ones left", async (gpu) => {
  let square = 0;
  [...shapes.values()].forEach((shape, index) => {
    const length = shape.reduce((product, size) => product * size, 1);
    square += randomValues(length, index + 11).reduce((sum, value) => sum + value * value, 0);
  });
  const norm = Math.sqrt(square);
  for (const limit of [norm / 3, 2 * norm]) {
    const factor = Math.min(1, limit / (norm + 1e-6));
    const weights = await update(gpu, { ...plain, clipNorm: limit });
    for (const [index, [name, tensor]] of [...weights.values.entries()].entries()) {
      assertClose(await tensor.read(), expected(name, index, 0.1, 0.01, factor), 1e-6, `${name}, ${limit}`);
    }
  }
});

gpuTest("the norm of a million gradients, and of one that is not finite", async (gpu) => {
  const values = randomValues(2 ** 20, 1);
  using gradients = Tensor.from(gpu, values);
  using more = Tensor.from(gpu, randomValues(64, 2));
  const square = [...values, ...randomValues(64, 2)].reduce((sum, value) => sum + value * value, 0);
  const factor = await gradientScale(gpu, [gradients, more], 1).read();
  assertClose(factor, [1 / Math.sqrt(square)], 1e-6, "factor");
  values[77] = NaN;
  using broken = Tensor.from(gpu, values);
  assertEquals(await gradientScale(gpu, [broken], 1).read(), Float32Array.of(NaN));
});

gpuTest("a group that names nothing is refused", (gpu) => {
  const weights = drawnWeights(gpu);
  const group = { learningRateFactor: 1, frozen: false };
  for (const [match, message] of [["^head", "names none of 4 parameters"], ["(", "no regular expression"]]) {
    assertThrows(
      () => new Sgd(gpu, weights, "net", { ...plain, groups: [{ ...group, match }] }),
      ConfigurationError,
      message,
    );
  }
  return Promise.resolve();
});
