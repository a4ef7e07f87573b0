/**
 * The other differentiable operations at random shapes against plain loops in float64. Every input has a second consumer,
 * so its gradient is added to one that is already there.
 */
import { assert, assertEquals } from "@std/assert";
import type { Gpu } from "../../src/gpu/device.ts";
import type { Random } from "../../src/random.ts";
import { batchnorm } from "../../src/tensor/ops/batchnorm.ts";
import { add, relu, scale } from "../../src/tensor/ops/elementwise.ts";
import { l2Normalise } from "../../src/tensor/ops/l2_normalise.ts";
import { linear } from "../../src/tensor/ops/linear.ts";
import { globalAveragePool, maxPool } from "../../src/tensor/ops/pool.ts";
import { infoNce, softmaxCrossEntropy } from "../../src/tensor/ops/softmax.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { Shape } from "../../src/shape.ts";
import { assertClose, gpuTest, parameter, randomStreams, randomTensor, randomValues } from "../helpers.ts";
import * as reference from "./reference.ts";
import { consumeTwice } from "./consume_twice.ts";
import { variants } from "./variants.ts";

const otherDevices = { software: false, subgroupLanes: 0 } as const;
const channelCounts = [1, 3, 5, 8, 16, 17, 24];

function imageShape(random: Random): Shape {
  const size = () => random.chance(0.5) ? random.pick([4, 8, 16, 32]) : 1 + random.integer(13);
  return [1 + random.integer(6), random.pick(channelCounts), size(), size()];
}

async function checkBatchnorm(gpu: Gpu, random: Random, seed: number): Promise<void> {
  const training = random.chance(0.7);
  const groups = training ? random.pick([1, 1, 2, 3]) : 1;
  const [perGroup, ...rest] = random.chance(0.15) ? [7, random.pick(channelCounts)] : imageShape(random);
  const shape = [groups * perGroup, ...rest];
  const [images, channels, height = 1, width = 1] = shape;
  // Two elements always normalise to about -1 and 1, so their gradient is what rounding leaves.
  if (perGroup * height * width < 3) return;
  const one = { images, channels, plane: height * width, groups, epsilon: 1e-5, momentum: 0.1, training };
  const stored = channels + random.pick([0, 1, 5]);
  const rectified = random.chance(0.5);
  const input = randomTensor(gpu, shape, seed);
  const residual = random.chance(0.5) ? randomTensor(gpu, shape, seed + 1) : undefined;
  const gradOutput = randomValues(input.length, seed + 2);
  const initial = randomValues(stored, seed + 3);
  const weight = parameter(gpu, "weight", { data: randomValues(stored, seed + 4), shape: [stored] }, initial);
  const bias = parameter(gpu, "bias", { data: randomValues(stored, seed + 5), shape: [stored] }, initial);
  const runningMean = randomValues(stored, seed + 6);
  const runningVariance = randomValues(stored, seed + 7).map((value) => 1.5 + value);
  const running = { mean: Tensor.from(gpu, runningMean), variance: Tensor.from(gpu, runningVariance) };
  const expected = reference.batchnorm(
    one,
    {
      input: randomValues(input.length, seed),
      weight: randomValues(stored, seed + 4),
      bias: randomValues(stored, seed + 5),
      runningMean,
      runningVariance,
      residual: residual && randomValues(input.length, seed + 1),
    },
    rectified,
  );
  const { output, gradients } = await consumeTwice(
    gpu,
    residual ? [input, residual] : [input],
    (result) => Tensor.from(gpu, gradOutput, result.shape),
    (tape) => batchnorm(tape, input, weight, bias, running, { training, groups, residual, relu: rectified }),
  );
  const what = JSON.stringify({ ...one, stored, rectified, residual: residual !== undefined });
  assertClose(output, expected.output, 1e-5, `output of ${what}`);
  // Where the output is rounding's breadth from zero, the device decides which side it is on.
  const gradSum = gradOutput.map((value, index) => rectified && output[index] <= 0 ? 0 : value);
  const wanted = reference.batchnormGradient(
    one,
    expected,
    randomValues(input.length, seed),
    randomValues(stored, seed + 4),
    gradSum,
  );
  assertClose(gradients[0], wanted.input, 1e-4, `gradient of ${what}`);
  if (residual) assertClose(gradients[1], gradSum, 1e-4, `residual's gradient of ${what}`);
  const plusInitial = (gradient: Float64Array) => gradient.map((value, index) => value + initial[index]);
  const read = await gpu.read(weight.gradient!, bias.gradient!, running.mean, running.variance);
  const [gradWeight, gradBias, meanAfter, varianceAfter] = read.map((bytes) => new Float32Array(bytes));
  assertClose(gradWeight, plusInitial(wanted.weight), 1e-4, `weight gradient of ${what}`);
  assertClose(gradBias, plusInitial(wanted.bias), 1e-4, `bias gradient of ${what}`);
  assertClose(meanAfter, expected.runningMean, 1e-5, `running mean of ${what}`);
  assertClose(varianceAfter, expected.runningVariance, 1e-5, `running variance of ${what}`);
  for (const [values, before] of [[gradWeight, initial], [gradBias, initial]] as const) {
    assertEquals(values.subarray(channels), before.subarray(channels), `past the active channels of ${what}`);
  }
  assertEquals(meanAfter.subarray(channels), runningMean.subarray(channels));
  assertEquals(varianceAfter.subarray(channels), runningVariance.subarray(channels));
}

