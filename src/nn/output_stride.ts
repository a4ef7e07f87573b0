/** Output stride: how many pixels of the image, along a side, one of a network's last map stands for. */
import { tapShapes } from "../elastic/network.ts";
import { ConfigurationError, UsageError } from "../errors.ts";
import type { Network } from "./network.ts";
import { ElasticResNet } from "./resnet.ts";

/** Heads of segmentation are trained at this one where nothing else is said. */
export const segmentationStride = 16;

/** The output stride that a network has by itself. */
export function outputStrideOf(network: Network): number {
  const side = 1024;
  return side / [...tapShapes(network, network.space.max, side).values()].at(-1)![2];
}

/**
 * The network with the strides of its later stages replaced by dilation, so that its output stride is smaller. Weights stay
 * what they are.
 *
 * @param name what the stride is called in messages
 * @throws {ConfigurationError} for a stride that it cannot have
 * @throws {UsageError} for a network that is no ResNet, and would have to be dilated
 */
export function withOutputStride(network: ElasticResNet, outputStride: number, name?: string): ElasticResNet;
export function withOutputStride(network: Network, outputStride: number, name?: string): Network;
export function withOutputStride(
  network: Network,
  outputStride: number,
  name = "segmentation.outputStride",
): Network {
  const natural = outputStrideOf(network);
  if (natural === outputStride) return network;
  if (!(network instanceof ElasticResNet)) {
    throw new UsageError(`Only a ResNet can be dilated; this network has output stride ${natural}.`);
  }
  const { strides } = network.space.definition;
  const dilated = strides.map(() => false);
  let stride = natural;
  for (let stage = strides.length - 1; stage > 0 && stride > outputStride; stage--) {
    if (strides[stage] === 1) continue;
    dilated[stage] = true;
    stride /= strides[stage];
  }
  if (stride === outputStride) return new ElasticResNet(network.space, { ...network.options, dilated });
  throw new ConfigurationError(
    `${name} is ${outputStride}, but this network has ${natural}. Allowed: ${
      possibleStrides(natural, strides).join(", ")
    }.`,
  );
}

/** The network's own, and what dilating its stages makes of it, from the last to the second. */
function possibleStrides(natural: number, strides: readonly number[]): number[] {
  const possible = [natural];
  for (const stride of strides.slice(1).reverse()) {
    if (stride > 1) possible.push(possible.at(-1)! / stride);
  }
  return possible;
}
