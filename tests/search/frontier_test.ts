import { assert, assertEquals } from "@std/assert";
import { purpose, Random } from "../../src/random.ts";
import { cheapestOfGain, dominators, frontier, type Scored } from "../../src/search/frontier.ts";

const candidate = (arch: string, macs: number, score: number, params = 1): Scored => ({
  ...{ arch, macs, params, score },
});

const ids = (candidates: readonly Scored[]) => candidates.map(({ arch }) => arch);

Deno.test("the frontier is what no candidate of the same or fewer MACs equals", () => {
  const found = frontier([
    candidate("d", 4, 0.9),
    candidate("a", 1, 0.5),
    candidate("outdone", 3, 0.6),
    candidate("b", 2, 0.7),
    candidate("same score, more MACs", 5, 0.9),
    candidate("same MACs, lower score", 2, 0.65),
    candidate("same MACs and score, more parameters", 2, 0.7, 2),
  ]);
  assertEquals(ids(found), ["a", "b", "d"]);
});

Deno.test("the frontier of another cost than MACs", () => {
  const times: Record<string, number> = { a: 3, b: 1, c: 2, d: 4 };
  const found = frontier(
    [candidate("a", 1, 0.5), candidate("b", 2, 0.7), candidate("c", 3, 0.9), candidate("d", 4, 0.95)],
    ({ arch }) => times[arch],
  );
  assertEquals(ids(found), ["b", "c", "d"]);
});

Deno.test("among random candidates, each has one on the frontier that is as cheap and as good", () => {
  const random = new Random(5, purpose.test);
  const candidates = Array.from(
    { length: 500 },
    (_, index) => candidate(String(index), random.integer(100), random.integer(50) / 50),
  );
  const found = frontier(candidates);
  for (const { macs, score } of candidates) {
    assert(found.some((point) => point.macs <= macs && point.score >= score));
  }
  for (const [index, point] of found.entries()) {
    assert(index === 0 || (point.macs > found[index - 1].macs && point.score > found[index - 1].score));
  }
});

Deno.test("the cheapest that makes a share of the gain, whatever the scale of the scores", () => {
  for (const [offset, scale] of [[0, 1], [0, 1e-6], [-3, 1]]) {
    const found = frontier(
      [0.5, 0.95, 0.97].map((score, index) => candidate("abc"[index], index + 1, offset + scale * score)),
    );
    assertEquals([0, 0.5, 0.9, 0.99, 1].map((share) => cheapestOfGain(found, share).arch), [
      "a",
      "b",
      "b",
      "c",
      "c",
    ]);
  }
  assertEquals(cheapestOfGain([candidate("only", 1, 0.3)], 0.9).arch, "only");
});

Deno.test("a winner is dominated by the best of the cheaper ones that score at least as high", () => {
  const winners = [
    candidate("a", 1, 0.5),
    candidate("b", 2, 0.8),
    candidate("below b", 3, 0.6),
    candidate("equal to b", 4, 0.8),
    candidate("c", 5, 0.9),
    candidate("same MACs as c", 5, 0.85),
  ];
  assertEquals(dominators(winners).map((one) => one?.arch), [
    undefined,
    undefined,
    "b",
    "b",
    undefined,
    undefined,
  ]);
});
