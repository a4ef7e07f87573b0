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

Deno.test("a budget that nothing keeps to is refused, with what there is", () => {
  const error = assertThrows(() => chosen({ kind: "best" }, { macs: { to: 4 } }), UsageError);
  assertEquals(/have 5 to 25 MACs and 5 to 40 parameters/.test(error.message), true, error.message);
});