for (const assumed of [undefined, otherDevices]) {
  gpuTest(`batchnorm of random shapes${assumed ? ", split as for other devices" : ""}`, async (gpu) => {
    for (const [index, random] of randomStreams(assumed ? 5 : 4, 40).entries()) {
      await checkBatchnorm(gpu, random, 100 * index);
    }
    const switches = ["false false", "false true", "true false", "true true"];
    assertEquals(variants(gpu, "batchnorm_gradient_sums", "VECTOR", "RELU"), switches);
    assertEquals(variants(gpu, "batchnorm_apply", "RELU", "RESIDUAL"), switches);
    assertEquals(variants(gpu, "batchnorm_statistics", "VECTOR"), ["false", "true"]);
  }, assumed);
}

for (const assumed of [undefined, otherDevices]) {
  gpuTest(
    `linear layers of random shapes${assumed ? ", in the variants for other devices" : ""}`,
    async (gpu) => {
      for (const [index, random] of randomStreams(6, 40).entries()) {
        const rows = random.pick([1, 3, 8, 17, 64, 300]);
        const [features, outputs] = [random.pick(channelCounts), random.pick(channelCounts)].map((size) =>
          random.chance(0.2) ? 8 * size : size
        );
        const stored = features + random.pick([0, 1, 8]);
        const seed = 100 * index;
        const [input, weights, biases] = [rows * features, outputs * stored, outputs].map((length, at) =>
          randomValues(length, seed + at)
        );
        const gradOutput = randomValues(rows * outputs, seed + 5);
        const initial = randomValues(weights.length, seed + 6);
        const weight = parameter(gpu, "weight", { data: weights, shape: [outputs, stored] }, initial);
        const bias = parameter(gpu, "bias", { data: biases, shape: [outputs] });
        const tensor = Tensor.from(gpu, input, [rows, features]);
        const found = await consumeTwice(
          gpu,
          [tensor],
          (result) => Tensor.from(gpu, gradOutput, result.shape),
          (tape) => linear(tape, tensor, weight, bias),
        );
        const output = new Float64Array(rows * outputs);
        const gradInput = new Float64Array(input.length);
        const gradWeight = Float64Array.from(initial);
        const gradBias = new Float64Array(outputs);
        for (let row = 0; row < rows; row++) {
          for (let out = 0; out < outputs; out++) {
            const at = row * outputs + out;
            output[at] = biases[out];
            gradBias[out] += gradOutput[at];
            for (let feature = 0; feature < features; feature++) {
              output[at] += input[row * features + feature] * weights[out * stored + feature];
              gradInput[row * features + feature] += gradOutput[at] * weights[out * stored + feature];
              gradWeight[out * stored + feature] += gradOutput[at] * input[row * features + feature];
            }
          }
        }
        const what = `${rows} rows, ${features} of ${stored} features, ${outputs} outputs`;
        assertClose(found.output, output, 1e-5, `output of ${what}`);
        assertClose(found.gradients[0], gradInput, 1e-4, `gradient of ${what}`);
        const stores = await weight.gradient!.read();
        assertClose(stores, gradWeight, 1e-4, `weight gradient of ${what}`);
        const touched = stores.findIndex((value, at) => at % stored >= features && value !== initial[at]);
        assertEquals(touched, -1, `element outside the active slice of ${what}`);
        assertClose(await bias.gradient!.read(), gradBias, 1e-4, `bias gradient of ${what}`);
      }
      assertEquals(variants(gpu, "convolution", "BIAS"), ["false", "true"]);
    },
    assumed,
  );
}

