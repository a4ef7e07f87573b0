/**
 * Every operation, forwards and backwards, against PyTorch (tests/golden): ordinary numbers, and one NaN or infinity
 * among them, which must come out wherever PyTorch's does and nowhere else.
 */
import { batchnorm } from "../../src/tensor/ops/batchnorm.ts";
import { convolution } from "../../src/tensor/ops/convolution.ts";
import { add, relu } from "../../src/tensor/ops/elementwise.ts";
import { l2Normalise } from "../../src/tensor/ops/l2_normalise.ts";
import { linear } from "../../src/tensor/ops/linear.ts";
import { matmul } from "../../src/tensor/ops/matmul.ts";
import { globalAveragePool, maxPool } from "../../src/tensor/ops/pool.ts";
import { infoNce, softmaxCrossEntropy } from "../../src/tensor/ops/softmax.ts";
import { emaStep, sgdStep } from "../../src/tensor/ops/update.ts";
import type { Parameter } from "../../src/tensor/parameter.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import {
  assertSame,
  forwardBackward,
  type GoldenCase,
  goldenCases,
  gpuTest,
  lossAndGradient,
  parameter,
} from "../helpers.ts";

function upload(gpu: Gpu, one: GoldenCase, name: string): Tensor {
  const { data, shape } = one.get(name);
  return Tensor.from(gpu, data, shape);
}

async function check(one: GoldenCase, name: string, actual: Tensor | Float32Array): Promise<void> {
  const values = actual instanceof Tensor ? await actual.read() : actual;
  const tolerance = name.startsWith("grad") ? one.tolerance.backward : one.tolerance.forward;
  assertSame(values, one.get(name).data, tolerance, `${one.name} ${name}`);
}

/** The bias of a case that has one. */
function biasOf(gpu: Gpu, one: GoldenCase): Parameter | undefined {
  return one.has("bias")
    ? parameter(gpu, `${one.name} bias`, one.get("bias"), one.get("gradBiasInitial").data)
    : undefined;
}

gpuTest("convolution", async (gpu) => {
  for (const one of await goldenCases("convolution")) {
    const { outChannels, stride, padding, dilation } = one.parameters;
    const input = upload(gpu, one, "input");
    const weight = parameter(gpu, one.name, one.get("weight"), one.get("gradWeightInitial").data);
    const bias = biasOf(gpu, one);
    const { output, gradients } = await forwardBackward(
      gpu,
      [input],
      one.get("gradOutput").data,
      (tape) => convolution(tape, input, weight, { outChannels, stride, padding, dilation, bias }),
    );
    await check(one, "output", output);
    if (one.has("gradInput")) await check(one, "gradInput", gradients[0]);
    await check(one, "gradWeight", weight.gradient!);
    if (bias) await check(one, "gradBias", bias.gradient!);
  }
});

for (const operation of ["batchnorm", "batchnorm_evaluation"]) {
  gpuTest(operation, async (gpu) => {
    for (const one of await goldenCases(operation)) {
      const { epsilon, momentum, groups, relu } = one.parameters;
      const training = operation === "batchnorm";
      const input = upload(gpu, one, "input");
      const residual = one.has("residual") ? upload(gpu, one, "residual") : undefined;
      const weight = parameter(gpu, one.name, one.get("weight"), one.get("gradWeightInitial").data);
      const bias = parameter(gpu, one.name, one.get("bias"), one.get("gradBiasInitial").data);
      const running = {
        mean: upload(gpu, one, "runningMean"),
        variance: upload(gpu, one, "runningVariance"),
      };
      const { output, gradients } = await forwardBackward(
        gpu,
        residual ? [input, residual] : [input],
        one.get("gradOutput").data,
        (tape) =>
          batchnorm(tape, input, weight, bias, running, {
            training,
            groups,
            residual,
            relu,
            momentum,
            epsilon,
          }),
      );
      await check(one, "output", output);
      await check(one, "gradInput", gradients[0]);
      if (residual) await check(one, "gradResidual", gradients[1]);
      await check(one, "gradWeight", weight.gradient!);
      await check(one, "gradBias", bias.gradient!);
      if (!training) continue;
      await check(one, "runningMeanAfter", running.mean);
      await check(one, "runningVarianceAfter", running.variance);
    }
  });
}

gpuTest("linear", async (gpu) => {
  for (const one of await goldenCases("linear")) {
    const { outFeatures } = one.parameters;
    const input = upload(gpu, one, "input");
    const weight = parameter(gpu, one.name, one.get("weight"), one.get("gradWeightInitial").data);
    const bias = biasOf(gpu, one);
    const { output, gradients } = await forwardBackward(
      gpu,
      [input],
      one.get("gradOutput").data,
      (tape) => linear(tape, input, weight, bias, { outFeatures }),
    );
    await check(one, "output", output);
    if (one.has("gradInput")) await check(one, "gradInput", gradients[0]);
    await check(one, "gradWeight", weight.gradient!);
    if (bias) await check(one, "gradBias", bias.gradient!);
  }
});

