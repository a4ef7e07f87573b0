import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { purpose, Random } from "../../../src/random.ts";
import type { EvaluatedSubnet } from "../../../src/studies/correlate/analysis.ts";
import { withinStrata } from "../../../src/studies/correlate/strata.ts";
import { worthOfRight } from "./rights.ts";

const settings = { groupSize: 100, seed: 2, draws: 400 };

/** A subnet that is right on so many of 200 images, others for each. */
function subnet(macs: number, lastWidth: number, right: number): EvaluatedSubnet {
  const order = new Random(right, purpose.test, lastWidth).permutation(200);
  const images = new Uint8Array(200);
  for (const image of order.subarray(0, right)) images[image] = 1;
  return {
    arch: `${macs} ${lastWidth} ${right}`,
    macs,
    params: macs,
    lastWidth,
    scores: {},
    zeroCost: {},
    worth: [worthOfRight(images)],
  };
}

Deno.test("within one size and one last width: what both order alike counts nothing, what orders inside does", () => {
  // The wider ones are much better; within a width, the others' order is that of `inside`.
  const rights = [60, 80, 40, 100, 140, 160, 120, 180, 150, 130];
  const subnets = rights.map((right, at) => subnet(110 + at, at < 4 ? 8 : 16, right));
  const width = subnets.map(({ lastWidth }) => lastWidth);
  const inside = rights, opposed = rights.map((right) => -right);
  const [byWidth, byInside, byOpposed] = withinStrata(subnets, [width, inside, opposed], settings);
  assertEquals(byWidth.spearman, NaN);
  assertEquals(byWidth.interval, [NaN, NaN]);
  assertEquals([byInside.spearman, byOpposed.spearman], [1, -1]);
  assertEquals(byInside.strata, [
    { from: 100, to: 200, lastWidth: 8, subnets: 4, spearman: 1 },
    { from: 100, to: 200, lastWidth: 16, subnets: 6, spearman: 1 },
  ]);
  assert(0.3 < byInside.interval[0] && byInside.interval[0] < 1, String(byInside.interval));
  assertEquals(withinStrata(subnets, [inside], settings)[0], byInside);
});

Deno.test("strata weigh as many as their subnets; those of fewer than four are left out", () => {
  const subnets = [
    ...[50, 60, 70, 80].map((right) => subnet(50, 8, right)),
    ...[50, 60, 70, 80, 90, 100].map((right) => subnet(150, 8, right)),
    ...[50, 60, 70].map((right) => subnet(150, 16, right)),
  ];
  // As they are in the first, the other way round in the second.
  const predictor = [1, 2, 3, 4, 6, 5, 4, 3, 2, 1, 1, 2, 3];
  const [{ spearman, strata }] = withinStrata(subnets, [predictor], settings);
  assertEquals(strata.map(({ from, subnets, spearman }) => [from, subnets, spearman]), [[0, 4, 1], [
    100,
    6,
    -1,
  ]]);
  assertAlmostEquals(spearman, (4 - 6) / 10, 1e-12);
});

Deno.test("no stratum, no number", () => {
  const [{ spearman, interval, strata }] = withinStrata(
    [subnet(1, 8, 50), subnet(2, 8, 60)],
    [[1, 2]],
    settings,
  );
  assertEquals([spearman, interval, strata], [NaN, [NaN, NaN], []]);
});
