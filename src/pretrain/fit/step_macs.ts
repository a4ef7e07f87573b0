/** The work of a step, in multiply-accumulates: what times of other configurations are estimated by. */
import { hasQueue } from "../../config/objective.ts";
import type { Config } from "../../config/schema.ts";
import type { Architecture } from "../../elastic/architecture.ts";
import { macs } from "../../elastic/costs.ts";
import { configuredNetwork } from "../../nn/configured_network.ts";
import type { Network } from "../../nn/network.ts";
import { purpose, Random } from "../../random.ts";

/** What a step's work depends on, beside architectures. */
type StepSettings = Pick<Config, "distillation"> & { data: { imageSize: number } };

/** Steps whose architectures are averaged. */
const averagedSteps = 64;

/**
 * Of one image of a step: keys, and what the network teaches itself, by the largest architecture; then each pass forwards,
 * and twice that backwards.
 */
export function stepMacs(
  network: Network,
  { data: { imageSize }, distillation }: StepSettings,
  architectures: readonly Architecture[],
): number {
  const passes = architectures.reduce((sum, one) => sum + macs(network, one, imageSize), 0);
  const whole = Number(hasQueue({ distillation })) + Number(distillation.teacher === "self");
  return whole * macs(network, network.space.max, imageSize) + 3 * passes;
}

/** Of one image of a step, averaged over the architectures that steps draw. */
export function averageStepMacs(
  config: StepSettings & Pick<Config, "space" | "sandwich"> & { training: { seed: number } },
): number {
  const network = configuredNetwork(config);
  const { training: { seed }, sandwich } = config;
  let sum = 0;
  for (let step = 0; step < averagedSteps; step++) {
    const passes = network.space.sandwich(new Random(seed, purpose.architecture, step), sandwich);
    sum += stepMacs(network, config, passes.map(({ architecture }) => architecture));
  }
  return sum / averagedSteps;
}

/** Of one image that an evaluation looks at: the largest architecture, forwards. */
export function evaluationMacs(config: Config): number {
  const network = configuredNetwork(config);
  return macs(network, network.space.max, config.data.imageSize);
}
