/** From scores to the ranking: best first within each group of MACs; and its files. */
import { DataError } from "../errors.ts";
import { type Architecture, formatArchitecture } from "../elastic/architecture.ts";
import { groupsByMacs, macs, parameters } from "../elastic/costs.ts";
import type { ElasticNetwork } from "../elastic/network.ts";
import { dominators } from "./frontier.ts";
import type { Interval } from "./intervals.ts";
import type { Latency } from "./latency.ts";

/** An evaluated candidate. */
export interface RankedCandidate {
  readonly arch: string;
  /** MACs of its convolutions for one image. */
  readonly macs: number;
  /** Parameters of its convolutions and batchnorms. */
  readonly params: number;
  /** Mean over the places; 1 for features like the teacher's. */
  readonly score: number;
  /** Score at each place, by its name. */
  readonly scorePerStage: Readonly<Record<string, number>>;
  /** Where 95 % of the scores lie that resampled images give; absent where there are too few images to say. */
  readonly interval?: Interval;
  /** Whether its score cannot be told from the highest of its group, which it may be itself; absent without intervals. */
  readonly tiedWithBest?: boolean;
  /** Whether its time is within the budget; absent without a budget, and where it was not measured. */
  readonly withinBudget?: boolean;
  /** Forward time of an image in a batch of the search, in milliseconds, where it was measured: a median. */
  readonly msPerImage?: number;
  /** Forward times with their spread, where they were measured: of single images, then of the search's batch. */
  readonly latency?: readonly Latency[];
}

/** Half-open range of MACs with evaluated candidates. */
export interface RankedGroup {
  readonly from: number;
  readonly to: number;
  /** Architectures of the space in this range. */
  readonly total: number;
  readonly evaluated: number;
  /** The one with the highest score, or the cheapest of those that cannot be told from it where such are preferred. */
  readonly best: RankedCandidate;
  /** The one with the highest score, by its id. */
  readonly highest: string;
  /** How many others cannot be told from the highest; absent without intervals. */
  readonly tied?: number;
  /** Another group's best that is cheaper and scores at least as high, by its id; null where there is none. */
  readonly dominatedBy: string | null;
}

/** A ranking. */
export interface Ranking {
  /** Architectures of the space in the groups of which some were evaluated. */
  readonly total: number;
  /** Ascending in MACs; without those of which nothing keeps to a time budget. */
  readonly groups: readonly RankedGroup[];
  /** Groups in order; within each the best first, the others by score. */
  readonly candidates: readonly RankedCandidate[];
}

/** How candidates are grouped. */
export interface Grouping {
  readonly groupSize: number;
  /** Side of the square image that MACs are counted for, in pixels. */
  readonly imageSize: number;
}

/**
 * Ranks candidates.
 *
 * @param scores of each candidate at each place
 * @throws {DataError} when a score is not a number: the network's features are not finite
 */
export function rankCandidates(
  network: ElasticNetwork,
  architectures: readonly Architecture[],
  places: readonly string[],
  scores: readonly (readonly number[])[],
  { groupSize, imageSize }: Grouping,
): Ranking {
  const totals = new Map(groupsByMacs(network, imageSize, groupSize).map(({ from, count }) => [from, count]));
  const byGroup = new Map<number, RankedCandidate[]>();
  architectures.forEach((architecture, index) => {
    const candidate: RankedCandidate = {
      arch: formatArchitecture(architecture),
      macs: macs(network, architecture, imageSize),
      params: parameters(network, architecture),
      score: scores[index].reduce((sum, score) => sum + score, 0) / places.length,
      scorePerStage: Object.fromEntries(places.map((place, column) => [place, scores[index][column]])),
    };
    if (!Number.isFinite(candidate.score)) {
      throw new DataError(
        `The features of ${candidate.arch} are not finite: the run has diverged. Search an earlier checkpoint, ` +
          `or pretrain with a lower learning rate.`,
      );
    }
    const from = Math.floor(candidate.macs / groupSize) * groupSize;
    const members = byGroup.get(from);
    if (members) members.push(candidate);
    else byGroup.set(from, [candidate]);
  });
  const ordered = [...byGroup].sort(([a], [b]) => a - b).map(([from, members]) => ({
    from,
    members: members.sort((a, b) => b.score - a.score || a.macs - b.macs),
  }));
  const groups = ordered.map(({ from, members }) => ({
    from,
    to: from + groupSize,
    // A named architecture may lie between the choices, where no other does.
    total: Math.max(totals.get(from) ?? 0, members.length),
    evaluated: members.length,
    best: members[0],
    highest: members[0].arch,
  }));
  return {
    total: groups.reduce((sum, { total }) => sum + total, 0),
    groups: withDominators(groups),
    candidates: ordered.flatMap(({ members }) => members),
  };
}

