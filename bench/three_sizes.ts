import type { Architecture } from "../src/elastic/architecture.ts";
import { formatArchitecture } from "../src/elastic/architecture.ts";
import { macs } from "../src/elastic/costs.ts";
import type { Network } from "../src/nn/network.ts";

/** Smallest, middle and largest by MACs, each once; the middle one of a space that can be listed. */
export function threeSizes(network: Network, imageSize: number): Architecture[] {
  const { space } = network;
  const cost = (architecture: Architecture) => macs(network, architecture, imageSize);
  const sorted = space.size > 100_000 ? [] : [...space.enumerate()].sort((a, b) => cost(a) - cost(b));
  const sizes = [space.min, ...sorted.slice(sorted.length >> 1, (sorted.length >> 1) + 1), space.max];
  return [...new Map(sizes.map((one) => [formatArchitecture(one), one])).values()];
}
