/** `deno task space`: how large a search space is and what its architectures cost. */

import { type Architecture, formatArchitecture } from "../elastic/architecture.ts";
import { groupsByMacs, type MacGroup, macs, parameters, roundGroupSize } from "../elastic/costs.ts";
import { configuredNetwork } from "../nn/configured_network.ts";
import { defineCommand, runCommand } from "./command.ts";
import { configFlags, loadFlaggedConfig } from "./config_flags.ts";
import { formatCount, formatQuantity, formatRoundQuantity, formatTable } from "./format.ts";

interface Costs {
  readonly arch: string;
  readonly macs: number;
  readonly params: number;
}

interface SpaceSummary {
  readonly architectures: number;
  readonly imageSize: number;
  readonly groupSize: number;
  readonly min: Costs;
  readonly max: Costs;
  readonly named: Readonly<Record<string, Costs>>;
  readonly groups: readonly MacGroup[];
}

const histogramWidth = 40;

function formatSummary(
  { architectures, imageSize, groupSize, min, max, named, groups }: SpaceSummary,
): string {
  const row = (name: string, costs: Costs) => [
    name,
    costs.arch,
    formatQuantity(costs.macs, 5),
    formatQuantity(costs.params, 5),
  ];
  const mostCommon = Math.max(...groups.map(({ count }) => count));
  return [
    `${formatCount(architectures)} architecture${architectures === 1 ? "" : "s"}`,
    "",
    formatTable([
      ["", "architecture", "MACs", "parameters"],
      row("min", min),
      ...Object.entries(named).map(([name, costs]) => row(name, costs)),
      row("max", max),
    ], "llrr"),
    "",
    `Architectures per group of ${formatRoundQuantity(groupSize)} MACs`,
    formatTable(
      groups.map(({ from, to, count }) => [
        formatRoundQuantity(from),
        `to ${formatRoundQuantity(to)}`,
        formatCount(count),
        "█".repeat(Math.ceil(histogramWidth * count / mostCommon)),
      ]),
      "rlrl",
    ),
    "",
    `MACs of convolutions for one image of ${imageSize} x ${imageSize}; ` +
    "parameters of convolutions and batchnorm, without a head.",
  ].join("\n");
}

/** The command; exported for its tests. */
export const spaceCommand = defineCommand({
  name: "space",
  summary: "Shows the size of a search space, the MACs and parameters of its smallest, largest and named " +
    "architectures, and how many architectures there are per group of MACs.",
  flags: {
    ...configFlags,
    imageSize: {
      type: "integer",
      placeholder: "PIXELS",
      minimum: 1,
      maximum: 4096,
      description: "Side of the square image that MACs are counted for (default: the configuration's)",
    },
    groupSize: {
      type: "quantity",
      placeholder: "MACS",
      description: "MACs per group, e.g. 1G (default: a round number that makes at most 16 groups)",
    },
  },
  examples: [
    "deno task space",
    "deno task space --config configs/imagenet-ar50to101.json",
    "deno task space --config configs/cifar10-elastic.json --group-size 100M --json",
  ],
  async run({ flags }): Promise<SpaceSummary> {
    const config = await loadFlaggedConfig(flags);
    const network = configuredNetwork(config);
    const { space } = network;
    const imageSize = flags.imageSize ?? config.data.imageSize;
    const groupSize = flags.groupSize ?? roundGroupSize(network, imageSize);
    const costs = (architecture: Architecture): Costs => ({
      arch: formatArchitecture(architecture),
      macs: macs(network, architecture, imageSize),
      params: parameters(network, architecture),
    });
    return {
      architectures: space.size,
      imageSize,
      groupSize,
      min: costs(space.min),
      max: costs(space.max),
      named: Object.fromEntries([...space.named].map(([name, architecture]) => [name, costs(architecture)])),
      groups: groupsByMacs(network, imageSize, groupSize),
    };
  },
  format: formatSummary,
});

if (import.meta.main) await runCommand(spaceCommand);