gpuTest("pooling of random shapes; of equal values the first is the maximum", async (gpu) => {
  for (const [index, random] of randomStreams(7, 40).entries()) {
    const shape = imageShape(random);
    const [images, channels, height, width] = shape;
    const window = random.pick([1, 2, 3, 5]);
    const stride = random.pick([1, 2, 3]);
    const padding = random.integer(Math.floor(window / 2) + 1);
    if (Math.min(height, width) + 2 * padding < window) continue;
    // In every second case few different values, so that windows hold their maximum several times.
    const values = randomValues(images * channels * height * width, index)
      .map((value) => index % 2 ? Math.round(2 * value) : value);
    const tensor = Tensor.from(gpu, values, shape);
    const pool = { planes: images * channels, height, width, window, stride, padding };
    const choices = reference.maxPoolChoices(pool, values);
    const gradOutput = randomValues(choices.length, index + 100);
    const found = await consumeTwice(
      gpu,
      [tensor],
      (result) => Tensor.from(gpu, gradOutput, result.shape),
      (tape) => maxPool(tape, tensor, window, stride, padding),
    );
    const what = JSON.stringify(pool);
    assertEquals([...found.output], choices.map((choice) => values[choice]), `max-pool ${what}`);
    const gradient = new Float64Array(values.length);
    choices.forEach((choice, output) => gradient[choice] += gradOutput[output]);
    assertClose(found.gradients[0], gradient, 1e-6, `gradient of max-pool ${what}`);

    const plane = height * width;
    const gradMean = randomValues(images * channels, index + 200);
    const mean = await consumeTwice(
      gpu,
      [tensor],
      (result) => Tensor.from(gpu, gradMean, result.shape),
      (tape) => globalAveragePool(tape, tensor),
    );
    const means = new Float64Array(images * channels);
    values.forEach((value, at) => means[Math.floor(at / plane)] += value / plane);
    assertClose(mean.output, means, 1e-5, `average of [${shape}]`);
    const spread = Float64Array.from(values, (_, at) => gradMean[Math.floor(at / plane)] / plane);
    assert(
      mean.gradients[0].every((value, at) => Math.abs(value - spread[at]) < 1e-6),
      `gradient of [${shape}]`,
    );
  }
});

gpuTest("relu, add and l2Normalise of random shapes", async (gpu) => {
  for (const [index, random] of randomStreams(8, 16).entries()) {
    const shape = [1 + random.integer(70), 1 + random.integer(40)];
    const [a, b] = [1, 2].map((seed) => randomTensor(gpu, shape, 10 * index + seed));
    const [x, y, gradOutput] = [1, 2, 3].map((seed) => randomValues(a.length, 10 * index + seed));
    const upload = (result: Tensor) => Tensor.from(gpu, gradOutput, result.shape);

    const rectified = await consumeTwice(gpu, [a], upload, (tape) => relu(tape, a));
    assertEquals(rectified.output, x.map((value) => Math.max(value, 0)));
    assertClose(rectified.gradients[0], gradOutput.map((value, at) => x[at] > 0 ? value : 0), 1e-6, "relu");

    const sum = await consumeTwice(gpu, [a, b], upload, (tape) => add(tape, a, b));
    assertEquals(sum.output, x.map((value, at) => value + y[at]));
    for (const gradient of sum.gradients) assertClose(gradient, gradOutput, 1e-6, "add");
    const doubled = await consumeTwice(gpu, [a], upload, (tape) => add(tape, a, a));
    assertClose(doubled.gradients[0], gradOutput.map((value) => 2 * value), 1e-6, "a + a");

    const columns = shape[1];
    const unit = await consumeTwice(gpu, [a], upload, (tape) => l2Normalise(tape, a));
    const { output, norms } = reference.normaliseRows(x, columns);
    assertClose(unit.output, output, 1e-5, `l2Normalise of [${shape}]`);
    const gradient = Float64Array.from(x, (_, at) => {
      const row = Math.floor(at / columns);
      let product = 0;
      for (let i = row * columns; i < (row + 1) * columns; i++) product += output[i] * gradOutput[i];
      return (gradOutput[at] - output[at] * product) / norms[row];
    });
    // A row of one element, or a very short one, has a gradient that is all cancellation.
    const scale = Math.max(...norms.map((norm) => 1 / norm));
    const error = Math.max(...unit.gradients[0].map((value, at) => Math.abs(value - gradient[at])));
    assert(error < 1e-5 * scale, `gradient of l2Normalise of [${shape}]: ${error}`);
  }
});

