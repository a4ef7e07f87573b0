/** What follows and surrounds the convolutions: pooling, linear layers, InfoNCE, optimiser and moving average. */
import { featureChannels, weightsOf } from "../src/elastic/network.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { linear } from "../src/tensor/ops/linear.ts";
import { globalAveragePool, maxPool } from "../src/tensor/ops/pool.ts";
import { infoNce } from "../src/tensor/ops/softmax.ts";
import { emaStep, sgdStep } from "../src/tensor/ops/update.ts";
import { Tape } from "../src/tensor/tape.ts";
import { lastSize, type Network, networks } from "./networks.ts";
import { filledParameter, filledTensor, releaseAll } from "./operands.ts";
import { backwardCase, forwardCase, type Operation } from "./operation.ts";
import { type KernelCase, registerCases } from "./report.ts";

function forwardAndBackward(
  name: string,
  bytes: { forward: number; backward: number },
  operation: (gpu: Gpu) => Operation,
): KernelCase[] {
  return [
    {
      name: `${name} forward`,
      work: { bytes: bytes.forward },
      prepare: (gpu) => forwardCase(gpu, operation(gpu)),
    },
    {
      name: `${name} backward`,
      work: { bytes: bytes.backward },
      prepare: (gpu) => backwardCase(gpu, operation(gpu)),
    },
  ];
}

function maxPoolCases(batch: number, channels: number, size: number): KernelCase[] {
  const inBytes = 4 * batch * channels * size ** 2;
  const outBytes = inBytes / 4;
  const bytes = { forward: inBytes + outBytes, backward: 2 * inBytes + outBytes };
  return forwardAndBackward(`ResNet-50 max-pool 3x3/2 ${channels} ${size}x${size}`, bytes, (gpu) => {
    const input = filledTensor(gpu, [batch, channels, size, size]);
    return { inputs: [input], operands: [input], apply: (tape) => maxPool(tape, input, 3, 2, 1) };
  });
}

function averagePoolCases(network: Network): KernelCase[] {
  const { name, batch, structure } = network;
  const size = lastSize(network);
  const channels = featureChannels(structure, structure.space.max);
  const inBytes = 4 * batch * channels * size ** 2;
  const bytes = { forward: inBytes, backward: inBytes };
  return forwardAndBackward(`${name} average pool ${channels} ${size}x${size}`, bytes, (gpu) => {
    const input = filledTensor(gpu, [batch, channels, size, size]);
    return { inputs: [input], operands: [input], apply: (tape) => globalAveragePool(tape, input) };
  });
}

/** @param stored input features of the stored weight, of which the first are used */
function linearCases(
  subject: string,
  rows: number,
  features: number,
  outputs: number,
  stored = features,
  dense?: string,
): KernelCase[] {
  const flops = 2 * rows * features * outputs;
  const work = { flops, bytes: 4 * (rows * features + features * outputs + rows * outputs) };
  return (["forward", "input gradient", "weight gradient"] as const).map((pass) => {
    const shape = `linear ${features}→${outputs}, ${rows} rows, ${pass}`;
    return {
      name: `${subject} ${shape}`,
      work,
      dense: dense && `${dense} ${shape}`,
      prepare(gpu) {
        const input = filledTensor(gpu, [rows, features]);
        const trained = pass === "weight gradient";
        const weight = filledParameter(gpu, [outputs, stored], trained);
        const bias = filledParameter(gpu, [outputs], trained);
        const operation: Operation = {
          inputs: pass === "input gradient" ? [input] : [],
          operands: [input, weight, bias],
          apply: (tape) => linear(tape, input, weight, bias),
        };
        return pass === "forward" ? forwardCase(gpu, operation) : backwardCase(gpu, operation);
      },
    };
  });
}

function infoNceCase(subject: string, rows: number, dimension: number, queueRows: number): KernelCase {
  return {
    name: `${subject} InfoNCE ${rows} x ${dimension}, queue ${queueRows}`,
    // The logits, and the gradient of the queries from them.
    work: {
      flops: 4 * rows * dimension * queueRows,
      bytes: 8 * queueRows * dimension,
    },
    prepare(gpu) {
      const [query, keys] = [0, 1].map(() => filledTensor(gpu, [rows, dimension]));
      const queue = filledTensor(gpu, [queueRows, dimension]);
      return {
        run() {
          using tape = new Tape(gpu, true);
          tape.watch(query);
          tape.backward(infoNce(tape, query, keys, queue, 0.2));
        },
        release: () => releaseAll(query, keys, queue),
      };
    },
  };
}

function updateCases({ name, structure }: Network): KernelCase[] {
  let count = 0;
  for (const { shape } of weightsOf(structure, structure.space.max).parameters.values()) {
    count += shape.reduce((product, size) => product * size, 1);
  }
  const length = 4 * Math.ceil(count / 4);
  const size = `${(count / 1e6).toFixed(count < 1e6 ? 2 : 1)} M parameters`;
  const settings = { learningRate: 1e-6, momentum: 0.9, weightDecay: 1e-4 };
  return [
    {
      name: `${name} SGD, ${size}`,
      work: { bytes: 5 * 4 * length },
      prepare(gpu) {
        const [value, gradient, momentum] = [0, 1, 2].map(() => filledTensor(gpu, [length]));
        return {
          run: () => sgdStep(gpu, value, gradient, momentum, settings),
          release: () => releaseAll(value, gradient, momentum),
        };
      },
    },
    {
      name: `${name} moving average, ${size}`,
      work: { bytes: 3 * 4 * length },
      prepare(gpu) {
        const [value, average] = [0, 1].map(() => filledTensor(gpu, [length]));
        return {
          run: () => emaStep(gpu, value, average, 0.999),
          release: () => releaseAll(value, average),
        };
      },
    },
  ];
}

registerCases([
  ...maxPoolCases(4, 64, 112),
  ...networks.flatMap(averagePoolCases),
  ...linearCases("demo", 64, 48, 128),
  ...linearCases("demo", 64, 128, 64),
  ...linearCases("ResNet-18", 128, 512, 128),
  ...linearCases("ResNet-50", 64, 2048, 2048),
  ...linearCases("ResNet-50", 64, 2048, 128),
  ...linearCases("dense", 64, 1536, 2048),
  ...linearCases("slice of 2560:", 64, 1536, 2048, 2560, "dense"),
  infoNceCase("demo", 64, 64, 512),
  infoNceCase("ResNet-18", 128, 128, 4096),
  infoNceCase("ResNet-50", 64, 128, 65536),
  ...networks.flatMap(updateCases),
]);
