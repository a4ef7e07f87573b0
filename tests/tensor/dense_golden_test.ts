/** The operations of dense prediction against PyTorch (tests/golden/make_dense.py), NaN and infinities too. */
import { assert, assertEquals } from "@std/assert";
import type { Gpu } from "../../src/gpu/device.ts";
import { adaptiveAveragePool } from "../../src/tensor/ops/adaptive_pool.ts";
import { batchnorm } from "../../src/tensor/ops/batchnorm.ts";
import { bilinear } from "../../src/tensor/ops/bilinear.ts";
import { concatenate } from "../../src/tensor/ops/concatenate.ts";
import { sigmoidCrossEntropy, smoothL1 } from "../../src/tensor/ops/elementwise_losses.ts";
import { addNearest } from "../../src/tensor/ops/nearest.ts";
import { pixelCrossEntropy } from "../../src/tensor/ops/pixel_cross_entropy.ts";
import { pixelClasses, pixelProbabilities } from "../../src/tensor/ops/pixel_predictions.ts";
import { transposedConvolution } from "../../src/tensor/ops/transposed_convolution.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import {
  assertSame,
  forwardBackward,
  type GoldenCase,
  goldenCases,
  gpuTest,
  lossAndGradient,
  parameter,
} from "../helpers.ts";

async function cases(operation: string): Promise<GoldenCase[]> {
  const found = await goldenCases(operation);
  assert(found.length > 0, `no golden cases of ${operation}`);
  return found;
}

function upload(gpu: Gpu, one: GoldenCase, name: string): Tensor {
  const { data, shape } = one.get(name);
  return Tensor.from(gpu, data, shape);
}

function check(one: GoldenCase, name: string, values: Float32Array): void {
  const tolerance = name.startsWith("grad") ? one.tolerance.backward : one.tolerance.forward;
  assertSame(values, one.get(name).data, tolerance, `${one.name} ${name}`);
}

gpuTest("bilinear, adaptive_average_pool", async (gpu) => {
  for (const operation of ["bilinear", "adaptive_average_pool"]) {
    for (const one of await cases(operation)) {
      const { size } = one.parameters;
      const input = upload(gpu, one, "input");
      const { output, gradients } = await forwardBackward(
        gpu,
        [input],
        one.get("gradOutput").data,
        (tape) =>
          operation === "bilinear"
            ? bilinear(tape, input, size, one.parameters)
            : adaptiveAveragePool(tape, input, size),
      );
      check(one, "output", output);
      check(one, "gradInput", gradients[0]);
    }
  }
});

gpuTest("nearest_add", async (gpu) => {
  for (const one of await cases("nearest_add")) {
    const coarse = upload(gpu, one, "coarse"), lateral = upload(gpu, one, "lateral");
    const { output, gradients } = await forwardBackward(
      gpu,
      [coarse, lateral],
      one.get("gradOutput").data,
      (tape) => addNearest(tape, coarse, lateral),
    );
    check(one, "output", output);
    check(one, "gradCoarse", gradients[0]);
    check(one, "gradLateral", gradients[1]);
  }
});

gpuTest("transposed_convolution", async (gpu) => {
  for (const one of await cases("transposed_convolution")) {
    const { outChannels, stride, padding } = one.parameters;
    const input = upload(gpu, one, "input");
    const weight = parameter(gpu, one.name, one.get("weight"), one.get("gradWeightInitial").data);
    const bias = one.has("bias")
      ? parameter(gpu, `${one.name} bias`, one.get("bias"), one.get("gradBiasInitial").data)
      : undefined;
    const { output, gradients } = await forwardBackward(
      gpu,
      [input],
      one.get("gradOutput").data,
      (tape) => transposedConvolution(tape, input, weight, { outChannels, stride, padding, bias }),
    );
    check(one, "output", output);
    check(one, "gradInput", gradients[0]);
    check(one, "gradWeight", await weight.gradient!.read());
    if (bias) check(one, "gradBias", await bias.gradient!.read());
  }
});

gpuTest("pixel_cross_entropy", async (gpu) => {
  for (const one of await cases("pixel_cross_entropy")) {
    const logits = upload(gpu, one, "logits"), labels = upload(gpu, one, "labels");
    const { loss, gradient } = await lossAndGradient(
      gpu,
      logits,
      (tape) => pixelCrossEntropy(tape, logits, labels, one.parameters),
    );
    check(one, "loss", loss);
    check(one, "gradLogits", gradient);
  }
});

gpuTest("pixel_predictions", async (gpu) => {
  for (const one of await cases("pixel_predictions")) {
    const { size } = one.parameters;
    const logits = upload(gpu, one, "logits");
    using tape = new Tape(gpu, false);
    const [bytes] = await gpu.read(pixelClasses(tape, logits, size, one.parameters));
    assertEquals([...new Uint32Array(bytes)], [...one.get("classes").data], one.name);
    check(one, "probabilities", await pixelProbabilities(tape, logits, size, one.parameters).read());
  }
});

for (
  const [operation, compute] of [["sigmoid_cross_entropy", sigmoidCrossEntropy], [
    "smooth_l1",
    smoothL1,
  ]] as const
) {
  gpuTest(operation, async (gpu) => {
    for (const one of await cases(operation)) {
      const input = upload(gpu, one, "input"), target = upload(gpu, one, "target");
      const weights = one.has("weights") ? upload(gpu, one, "weights") : undefined;
      const { loss, gradient } = await lossAndGradient(
        gpu,
        input,
        (tape) => compute(tape, input, target, { ...one.parameters, weights }),
      );
      check(one, "loss", loss);
      check(one, "gradInput", gradient);
    }
  });
}

gpuTest("frozen_batchnorm", async (gpu) => {
  for (const one of await cases("frozen_batchnorm")) {
    const input = upload(gpu, one, "input");
    const residual = one.has("residual") ? upload(gpu, one, "residual") : undefined;
    const frozen = (name: string) => ({ name, value: upload(gpu, one, name), gradient: undefined });
    const running = { mean: upload(gpu, one, "running_mean"), variance: upload(gpu, one, "running_var") };
    const { output, gradients } = await forwardBackward(
      gpu,
      residual ? [input, residual] : [input],
      one.get("gradOutput").data,
      (tape) =>
        batchnorm(tape, input, frozen("weight"), frozen("bias"), running, {
          training: false,
          relu: one.parameters.relu,
          residual,
        }),
    );
    check(one, "output", output);
    check(one, "gradInput", gradients[0]);
    if (residual) check(one, "gradResidual", gradients[1]);
    assertEquals(await running.mean.read(), one.get("running_mean").data);
  }
});

gpuTest("concatenate", async (gpu) => {
  for (const one of await cases("concatenate")) {
    const names = Array.from({ length: one.parameters.inputs }, (_, at) => `nput${at}`);
    const inputs = names.map((name) => upload(gpu, one, `i${name}`));
    const { output, gradients } = await forwardBackward(
      gpu,
      inputs,
      one.get("gradOutput").data,
      (tape) => concatenate(tape, inputs),
    );
    check(one, "output", output);
    names.forEach((name, at) => check(one, `gradI${name}`, gradients[at]));
  }
});
