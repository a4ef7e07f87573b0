/** Cutting a subnet out of an encoder's full-width weights. */
import type { Encoder } from "../nn/encoder.ts";
import { weightsOf } from "../elastic/network.ts";
import type { Statistics } from "../nn/weights.ts";
import type { Architecture } from "../elastic/architecture.ts";
import type { TensorOf } from "../store/safetensors.ts";
import { elements, type Shape } from "../shape.ts";

/** Weights on the host by torchvision's names, e.g. `layer1.0.conv1.weight` [out, in, kernel, kernel]. */
export type PlainWeights = ReadonlyMap<string, TensorOf<"F32">>;

/**
 * Copies a subnet's weights to the host: the leading channels of the layers that it has, no head.
 * Everything comes back in one wait. Names, shapes and layout are those of torchvision, without
 * `num_batches_tracked`, which PyTorch fills in when it loads strictly.
 *
 * @param statistics batchnorm statistics that fit this architecture, e.g. recalibrated ones
 * @throws {ConfigurationError} when the architecture cannot be cut out of the encoder's space
 */
export async function cutSubnet(
  encoder: Encoder,
  architecture: Architecture,
  statistics: Statistics,
): Promise<PlainWeights> {
  const network = encoder.network.cut(architecture);
  const weights = weightsOf(network, network.space.max);
  const parts = [
    ...[...weights.parameters].map(([name, { shape }]) => ({ name, shape, arena: encoder.weights.values })),
    ...[...weights.statistics].map(([name, shape]) => ({ name, shape, arena: statistics.arena })),
  ].map(({ name, shape, arena }) => ({ name, shape, stored: arena.get(name) }));
  // The leading output channels are contiguous; the input channels are sliced on the host.
  const rows = parts.map(({ shape, stored }) => stored.slice(0, [shape[0], ...stored.shape.slice(1)]));
  const contents = await encoder.weights.gpu.read(...rows);
  return new Map(parts.map(({ name, shape }, index) => [
    name,
    { dtype: "F32", shape, data: leadingChannels(new Float32Array(contents[index]), shape) },
  ]));
}

/** The first shape[1] input channels of each of shape[0] rows; `values` itself when these are all. */
function leadingChannels(values: Float32Array<ArrayBuffer>, shape: Shape): Float32Array<ArrayBuffer> {
  const length = elements(shape);
  if (values.length === length) return values;
  const storedRow = values.length / shape[0];
  const row = length / shape[0];
  const sliced = new Float32Array(length);
  for (let channel = 0; channel < shape[0]; channel++) {
    sliced.set(values.subarray(channel * storedRow, channel * storedRow + row), channel * row);
  }
  return sliced;
}