/** A loss, and the gradient of its input less what a second consumer gave, with a weight of 3. */
async function weighted(
  gpu: Gpu,
  input: Tensor,
  operation: (tape: Tape) => Tensor,
): Promise<{ loss: number; gradient: Float64Array }> {
  using tape = new Tape(gpu, true);
  tape.watch(input);
  const loss = operation(tape);
  const [value] = await loss.read();
  using zeros = Tensor.zeros(gpu, input.shape);
  using other = randomTensor(gpu, input.shape, 900);
  tape.backward([add(tape, input, zeros), other], scale(tape, loss, 3));
  using gradient = tape.take(input)!;
  const added = await other.read();
  return {
    loss: value,
    gradient: Float64Array.from(await gradient.read(), (sum, at) => (sum - added[at]) / 3),
  };
}

gpuTest("losses of random shapes", async (gpu) => {
  for (const [index, random] of randomStreams(9, 40).entries()) {
    const rows = 1 + random.integer(40);
    const columns = random.pick([1, 2, 10, 63, 64, 65, 200, 513]);
    const dimension = random.pick([1, 3, 8, 17, 128]);
    const temperature = random.pick([0.07, 0.2, 1]);
    const unit = (count: number, seed: number) =>
      Float32Array.from(reference.normaliseRows(randomValues(count * dimension, seed), dimension).output);
    const [query, keys, queue] = [rows, rows, columns].map((count, at) => unit(count, 10 * index + at));
    const [q, k, others] = [query, keys, queue].map((values) =>
      Tensor.from(gpu, values, [values.length / dimension, dimension])
    );
    const what = `${rows} rows, ${columns} columns, dimension ${dimension}, temperature ${temperature}`;
    const used = gpu.pool.use.used;
    const found = await weighted(gpu, q, (tape) => infoNce(tape, q, k, others, temperature));
    const contrast = reference.infoNce(query, keys, queue, dimension, temperature);
    // A rounding of the sum with the other consumer's gradient, whose elements are below 1.
    const within = 1e-4 * Math.max(...contrast.gradient.map(Math.abs)) + 2e-7;
    const off = Math.max(...found.gradient.map((value, at) => Math.abs(value - contrast.gradient[at])));
    assert(off < within, `gradient of infoNce, ${what}: ${off} above ${within}`);
    assertClose([found.loss], [contrast.loss], 1e-5, `infoNce, ${what}`);
    assertEquals(gpu.pool.use.used, used);

    const logits = randomValues(rows * columns, 10 * index + 7).map((value) => 30 * value);
    const labels = Uint32Array.from({ length: rows }, () => random.integer(columns));
    const expected = reference.crossEntropy(logits, columns, labels);
    const [logitTensor, labelTensor] = [Tensor.from(gpu, logits, [rows, columns]), Tensor.from(gpu, labels)];
    const entropy = await weighted(
      gpu,
      logitTensor,
      (tape) => softmaxCrossEntropy(tape, logitTensor, labelTensor),
    );
    const error = Math.max(...entropy.gradient.map((value, at) => Math.abs(value - expected.gradient[at])));
    assert(error * rows < 1e-5, `gradient of softmaxCrossEntropy, ${what}: ${error}`);
    const distance = Math.abs(entropy.loss - expected.loss);
    assert(distance < 1e-5 * Math.max(1, expected.loss), `softmaxCrossEntropy, ${what}`);
  }
});
