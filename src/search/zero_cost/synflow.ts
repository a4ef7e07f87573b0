/**
 * SynFlow (Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic flow", NeurIPS 2020),
 * summed over the parameters as a score of a whole network (Abdelfattah et al., "Zero-cost proxies for lightweight NAS",
 * ICLR 2021).
 */
import type { Architecture } from "../../elastic/architecture.ts";
import { imageShape, unitsOf, weightsOf } from "../../elastic/network.ts";
import { DataError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { Encoder } from "../../nn/encoder.ts";
import { type Pass, runUnit } from "../../nn/layers.ts";
import { elements } from "../../shape.ts";
import { addConstant } from "../../tensor/gradient_target.ts";
import { batchnormEpsilon } from "../../tensor/ops/batchnorm.ts";
import { scale } from "../../tensor/ops/elementwise.ts";
import { globalAveragePool } from "../../tensor/ops/pool.ts";
import { Tape } from "../../tensor/tape.ts";
import { Tensor } from "../../tensor/tensor.ts";

/** A forward pass on its way through the units. */
interface Flow {
  readonly pass: Pass;
  value: Tensor;
  /** What the value was divided by so far, as a power of two. */
  exponent: number;
}

/**
 * log Σ |θ ⊙ ∂R/∂θ| of encoders of one architecture, over the weights of convolutions and products; R is the sum of the
 * pooled features for one image of ones, with weights replaced by their absolute values and without batchnorm, as in the
 * published code. That code computes in float64, since the sum grows by some factor of ten with each layer. Here every
 * unit's result is divided by a power of two near its size. Without batchnorm the network is homogeneous, so R and all its
 * derivatives are divided by the same, exactly, and the logarithm gets it back.
 *
 * @param encoders on one device, with gradients; their weights and statistics are replaced
 * @param imageSize side of the image, in pixels
 * @returns natural logarithms, one for each encoder
 * @throws {DataError} when a unit's result is zero or beyond float32
 */
export async function synflow(
  encoders: readonly Encoder[],
  architecture: Architecture,
  imageSize: number,
): Promise<number[]> {
  const [{ weights: { gpu }, network }] = encoders;
  await linearise(encoders);
  using image = ones(gpu, imageShape(network, imageSize));
  const tapes = encoders.map(() => new Tape(gpu, true));
  try {
    const flows = encoders.map((encoder, at): Flow => ({
      pass: encoder.pass({ tape: tapes[at], training: false, batchnormGroups: 1 }),
      value: image,
      exponent: 0,
    }));
    for (const { unit } of unitsOf(network, architecture)) {
      const outputs = flows.map(({ pass, value }) => runUnit(pass, unit, value));
      const exponents = await exponentsOf(gpu, outputs, unit.key);
      flows.forEach((flow, at) => {
        flow.value = scale(flow.pass.tape, outputs[at], 2 ** -exponents[at]);
        flow.exponent += exponents[at];
      });
    }
    for (const { pass: { tape }, value } of flows) {
      const pooled = globalAveragePool(tape, value);
      using gradient = ones(gpu, pooled.shape);
      tape.backward([pooled, gradient]);
    }
    const sums = await saliencies(encoders, architecture);
    return sums.map((sum, at) => Math.log(sum) + flows[at].exponent * Math.LN2);
  } finally {
    for (const tape of tapes) tape.release();
  }
}

/** Absolute weights, and batchnorms that give back what they get. */
async function linearise(encoders: readonly Encoder[]): Promise<void> {
  for (const { weights } of encoders) weights.gradients!.clear();
  const chunks = encoders.map(({ weights }) => weights.values.chunks);
  const read = await readTogether(encoders[0].weights.gpu, chunks);
  for (const [number, { network, statistics, weights: { values } }] of encoders.entries()) {
    chunks[number].forEach((chunk, at) => chunk.write(read[number][at].map(Math.abs)));
    for (const [name, { shape, start }] of weightsOf(network, network.space.max).parameters) {
      if (start === "fan-out") continue;
      values.get(name).write(new Float32Array(elements(shape)).fill(start === "zero" ? 0 : 1));
    }
    for (const [name, tensor] of statistics.arena.entries()) {
      const value = name.endsWith("running_var") ? 1 - batchnormEpsilon : 0;
      tensor.write(new Float32Array(tensor.length).fill(value));
    }
  }
}

/** For each tensor [1, C, H, W] the power of two next to the largest mean of a channel. */
async function exponentsOf(gpu: Gpu, outputs: readonly Tensor[], unit: string): Promise<number[]> {
  using tape = new Tape(gpu, false);
  const means = await gpu.read(...outputs.map((output) => globalAveragePool(tape, output.detach())));
  return means.map((bytes) => {
    const largest = Math.max(...new Float32Array(bytes));
    if (largest > 0 && largest < Infinity) return Math.round(Math.log2(largest));
    throw new DataError(
      `SynFlow: the features behind ${unit} of the untrained network are ${largest}, which has no logarithm.`,
    );
  });
}

/**
 * Σ |θ ⊙ gradient| of each encoder over the weights that count: published code sums over convolutions and linear layers
 * alone.
 */
async function saliencies(encoders: readonly Encoder[], architecture: Architecture): Promise<number[]> {
  const [{ network, weights: { gpu } }] = encoders;
  const names = [...weightsOf(network, architecture).parameters]
    .filter(([, { start }]) => start === "fan-out").map(([name]) => name);
  const read = await readTogether(gpu, [
    ...encoders.map(({ weights }) => weights.values.chunks),
    ...encoders.map(({ weights }) => weights.gradients!.chunks),
  ]);
  return encoders.map(({ weights: { values: { layout } } }, number) => {
    let sum = 0;
    for (const name of names) {
      const { shape, chunk, start } = layout.placements.get(name)!;
      const weight = read[number][chunk], gradient = read[encoders.length + number][chunk];
      for (let at = start; at < start + elements(shape); at++) sum += Math.abs(weight[at] * gradient[at]);
    }
    return sum;
  });
}

/** Reads lists of tensors, all in one wait. */
async function readTogether(
  gpu: Gpu,
  lists: readonly (readonly Tensor[])[],
): Promise<Float32Array<ArrayBuffer>[][]> {
  const read = (await gpu.read(...lists.flat())).map((bytes) => new Float32Array(bytes));
  return lists.map((list) => read.splice(0, list.length));
}

function ones(gpu: Gpu, shape: Tensor["shape"]): Tensor {
  const tensor = Tensor.create(gpu, shape);
  addConstant({ tensor, accumulate: false }, 1);
  return tensor;
}
