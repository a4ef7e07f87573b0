import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { analyse, type EvaluatedSubnet, results } from "../../../src/studies/correlate/analysis.ts";
import { purpose, Random } from "../../../src/random.ts";
import { worthOfRight } from "./rights.ts";

/** Subnets whose accuracy rises with their number, judged on images of which each is right with that chance. */
function subnets(
  count: number,
  scores: (at: number) => Record<string, number>,
  seeds = 1,
): EvaluatedSubnet[] {
  return Array.from({ length: count }, (_, at) => ({
    arch: `subnet ${at}`,
    macs: 100 + 10 * (at % 7),
    params: 1000 - at,
    lastWidth: 8,
    scores: scores(at),
    zeroCost: { naswot: (at * 7) % count },
    worth: Array.from({ length: seeds }, (_, seed) => {
      const random = new Random(7, purpose.test, at, seed);
      return worthOfRight(
        Uint8Array.from({ length: 400 }, () => Number(random.chance(0.3 + 0.6 * at / count))),
      );
    }),
  }));
}

Deno.test("a score that follows the truth beats rivals that do not", () => {
  const { correlations, ceiling } = analyse(
    subnets(24, (at) => ({ good: at, noise: (at * 5) % 24 })),
    { groupSize: 20, seed: 1 },
  );
  assertEquals(correlations.map(({ metric }) => metric), [
    "good",
    "noise",
    "macs",
    "params",
    "lastWidth",
    "naswot",
  ]);
  const [good, noise, macs, params, lastWidth, naswot] = correlations;
  assert(good.spearman > 0.95);
  assert(good.interval[0] > 0.8 && good.interval[1] <= 1 && good.interval[0] <= good.spearman);
  assert(good.intervalSubnets[0] >= good.interval[0] - 0.05);
  assert(good.over!.macs[0] > 0, "clearly better than MACs");
  assert(noise.over!.macs[0] < 0 && noise.over!.macs[1] > 0, "not told from MACs");
  assertAlmostEquals(params.spearman, -good.spearman, 1e-12);
  assertEquals(lastWidth.spearman, NaN);
  assertEquals(macs.over, undefined);
  assertEquals([naswot.kind, naswot.over], ["rival", undefined]);
  assert(good.over!.naswot[0] > 0, "clearly better than a zero-cost score that is noise");
  assertEquals(good.regret, 0);
  assertEquals(ceiling, undefined);
});

Deno.test("groups of MACs hold every subnet once, and are ascending", () => {
  const { correlations: [good] } = analyse(subnets(24, (at) => ({ good: at })), { groupSize: 20, seed: 1 });
  assertEquals(good.withinGroups.map(({ from, to }) => [from, to]), [[100, 120], [120, 140], [140, 160], [
    160,
    180,
  ]]);
  assertEquals(good.withinGroups.reduce((sum, { subnets }) => sum + subnets, 0), 24);
  for (const { spearman } of good.withinGroups) assert(spearman > 0.5);
});

Deno.test("the ceiling is the agreement of two seeds; the same seed gives the same intervals", () => {
  const table = subnets(12, (at) => ({ score: at }), 2);
  const settings = { groupSize: 100, seed: 3 };
  const first = analyse(table, settings);
  assert(first.ceiling!.spearman > 0.9 && first.ceiling!.interval[0] < first.ceiling!.spearman);
  assertEquals(analyse(table, settings), first);
  assertEquals(results(table, 0).length, 12);
});