/** Marks groups whose best a cheaper group's outdoes. */
export function withDominators(groups: readonly Omit<RankedGroup, "dominatedBy">[]): RankedGroup[] {
  const outdoing = dominators(groups.map(({ best }) => best));
  return groups.map((group, index) => ({ ...group, dominatedBy: outdoing[index]?.arch ?? null }));
}

/** The candidates of a group, in the ranking's order. */
export function membersOf(
  { candidates }: Ranking,
  { from, to }: Pick<RankedGroup, "from" | "to">,
): RankedCandidate[] {
  return candidates.filter(({ macs }) => macs >= from && macs < to);
}

/** The ranking with intervals, by architecture. */
export function withIntervals(ranking: Ranking, intervals: ReadonlyMap<string, Interval>): Ranking {
  return mapCandidates(ranking, (one) => ({ ...one, interval: intervals.get(one.arch)! }));
}

/** The ranking with measured times, by architecture; of each the last is that of the search's batch. */
export function withTimes(ranking: Ranking, times: ReadonlyMap<string, readonly Latency[]>): Ranking {
  const timed = (candidate: RankedCandidate): RankedCandidate => {
    const latency = times.get(candidate.arch);
    return latency === undefined
      ? candidate
      : { ...candidate, msPerImage: latency.at(-1)!.msPerImage, latency };
  };
  return mapCandidates(ranking, timed);
}

function mapCandidates(
  { total, groups, candidates }: Ranking,
  change: (candidate: RankedCandidate) => RankedCandidate,
): Ranking {
  return {
    total,
    groups: groups.map((group) => ({ ...group, best: change(group.best) })),
    candidates: candidates.map(change),
  };
}

/** `ranking.csv`: a line a candidate, in the order of the ranking. */
export function rankingCsv({ candidates }: Ranking, places: readonly string[], groupSize: number): string {
  const timed = candidates.some(({ msPerImage }) => msPerImage !== undefined);
  const header = [
    "arch",
    "macs",
    "params",
    "group_from",
    "score",
    ...places.map((place) => `score_${place}`),
  ];
  if (timed) {
    header.push(
      "ms_per_image",
      "ms_per_image_lower_quartile",
      "ms_per_image_upper_quartile",
      "ms_single_image",
    );
  }
  const known = candidates.some(({ interval }) => interval !== undefined);
  if (known) header.push("score_low", "score_high", "tied_with_best");
  const lines = candidates.map((candidate) => {
    const { arch, macs, params, score, scorePerStage, msPerImage, latency, interval, tiedWithBest } =
      candidate;
    return [
      arch,
      macs,
      params,
      Math.floor(macs / groupSize) * groupSize,
      score,
      ...places.map((place) => scorePerStage[place]),
      ...timed
        ? [
          msPerImage,
          latency?.at(-1)?.lowerQuartile,
          latency?.at(-1)?.upperQuartile,
          latency?.[0].msPerImage,
        ]
          .map((time) => time ?? "")
        : [],
      ...known ? [...interval!, tiedWithBest] : [],
    ].join(",");
  });
  return [header.join(","), ...lines, ""].join("\n");
}
