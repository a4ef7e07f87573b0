import { latencyOf } from "../../src/search/latency.ts";
import { assertEquals, assertThrows } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import { rankCandidates, rankingCsv, withTimes } from "../../src/search/ranking.ts";
import { macs, parameters } from "../../src/elastic/costs.ts";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { small } from "../elastic/spaces.ts";

const network = new ElasticResNet(new SearchSpace(small));

const { space } = network;
const imageSize = 16;
const groupSize = 4e5;
const architectures = [...space.enumerate()];
const scores = architectures.map((_, index) => [index % 7 / 7, index % 5 / 5]);
const ranking = rankCandidates(network, architectures, ["c2", "c3"], scores, { groupSize, imageSize });

Deno.test("groups ascend in MACs; within them the best is first", () => {
  const { groups, candidates } = ranking;
  assertEquals(groups.map(({ from }) => from), groups.map(({ from }) => from).sort((a, b) => a - b));
  assertEquals(groups.reduce((sum, { evaluated }) => sum + evaluated, 0), space.size);
  assertEquals(candidates.length, space.size);
  let at = 0;
  for (const { from, to, best, evaluated, total } of groups) {
    const members = candidates.slice(at, at += evaluated);
    assertEquals(members[0], best);
    assertEquals(total, evaluated);
    members.forEach((member, index) => {
      assertEquals(member.macs >= from && member.macs < to, true);
      assertEquals(index === 0 || member.score <= members[index - 1].score, true);
    });
  }
  const one = candidates.find(({ arch }) => arch === "4-8.12-2.1")!;
  const index = space.indexOf(space.resolve("middle"));
  assertEquals(one, {
    arch: "4-8.12-2.1",
    macs: macs(network, space.resolve("middle"), imageSize),
    params: parameters(network, space.resolve("middle")),
    score: (scores[index][0] + scores[index][1]) / 2,
    scorePerStage: { c2: scores[index][0], c3: scores[index][1] },
  });
});

Deno.test("the best of a group is dominated where a cheaper group's best scores at least as high", () => {
  const { groups } = ranking;
  for (const [index, { best, dominatedBy }] of groups.entries()) {
    const cheaper = groups.slice(0, index).map(({ best }) => best).filter(({ score }) => score >= best.score);
    assertEquals(dominatedBy === null, cheaper.length === 0);
    if (dominatedBy !== null) {
      const highest = Math.max(...cheaper.map(({ score }) => score));
      assertEquals(cheaper.find(({ arch }) => arch === dominatedBy)!.score, highest);
    }
  }
  assertEquals(new Set(groups.map(({ dominatedBy }) => dominatedBy === null)), new Set([true, false]));
});

Deno.test("the table has a line a candidate", () => {
  const lines = rankingCsv(ranking, ["c2", "c3"], groupSize).split("\n");
  assertEquals(lines[0], "arch,macs,params,group_from,score,score_c2,score_c3");
  const { arch, macs, params, score, scorePerStage: { c2, c3 } } = ranking.candidates[0];
  assertEquals(lines[1], [arch, macs, params, ranking.groups[0].from, score, c2, c3].join(","));
  assertEquals(lines.length, space.size + 2);
});

Deno.test("measured times stand beside their candidates", () => {
  const { arch } = ranking.groups[1].best;
  const timed = withTimes(ranking, new Map([[arch, [latencyOf(1, [4]), latencyOf(8, [1, 1.5, 2])]]]));
  assertEquals(
    timed.groups.map(({ best }) => best.msPerImage),
    ranking.groups.map((_, at) => at === 1 ? 1.5 : undefined),
  );
  const [header, ...lines] = rankingCsv(timed, ["c2", "c3"], groupSize).split("\n");
  assertEquals(
    header.split(",").slice(-4),
    ["ms_per_image", "ms_per_image_lower_quartile", "ms_per_image_upper_quartile", "ms_single_image"],
  );
  const ends = (end: string) => lines.filter((line) => line.endsWith(end)).map((line) => line.split(",")[0]);
  assertEquals(ends(",1.5,1.25,1.75,4"), [arch]);
  assertEquals(ends(",,,,").length, space.size - 1);
});

Deno.test("features that are not finite are reported, not ranked", () => {
  const broken = scores.with(3, [NaN, 0.5]);
  assertThrows(
    () => rankCandidates(network, architectures, ["c2", "c3"], broken, { groupSize, imageSize }),
    DataError,
    "are not finite",
  );
});
