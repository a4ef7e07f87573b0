/** The candidates that flags ask for, and what is said about them. */
import type { Config } from "../config/schema.ts";
import { type CandidateChoice, chooseCandidates } from "../search/candidates.ts";
import { choosePlaces, type Place } from "../search/places.ts";
import type { SimilarityOptions } from "../search/similarity/options.ts";
import { type Architecture, formatArchitecture } from "../elastic/architecture.ts";
import { roundGroupSize } from "../elastic/costs.ts";
import type { SearchSpace } from "../elastic/search_space.ts";
import { configuredNetwork } from "../nn/configured_network.ts";
import type { ElasticResNet } from "../nn/resnet.ts";
import { formatCount, formatRoundQuantity } from "./format.ts";
import type { Logger } from "./logger.ts";
import {
  comparedNetwork,
  filterOf,
  metricOf,
  perGroupOf,
  type SearchFlags,
  similarityOf,
} from "./search_flags.ts";

/** Small groups that are named one by one. */
const listedGroups = 6;

/** What is ranked. */
export interface Selection {
  /** At the output stride that features are compared at. */
  readonly network: ElasticResNet;
  readonly places: readonly Place[];
  readonly similarity: SimilarityOptions;
  readonly candidates: readonly Architecture[];
  /** MACs of a group. */
  readonly groupSize: number;
  readonly seed: number;
}

/** Chooses candidates and says which groups are taken whole. */
export function selectCandidates(flags: SearchFlags, config: Config, logger: Logger): Selection {
  const network = comparedNetwork(configuredNetwork(config), flags);
  const { space } = network;
  const { imageSize } = config.data;
  const places = choosePlaces(network, flags.task, metricOf(flags), flags.stages);
  const groupSize = flags.groupSize ?? roundGroupSize(network, imageSize);
  const seed = flags.seed ?? config.training.seed;
  const chosen = new Map<string, Architecture>();
  const add = (architecture: Architecture) => chosen.set(formatArchitecture(architecture), architecture);
  const perGroup = perGroupOf(flags);
  if (flags.all || perGroup !== undefined) {
    const filter = filterOf(flags, space);
    const choice = chooseCandidates(network, { perGroup, groupSize, imageSize, filter, seed });
    describeChoice(choice, space, perGroup, logger);
    choice.candidates.forEach(add);
  }
  flags.arch.forEach((text) => add(space.resolve(text)));
  return {
    network,
    places,
    similarity: similarityOf(flags, network, imageSize),
    candidates: [...chosen.values()],
    groupSize,
    seed,
  };
}

function describeChoice(
  { groups, population }: CandidateChoice,
  space: SearchSpace,
  perGroup: number | undefined,
  logger: Logger,
): void {
  if (population < space.size) {
    logger.warn(
      `the space has ${formatCount(space.size)} architectures; groups are drawn from ${
        formatCount(population)
      } ` +
        "random ones of them",
    );
  }
  if (perGroup === undefined) return;
  const small = groups.filter(({ available }) => available < perGroup);
  if (small.length === 0) return;
  const listed = small.slice(0, listedGroups).map(({ from, to, available }) =>
    `${formatRoundQuantity(from)} to ${formatRoundQuantity(to)} (${formatCount(available)})`
  );
  if (small.length > listedGroups) listed.push(`and ${small.length - listedGroups} more`);
  logger.info(
    small.length === groups.length
      ? `every group has fewer than ${perGroup} architectures; all are taken`
      : `groups with fewer than ${perGroup} architectures are taken whole: ${listed.join(", ")}`,
  );
}
