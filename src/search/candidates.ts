/** Which architectures are ranked: all, or some of each group of MACs, after filters. */
import { UsageError } from "../errors.ts";
import { purpose, Random } from "../random.ts";
import { type Architecture, formatArchitecture } from "../elastic/architecture.ts";
import { macs, parameters } from "../elastic/costs.ts";
import type { ChoiceSpace } from "../elastic/choice_space.ts";
import type { ElasticNetwork } from "../elastic/network.ts";

/** A closed range; an absent bound is none. */
export interface Range {
  readonly from?: number;
  readonly to?: number;
}

/** What a candidate must keep to. */
export interface CandidateFilter {
  readonly macs?: Range;
  readonly params?: Range;
  /** By the name of a dimension of the space, e.g. `stage 2 width`. */
  readonly choices: ReadonlyMap<string, Range>;
}

/** How candidates are chosen. */
export interface CandidateRequest {
  /** Random architectures of each group of MACs; undefined takes all. */
  readonly perGroup: number | undefined;
  /** MACs of a group. */
  readonly groupSize: number;
  /** Side of the square image that MACs are counted for, in pixels. */
  readonly imageSize: number;
  readonly filter: CandidateFilter;
  readonly seed: number;
}

/** A half-open range of MACs, and how many architectures in it pass the filter. */
export interface CandidateGroup {
  readonly from: number;
  readonly to: number;
  /** Of the space, or of the sample that stands for it. */
  readonly available: number;
  readonly chosen: number;
}

/** Chosen candidates. */
export interface CandidateChoice {
  readonly candidates: readonly Architecture[];
  /** Ascending, without those that nothing was chosen from. */
  readonly groups: readonly CandidateGroup[];
  /** Architectures that were looked at: the whole space, or a random sample of a space that is too large. */
  readonly population: number;
}

/** Spaces up to this size are looked at one by one, and can be ranked whole. */
const wholeLimit = 2 ** 20;
/** Architectures that stand for a larger space. */
const sampleSize = 2 ** 17;

/** Whether a value lies in a range; undefined holds everything. */
export function within(value: number, range: Range | undefined): boolean {
  return range === undefined || (value >= (range.from ?? -Infinity) && value <= (range.to ?? Infinity));
}

function passes(network: ElasticNetwork, architecture: Architecture, filter: CandidateFilter): boolean {
  return network.space.dimensions.every(({ name }, dimension) =>
    within(architecture.choices[dimension], filter.choices.get(name))
  ) &&
    (filter.params === undefined || within(parameters(network, architecture), filter.params));
}

function* population(space: ChoiceSpace, seed: number): Generator<number> {
  if (space.size <= wholeLimit) {
    for (let index = 0; index < space.size; index++) yield index;
    return;
  }
  const random = new Random(seed, purpose.candidates);
  const drawn = new Set<number>();
  while (drawn.size < sampleSize) drawn.add(space.indexOf(space.sampleUniform(random)));
  yield* [...drawn].sort((a, b) => a - b);
}

/**
 * Chooses candidates; the same for the same seed.
 *
 * @throws {UsageError} when no architecture passes the filter, or all of a space are asked for that is too large
 */
export function chooseCandidates(network: ElasticNetwork, request: CandidateRequest): CandidateChoice {
  const { space } = network;
  const { perGroup, groupSize, imageSize, filter, seed } = request;
  if (perGroup === undefined && space.size > wholeLimit) {
    throw new UsageError(
      `The space has ${space.size} architectures; at most ${wholeLimit} can be ranked. Draw some of each group.`,
      { about: "all" },
    );
  }
  const byGroup = new Map<number, number[]>();
  for (const index of population(space, seed)) {
    const architecture = space.at(index);
    if (!passes(network, architecture, filter)) continue;
    const cost = macs(network, architecture, imageSize);
    if (!within(cost, filter.macs)) continue;
    const group = Math.floor(cost / groupSize);
    const members = byGroup.get(group);
    if (members) members.push(index);
    else byGroup.set(group, [index]);
  }
  if (byGroup.size === 0) {
    throw new UsageError(
      `No architecture of the space passes the filters. Widen the ranges of MACs, parameters, stem, widths or depths; ` +
        `the space reaches from ${describe(network, space.min, imageSize)} to ${
          describe(network, space.max, imageSize)
        }.`,
      { about: "filters" },
    );
  }
  const candidates: Architecture[] = [];
  const groups = [...byGroup].sort(([a], [b]) => a - b).map(([group, members]): CandidateGroup => {
    const chosen = perGroup === undefined || members.length <= perGroup
      ? members
      : pick(members, perGroup, new Random(seed, purpose.candidates, 2, group));
    for (const index of chosen) candidates.push(space.at(index));
    return {
      from: group * groupSize,
      to: (group + 1) * groupSize,
      available: members.length,
      chosen: chosen.length,
    };
  });
  return { candidates, groups, population: space.size <= wholeLimit ? space.size : sampleSize };
}

function describe(network: ElasticNetwork, architecture: Architecture, imageSize: number): string {
  return `${formatArchitecture(architecture)} (${macs(network, architecture, imageSize)} MACs, ${
    parameters(network, architecture)
  } parameters)`;
}

function pick(members: readonly number[], count: number, random: Random): number[] {
  return Array.from(random.permutation(members.length).subarray(0, count), (at) => members[at]);
}
