/** Every operation, forwards and backwards, against PyTorch (tests/golden). */
import { Tensor } from "../../src/tensor/tensor.ts";
import { batchnorm } from "../../src/tensor/ops/batchnorm.ts";
import { convolution } from "../../src/tensor/ops/convolution.ts";
import { add, relu } from "../../src/tensor/ops/elementwise.ts";
import { l2Normalise } from "../../src/tensor/ops/l2_normalise.ts";
import { linear } from "../../src/tensor/ops/linear.ts";
import { globalAveragePool, maxPool } from "../../src/tensor/ops/pool.ts";
import { crossEntropy, infoNce } from "../../src/tensor/ops/softmax.ts";
import { emaStep, sgdStep } from "../../src/tensor/ops/update.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import {
  assertClose,
  forwardBackward,
  type GoldenCase,
  goldenCases,
  gpuTest,
  parameter,
} from "../helpers.ts";

function upload(gpu: Gpu, one: GoldenCase, name: string): Tensor {
  const { data, shape } = one.get(name);
  return Tensor.from(gpu, data, shape);
}

async function check(one: GoldenCase, name: string, actual: Tensor | Float32Array): Promise<void> {
  const values = actual instanceof Tensor ? await actual.read() : actual;
  const tolerance = name.startsWith("grad") ? one.tolerance.backward : one.tolerance.forward;
  assertClose(values, one.get(name).data, tolerance, `${one.name} ${name}`);
}

gpuTest("convolution", async (gpu) => {
  for (const one of await goldenCases("convolution")) {
    const { outChannels, stride, padding, dilation } = one.parameters;
    const input = upload(gpu, one, "input");
    const weight = parameter(gpu, one.name, one.get("weight"), one.get("gradWeightInitial").data);
    const { output, gradients } = await forwardBackward(
      gpu,
      [input],
      one.get("gradOutput").data,
      (tape) => convolution(tape, input, weight, { outChannels, stride, padding, dilation }),
    );
    await check(one, "output", output);
    await check(one, "gradInput", gradients[0]);
    await check(one, "gradWeight", weight.gradient!);
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
    const input = upload(gpu, one, "input");
    const weight = parameter(gpu, one.name, one.get("weight"), one.get("gradWeightInitial").data);
    const bias = parameter(gpu, one.name, one.get("bias"), one.get("gradBiasInitial").data);
    const { output, gradients } = await forwardBackward(
      gpu,
      [input],
      one.get("gradOutput").data,
      (tape) => linear(tape, input, weight, bias),
    );
    await check(one, "output", output);
    await check(one, "gradInput", gradients[0]);
    await check(one, "gradWeight", weight.gradient!);
    await check(one, "gradBias", bias.gradient!);
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
    const loss = Tensor.create(gpu, [1]);
    const gradLogits = crossEntropy(gpu, upload(gpu, one, "logits"), upload(gpu, one, "labels"), {
      tensor: loss,
      index: 0,
    });
    await check(one, "loss", loss);
    await check(one, "gradLogits", gradLogits);
  }
});

gpuTest("info_nce", async (gpu) => {
  for (const one of await goldenCases("info_nce")) {
    const query = upload(gpu, one, "normalisedQuery");
    const loss = Tensor.create(gpu, [1]);
    const keys = upload(gpu, one, "keys");
    const gradQuery = infoNce(gpu, query, keys, upload(gpu, one, "queue"), one.parameters.temperature, {
      tensor: loss,
      index: 0,
    });
    await check(one, "loss", loss);
    await check(one, "gradNormalisedQuery", gradQuery);

    const input = upload(gpu, one, "query");
    const through = await forwardBackward(
      gpu,
      [input],
      await gradQuery.read(),
      (tape) => l2Normalise(tape, input),
    );
    await check(one, "gradQuery", through.gradients[0]);
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
    for (const step of [1, 2, 3]) {
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