gpuTest("matmul", async (gpu) => {
  for (const one of await goldenCases("matmul")) {
    const [a, b] = [upload(gpu, one, "a"), upload(gpu, one, "b")];
    const { output, gradients } = await forwardBackward(
      gpu,
      [a, b],
      one.get("gradOutput").data,
      (tape) => matmul(tape, a, b, one.parameters),
    );
    await check(one, "output", output);
    await check(one, "gradA", gradients[0]);
    await check(one, "gradB", gradients[1]);
  }
});

gpuTest("max_pool, global_average_pool, relu, add, l2_normalise", async (gpu) => {
  for (const operation of ["max_pool", "global_average_pool", "relu", "l2_normalise"]) {
    for (const one of await goldenCases(operation)) {
      const { kernel, stride, padding, epsilon } = one.parameters;
      const input = upload(gpu, one, "input");
      const { output, gradients } = await forwardBackward(
        gpu,
        [input],
        one.get("gradOutput").data,
        (tape) =>
          operation === "max_pool"
            ? maxPool(tape, input, kernel, stride, padding)
            : operation === "global_average_pool"
            ? globalAveragePool(tape, input)
            : operation === "relu"
            ? relu(tape, input)
            : l2Normalise(tape, input, epsilon),
      );
      await check(one, "output", output);
      await check(one, "gradInput", gradients[0]);
    }
  }
  for (const one of await goldenCases("add")) {
    const a = upload(gpu, one, "inputA");
    const b = upload(gpu, one, "inputB");
    const { output, gradients } = await forwardBackward(
      gpu,
      [a, b],
      one.get("gradOutput").data,
      (tape) => add(tape, a, b),
    );
    await check(one, "output", output);
    await check(one, "gradInputA", gradients[0]);
    await check(one, "gradInputB", gradients[1]);
  }
});

gpuTest("cross_entropy", async (gpu) => {
  for (const one of await goldenCases("cross_entropy")) {
    const logits = upload(gpu, one, "logits"), labels = upload(gpu, one, "labels");
    const { loss, gradient } = await lossAndGradient(
      gpu,
      logits,
      (tape) => softmaxCrossEntropy(tape, logits, labels),
    );
    await check(one, "loss", loss);
    await check(one, "gradLogits", gradient);
  }
});

gpuTest("info_nce", async (gpu) => {
  for (const one of await goldenCases("info_nce")) {
    const [query, keys, queue] = ["normalisedQuery", "keys", "queue"].map((name) => upload(gpu, one, name));
    const { temperature } = one.parameters;
    const { loss, gradient } = await lossAndGradient(
      gpu,
      query,
      (tape) => infoNce(tape, query, keys, queue, temperature),
    );
    await check(one, "loss", loss);
    await check(one, "gradNormalisedQuery", gradient);

    if (!one.has("query")) continue;
    const input = upload(gpu, one, "query");
    const through = await lossAndGradient(
      gpu,
      input,
      (tape) => infoNce(tape, l2Normalise(tape, input), keys, queue, temperature),
    );
    await check(one, "gradQuery", through.gradient);
  }
});

gpuTest("sgd and ema", async (gpu) => {
  const pad = (values: Float32Array<ArrayBuffer>) => {
    const padded = new Float32Array(Math.ceil(values.length / 4) * 4);
    padded.set(values);
    return Tensor.from(gpu, padded);
  };
  for (const one of await goldenCases("sgd")) {
    const value = pad(one.get("weight0").data);
    const momentum = Tensor.zeros(gpu, value.shape);
    for (let step = 1; step <= one.parameters.learningRates.length; step++) {
      const gradient = pad(one.get(`gradient${step}`).data);
      sgdStep(gpu, value, gradient, momentum, {
        learningRate: one.parameters.learningRates[step - 1],
        momentum: one.parameters.momentum,
        weightDecay: one.parameters.weightDecay,
      });
      const length = one.get("weight0").data.length;
      await check(one, `weight${step}`, (await value.read()).subarray(0, length));
      await check(one, `momentum${step}`, (await momentum.read()).subarray(0, length));
    }
  }
  for (const one of await goldenCases("ema")) {
    const average = pad(one.get("key").data);
    emaStep(gpu, pad(one.get("query").data), average, one.parameters.momentum);
    await check(one, "output", (await average.read()).subarray(0, one.get("key").data.length));
  }
});
