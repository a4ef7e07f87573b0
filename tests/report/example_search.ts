import published from "../../configs/imagenet-ar50to101.json" with { type: "json" };
import { purpose, Random } from "../../src/random.ts";
import type { SearchCandidate, SearchGroup, SearchReport } from "../../src/report/search_data.ts";
import { formatArchitecture } from "../../src/elastic/architecture.ts";
import { groupsByMacs, macs, parameters, roundGroupSize } from "../../src/elastic/costs.ts";
import { SearchSpace, type SpaceDefinition } from "../../src/elastic/search_space.ts";
import { latencyOf } from "../../src/search/latency.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";

const strides = [1, 2, 2, 2];

/** A small space of 36 architectures, and the published one of 85 293. */
export const exampleSpaces = {
  demo: new SearchSpace({
    block: "basic",
    stem: { kind: "3x3", widths: [8] },
    widths: [[8], [8, 16], [16, 24, 32], [24, 32, 48]],
    depths: [[1], [1], [1], [1, 2]],
    strides,
  }),
  published: new SearchSpace({ ...published.space, strides } as unknown as SpaceDefinition),
};

/** Times of single images and of batches, growing with the cost. */
function exampleTimes(cost: number, random: Random): Pick<SearchCandidate, "latency"> {
  const latency = [1, 64].map((batch) => {
    const time = (batch === 1 ? 1 : 0) + cost / 3e6 * random.uniform(0.9, 1.2);
    return latencyOf(batch, [0.97, 0.99, 1, 1.02, 1.06].map((share) => share * time));
  });
  return { latency };
}

/**
 * A plausible search: at most `perGroup` random architectures of each group of MACs, scored by what share of the
 * largest each stage keeps, deeper stages mattering more, and some chance.
 */
export function exampleSearch(
  { space, imageSize, perGroup, stages, timed = false }: {
    space: SearchSpace;
    imageSize: number;
    perGroup: number;
    stages: readonly string[];
    timed?: boolean;
  },
): SearchReport {
  const random = new Random(3, purpose.test);
  const network = new ElasticResNet(space);
  const groupSize = roundGroupSize(network, imageSize);
  const candidates: SearchCandidate[] = [];
  const members = new Map<number, SearchCandidate[]>();
  for (const index of random.permutation(space.size)) {
    const architecture = space.at(index);
    const cost = macs(network, architecture, imageSize);
    const group = members.get(Math.floor(cost / groupSize)) ?? [];
    members.set(Math.floor(cost / groupSize), group);
    if (group.length === perGroup) continue;
    const scorePerStage = stages.map((_, stage) => {
      const depth = architecture.depths.map((value, at) => Math.log(value / space.max.depths[at]));
      const width = architecture.widths.map((value, at) => Math.log(value / space.max.widths[at]));
      const loss = width.reduce((sum, value, at) => sum + value * (at + 1) * 0.02, 0) +
        depth.reduce((sum, value, at) => sum + value * (4 - at) * 0.006, 0) +
        0.02 * Math.log(architecture.stem / space.max.stem);
      return 0.985 + loss * (1 + 0.3 * stage) - 0.006 * Math.abs(random.normal());
    });
    const candidate: SearchCandidate = {
      arch: formatArchitecture(architecture),
      macs: cost,
      params: parameters(network, architecture),
      score: scorePerStage.reduce((sum, score) => sum + score) / stages.length,
      scorePerStage,
      ...(timed && exampleTimes(cost, random)),
    };
    candidates.push(candidate);
    group.push(candidate);
  }
  const groups = groupsByMacs(network, imageSize, groupSize).map(({ from, to, count }): SearchGroup => {
    const evaluated = members.get(from / groupSize)!;
    const best = evaluated.reduce((best, candidate) => candidate.score > best.score ? candidate : best);
    return { from, to, total: count, evaluated: evaluated.length, best, dominatedBy: null };
  });
  return {
    title: "runs/demo/search",
    version: "0.1.0",
    device: "llvmpipe (LLVM 15.0.6, 256 bits)",
    run: "runs/demo",
    data: "folder:photos/unlabelled",
    images: 512,
    imageSize,
    task: stages.length === 1 ? "classification" : "detection",
    metric: stages.length === 1 ? "cosine" : "affinity",
    stages,
    batchnorm: "statistics of the batch",
    ranking: "runs/demo/search/ranking.json",
    evaluated: candidates.length,
    total: groups.reduce((sum, { total }) => sum + total, 0),
    seconds: 7.4 + candidates.length / 40,
    blockEvaluations: { done: 4 * candidates.length, saved: 11 * candidates.length },
    groups,
    candidates,
    settings: [["Batch", "64"], ["Seed", "1"]],
  };
}

/** The same search with intervals, in which only the best of each group is tied with itself. */
export function withTies(report: SearchReport): SearchReport {
  const bests = new Set(report.groups.map(({ best }) => best.arch));
  const known = (one: SearchCandidate): SearchCandidate => ({
    ...one,
    interval: [one.score - 0.01, one.score + 0.01],
    tiedWithBest: bests.has(one.arch),
  });
  return {
    ...report,
    groups: report.groups.map((group, index) => ({ ...group, best: known(group.best), tied: 7 * index })),
    candidates: report.candidates.map(known),
    prefer: "params",
  };
}
