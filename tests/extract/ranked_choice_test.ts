import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../src/errors.ts";
import { type Budgets, chooseRanked, type RankedChoice } from "../../src/extract/ranked_choice.ts";
import type { RankingFile } from "../../src/extract/ranking_file.ts";

const candidate = (arch: string, macs: number, score: number, params = macs) => ({
  arch,
  macs,
  params,
  score,
});

const ranking: RankingFile = {
  path: "ranking.json",
  step: 3,
  groups: [{ from: 0, to: 10 }, { from: 10, to: 20 }, { from: 20, to: 30 }],
  candidates: [
    candidate("a", 5, 0.6),
    candidate("b", 8, 0.5),
    candidate("c", 12, 0.55),
    candidate("d", 14, 0.9, 40),
    candidate("e", 10, 0.7),
    candidate("f", 25, 0.9),
  ],
};

const chosen = (choice: RankedChoice, budgets: Budgets = {}) =>
  chooseRanked(ranking, choice, budgets).map(({ arch }) => arch);

Deno.test("the best within a budget, whose bounds belong to it; of equals the cheaper one", () => {
  assertEquals(chosen({ kind: "best" }), ["d"]);
  assertEquals(chosen({ kind: "best" }, { macs: { to: 12 } }), ["e"]);
  assertEquals(chosen({ kind: "best" }, { macs: { from: 11, to: 12 } }), ["c"]);
  assertEquals(chosen({ kind: "best" }, { params: { to: 30 } }), ["f"]);
  assertEquals(chosen({ kind: "best" }, { macs: { from: 8 }, params: { to: 9 } }), ["b"]);
});

Deno.test("the best N of all, the best N of each group, and the frontier, of what the budget allows", () => {
  assertEquals(chosen({ kind: "top", count: 3 }), ["d", "f", "e"]);
  assertEquals(chosen({ kind: "top", count: 99 }).length, 6);
  assertEquals(chosen({ kind: "perGroup", count: 1 }), ["a", "d", "f"]);
  assertEquals(chosen({ kind: "perGroup", count: 2 }, { macs: { to: 19 } }), ["a", "b", "d", "e"]);
  assertEquals(chosen({ kind: "frontier" }), ["a", "e", "d"]);
  assertEquals(chosen({ kind: "frontier" }, { params: { to: 30 } }), ["a", "e", "f"]);
});

/** As a search with a preference leaves it: in each group some cannot be told from the highest. */
const preferring = (prefer: RankingFile["prefer"]): RankingFile => {
  const time = (msPerImage: number) => ({
    latency: [{ batch: 1, msPerImage }, { batch: 64, msPerImage: 1 / msPerImage }],
  });
  return {
    ...ranking,
    ...(prefer && { prefer }),
    candidates: [
      { ...candidate("a", 5, 0.6), tiedWithBest: true },
      { ...candidate("b", 8, 0.5), tiedWithBest: false },
      { ...candidate("c", 12, 0.55), tiedWithBest: false, ...time(1) },
      { ...candidate("d", 14, 0.9, 40), tiedWithBest: true, ...time(5) },
      { ...candidate("e", 10, 0.7, 50), tiedWithBest: true },
      { ...candidate("g", 13, 0.8, 20), tiedWithBest: true, ...time(3) },
    ],
  };
};

Deno.test("the best of a group is what the search preferred, as far as budgets leave those that are tied", () => {
  const chosen = (prefer: RankingFile["prefer"], choice: RankedChoice, budgets: Budgets = {}) =>
    chooseRanked(preferring(prefer), choice, budgets).map(({ arch }) => arch);
  const best = { kind: "best" } as const;
  assertEquals(chosen(undefined, best), ["d"]);
  assertEquals(chosen("macs", best), ["e"]);
  assertEquals(chosen("params", best), ["g"]);
  assertEquals(chosen("latency", best), ["g"], "what was not measured is not preferred");
  assertEquals(chosen("macs", best, { macs: { from: 11 } }), ["g"]);
  assertEquals(chosen("macs", best, { macs: { from: 11, to: 12 } }), ["c"], "of the tied nothing is left");
  assertEquals(chosen("macs", { kind: "perGroup", count: 2 }), ["a", "b", "e", "d"]);
  assertEquals(chosen("macs", { kind: "top", count: 2 }), ["d", "g"], "scores alone");
});

Deno.test("a budget of time allows what was measured within it, for a single image", () => {
  const chosen = (latency: Budgets["latency"], kind: "best" | "frontier" = "best") =>
    chooseRanked(preferring(undefined), { kind }, { latency }).map(({ arch }) => arch);
  assertEquals(chosen({ to: 5 }), ["d"]);
  assertEquals(chosen({ to: 4 }), ["g"]);
  assertEquals(chosen({ to: 5 }, "frontier"), ["c", "g", "d"]);
  const within = assertThrows(() => chosen({ to: 0.5 }), UsageError);
  assertEquals(
    within.message.includes("3 were measured: a single image takes 1 to 5 ms"),
    true,
    within.message,
  );
  assertThrows(
    () => chooseRanked(ranking, { kind: "best" }, { latency: { to: 5 } }),
    UsageError,
    "Search with --measure",
  );
  // Of a search with a budget nothing else is taken than what keeps to it.
  const timed = {
    ...ranking,
    timed: true,
    candidates: ranking.candidates.map((one) => ({
      ...one,
      ...(one.arch < "c" && { withinBudget: one.arch === "b" }),
    })),
  };
  assertEquals(chooseRanked(timed, { kind: "best" }, {}).map(({ arch }) => arch), ["b"]);
});

Deno.test("a budget that nothing keeps to is refused, with what there is", () => {
  const error = assertThrows(() => chosen({ kind: "best" }, { macs: { to: 4 } }), UsageError);
  assertEquals(/have 5 to 25 MACs and 5 to 40 parameters/.test(error.message), true, error.message);
});
