/** Encoders whose every block counts, for tests of extraction. */
import type { Gpu } from "../../src/gpu/device.ts";
import { Encoder } from "../../src/nn/encoder.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import type { Statistics } from "../../src/nn/weights.ts";
import { purpose, Random } from "../../src/random.ts";
import type { Architecture } from "../../src/elastic/architecture.ts";
import { tapNames } from "../../src/elastic/network.ts";
import { SearchSpace, type SpaceDefinition } from "../../src/elastic/search_space.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { elements, type Shape } from "../../src/shape.ts";

/** A small elastic space of bottleneck blocks with the 7x7 stem. */
export const bottleneckSpace: SpaceDefinition = {
  block: "bottleneck",
  stem: { kind: "7x7", widths: [6, 8] },
  widths: [[4, 8], [6, 8], [8, 12], [12]],
  depths: [[1, 2], [1, 3], [1, 2], [1]],
  strides: [1, 2, 2, 2],
  named: { middle: "8-4.8.8.12-1.2.2.1" },
};

/** A small elastic space of basic blocks with the 3x3 stem; `8-8.…` would need no projection in its first stage. */
export const basicSpace: SpaceDefinition = {
  block: "basic",
  stem: { kind: "3x3", widths: [4, 8] },
  widths: [[4, 8], [6, 12], [16]],
  depths: [[1, 2], [1, 2], [1, 2]],
  strides: [1, 2, 2],
  named: {},
};

/** Values for a tensor such that no layer is trivial, unlike in a new network. */
export function lively(name: string, shape: Shape, random: Random): Float32Array<ArrayBuffer> {
  const values = new Float32Array(elements(shape));
  if (shape.length === 4) {
    const bound = Math.sqrt(6 / (shape[1] * shape[2] * shape[3]));
    return values.map(() => random.uniform(-bound, bound));
  }
  if (name.endsWith("running_var")) return values.map(() => random.uniform(0.5, 2));
  if (name.endsWith("running_mean") || name.endsWith("bias")) {
    return values.map(() => random.uniform(-0.3, 0.3));
  }
  return values.map(() => random.uniform(0.3, 0.9));
}

/** An encoder with {@linkcode lively} weights and running statistics. */
export function livelyEncoder(gpu: Gpu, definition: SpaceDefinition, seed = 1): Encoder {
  const network = new ElasticResNet(new SearchSpace(definition));
  const encoder = new Encoder(gpu, network, { kind: "linear", hidden: 8, dimension: 8 }, false);
  let index = 0;
  for (const arena of [encoder.weights.values, encoder.statistics.arena]) {
    for (const [name, tensor] of arena.entries()) {
      tensor.write(lively(name, tensor.shape, new Random(seed, purpose.test, index++)));
    }
  }
  return encoder;
}

/** Feature maps of a network in evaluation mode, on the host: `c2`, `c3`, … and `features`. */
export async function evaluateFeatures(
  encoder: Encoder,
  architecture: Architecture,
  images: { data: Float32Array<ArrayBuffer>; shape: Shape },
  statistics: Statistics = encoder.statistics,
): Promise<Map<string, { shape: Shape; data: Float32Array<ArrayBuffer> }>> {
  const { gpu } = encoder.weights;
  const tape = new Tape(gpu, false);
  const input = Tensor.from(gpu, images.data, images.shape);
  const pass = encoder.pass({ tape, training: false, batchnormGroups: 1, statistics });
  const { taps, pooled } = encoder.features(pass, input, architecture, tapNames(encoder.network));
  const named: [string, Tensor][] = [...taps, ["features", pooled]];
  const contents = await gpu.read(...named.map(([, tensor]) => tensor));
  tape.release();
  input.release();
  return new Map(
    named.map(([name, { shape }], index) => [name, { shape, data: new Float32Array(contents[index]) }]),
  );
}
