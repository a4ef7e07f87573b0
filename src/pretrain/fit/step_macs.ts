/** The work of a step, in multiply-accumulates: what times of other configurations are estimated by. */
import type { Config } from "../../config/schema.ts";
import type { Architecture } from "../../elastic/architecture.ts";
import { macs } from "../../elastic/costs.ts";
import { configuredNetwork } from "../../nn/configured_network.ts";
import type { Network } from "../../nn/network.ts";
import { purpose, Random } from "../../random.ts";

/** Steps whose architectures are averaged. */
const averagedSteps = 64;

/** Of one image of a step: keys by the largest architecture, then each pass forwards, and twice that backwards. */
export function stepMacs(
  network: Network,
  imageSize: number,
  architectures: readonly Architecture[],
): number {
  const passes = architectures.reduce((sum, one) => sum + macs(network, one, imageSize), 0);
  return macs(network, network.space.max, imageSize) + 3 * passes;
}

/** Of one image of a step, averaged over the architectures that steps draw. */
export function averageStepMacs(
  config: Pick<Config, "space" | "sandwich"> & { data: { imageSize: number }; training: { seed: number } },
): number {
  const network = configuredNetwork(config);
  const { training: { seed }, sandwich, data: { imageSize } } = config;
  let sum = 0;
  for (let step = 0; step < averagedSteps; step++) {
    const passes = network.space.sandwich(new Random(seed, purpose.architecture, step), sandwich);
    sum += stepMacs(network, imageSize, passes.map(({ architecture }) => architecture));
  }
  return sum / averagedSteps;
}

/** Of one image that an evaluation looks at: the largest architecture, forwards. */
export function evaluationMacs(config: Config): number {
  const network = configuredNetwork(config);
  return macs(network, network.space.max, config.data.imageSize);
}
