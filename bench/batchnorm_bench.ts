/** Batchnorm in training mode with ReLU, and with a shortcut where the networks have one. */
import type { Gpu } from "../src/gpu/device.ts";
import { batchnorm } from "../src/tensor/ops/batchnorm.ts";
import type { Tape } from "../src/tensor/tape.ts";
import { type BatchnormLayer, batchnormLayers, networks } from "./networks.ts";
import { filledParameter, filledTensor } from "./operands.ts";
import { backwardCase, forwardCase, type Operation } from "./operation.ts";
import { type KernelCase, registerCases } from "./report.ts";

/** @param stored channels of the parameters and running statistics */
function operation(gpu: Gpu, batch: number, layer: BatchnormLayer, stored: number): Operation {
  const { channels, size, residual: withResidual } = layer;
  const input = filledTensor(gpu, [batch, channels, size, size]);
  const residual = withResidual ? filledTensor(gpu, input.shape) : undefined;
  const [weight, bias] = [0, 1].map(() => filledParameter(gpu, [stored], true));
  const running = { mean: filledTensor(gpu, [stored]), variance: filledTensor(gpu, [stored]) };
  const inputs = residual ? [input, residual] : [input];
  return {
    inputs,
    operands: [...inputs, weight, bias, running.mean, running.variance],
    apply: (tape: Tape) =>
      batchnorm(tape, input, weight, bias, running, { training: true, relu: true, residual }),
  };
}

function cases(
  subject: string,
  batch: number,
  layer: BatchnormLayer,
  stored = layer.channels,
  dense?: string,
): KernelCase[] {
  const { channels, size, residual } = layer;
  const bytes = 4 * batch * channels * size ** 2;
  const shape = `batchnorm+${residual ? "shortcut+" : ""}ReLU ${channels} ${size}x${size}`;
  // Statistics and sums must be complete before the second pass begins, so the inputs are read twice.
  const work = {
    forward: { bytes: (residual ? 4 : 3) * bytes },
    backward: { bytes: (residual ? 8 : 5) * bytes },
  };
  return (["forward", "backward"] as const).map((pass) => ({
    name: `${subject} ${shape} ${pass}`,
    work: work[pass],
    dense: dense && `${dense} ${shape} ${pass}`,
    prepare: (gpu) =>
      (pass === "forward" ? forwardCase : backwardCase)(gpu, operation(gpu, batch, layer, stored)),
  }));
}

const slice: BatchnormLayer = { channels: 48, size: 56, residual: false };

registerCases([
  ...networks.flatMap((network) =>
    batchnormLayers(network).flatMap((layer) => cases(network.name, network.batch, layer))
  ),
  ...cases("dense", 4, slice),
  ...cases("slice of 80:", 4, slice, 80, "dense"),
]);
