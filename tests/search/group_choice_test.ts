/** How groups get their best: budgets of time with few measurements, and the cheapest of those that are tied. */
import { assertEquals } from "@std/assert";
import type { Latency } from "../../src/search/latency.ts";
import { latencyOf } from "../../src/search/latency.ts";
import { type ChoiceRules, chooseBests, withChoices } from "../../src/search/group_choice.ts";
import { type RankedCandidate, type Ranking, withTimes } from "../../src/search/ranking.ts";

const candidate = (arch: string, score: number, macs: number, params: number): RankedCandidate => ({
  ...{ arch, score, macs, params, scorePerStage: {} },
});

/** Best first; a, b, c and e, f are tied. */
const first = [
  candidate("a", 0.9, 19, 5),
  candidate("b", 0.89, 15, 9),
  candidate("c", 0.88, 12, 7),
  candidate("d", 0.5, 11, 1),
];
const second = [candidate("e", 0.8, 28, 3), candidate("f", 0.79, 29, 2)];
const group = (from: number, members: RankedCandidate[]) => ({
  ...{ from, to: from + 10, total: 9, evaluated: members.length, best: members[0] },
  ...{ highest: members[0].arch, dominatedBy: null },
});
const ranking: Ranking = {
  total: 18,
  groups: [group(10, first), group(20, second)],
  candidates: [...first, ...second],
};
const alike = ["abc", "ef"];
const single: Readonly<Record<string, number>> = { a: 8, b: 6, c: 4, d: 2, e: 7, f: 3 };

/** What is chosen, what was measured in which rounds, and the ranking that comes of it. */
async function choose(rules: Partial<ChoiceRules>, measurable = Infinity) {
  const times = new Map<string, readonly Latency[]>();
  const rounds: string[] = [];
  const tied = (one: string, other: string) => alike.some((set) => set.includes(one) && set.includes(other));
  const all: ChoiceRules = { most: 32, ...rules };
  const choices = await chooseBests(ranking, all, { tied, times }, (archs) => {
    rounds.push(archs.join(""));
    for (const arch of archs) {
      if (times.size < measurable) times.set(arch, [latencyOf(1, [single[arch]]), latencyOf(8, [1])]);
    }
    return Promise.resolve();
  });
  const chosen = choices.map((choice) =>
    choice && `${choice.best} of ${choice.highest}: ${[...choice.tied].sort().join("")}`
  );
  return { chosen, rounds, ranking: withChoices(withTimes(ranking, times), choices, all, true) };
}

Deno.test("without rules the highest score is the best, and nothing is measured", async () => {
  const { chosen, rounds, ranking } = await choose({});
  assertEquals([chosen, rounds], [["a of a: abc", "e of e: ef"], []]);
  assertEquals(ranking.groups.map(({ tied }) => tied), [2, 1]);
  assertEquals(ranking.candidates.map(({ tiedWithBest }) => tiedWithBest), [
    true,
    true,
    true,
    false,
    true,
    true,
  ]);
});

Deno.test("the cheapest of those that are tied is preferred, and comes first", async () => {
  const { chosen, rounds, ranking } = await choose({ prefer: "macs" });
  assertEquals([chosen, rounds], [["c of a: abc", "e of e: ef"], []]);
  assertEquals(ranking.candidates.map(({ arch }) => arch), [..."cabdef"]);
  assertEquals(ranking.groups.map(({ best, highest }) => [best.arch, highest]), [["c", "a"], ["e", "e"]]);
  assertEquals((await choose({ prefer: "params" })).chosen, ["a of a: abc", "f of e: ef"]);
});

Deno.test("a preference for short times measures those that are tied, the cheapest in MACs", async () => {
  assertEquals(await choose({ prefer: "latency" }).then(({ chosen, rounds }) => [chosen, rounds]), [
    ["c of a: abc", "f of e: ef"],
    ["acbef"],
  ]);
  assertEquals(
    await choose({ prefer: "latency", most: 1 }).then(({ chosen, rounds }) => [chosen, rounds]),
    [["c of a: abc", "e of e: ef"], ["ace"]],
  );
});

Deno.test("a budget is tried from the highest score down, side by side, until one keeps to it", async () => {
  const { chosen, rounds, ranking } = await choose({ latency: { to: 6 } });
  assertEquals([chosen, rounds], [["b of b: bc", "f of f: f"], ["ae", "bf"]]);
  const known = ranking.candidates.map(({ arch, withinBudget }) => [arch, withinBudget]);
  assertEquals(known, [["b", true], ["a", false], ["c", undefined], ["d", undefined], ["f", true], [
    "e",
    false,
  ]]);
  assertEquals((await choose({ latency: { from: 7.5 } })).chosen, ["a of a: abc", undefined]);
});

Deno.test("a group of which nothing measured keeps to the budget has no best; the others have", async () => {
  const { chosen, rounds, ranking } = await choose({ latency: { to: 2 } });
  assertEquals([chosen, rounds], [["d of d: d", undefined], ["ae", "bf", "c", "d"]]);
  assertEquals(ranking.groups.map(({ best }) => best.arch), ["d"]);
  assertEquals(ranking.candidates.length, 6);
  assertEquals(await choose({ latency: { to: 2 }, most: 2 }).then(({ chosen, rounds }) => [chosen, rounds]), [
    [undefined, undefined],
    ["ae", "bf"],
  ]);
});

Deno.test("a budget and a preference: the cheapest that is tied with the best within the budget, and keeps to it", async () => {
  const { chosen, rounds } = await choose({ latency: { from: 5, to: 7 }, prefer: "macs" });
  // c is cheaper than b and tied with it, but too fast.
  assertEquals([chosen, rounds], [["b of b: b", "e of e: ef"], ["ae", "b", "c"]]);
  assertEquals((await choose({ latency: { to: 7 }, prefer: "macs" })).chosen, ["c of b: bc", "e of e: ef"]);
  assertEquals((await choose({ latency: { to: 7 }, prefer: "latency" })).chosen, [
    "c of b: bc",
    "f of e: ef",
  ]);
});

Deno.test("where measuring is stopped, what is known decides, and nothing else is claimed", async () => {
  assertEquals(await choose({ latency: { to: 7 } }, 2).then(({ chosen }) => chosen), [
    undefined,
    "e of e: ef",
  ]);
  assertEquals(await choose({ prefer: "latency" }, 1).then(({ chosen }) => chosen), [
    "a of a: abc",
    "e of e: ef",
  ]);
});
