import { assert, assertEquals } from "@std/assert";
import { thinCrowds } from "../../src/report/crowds.ts";
import type { SearchCandidate } from "../../src/report/search_data.ts";

const picture = { width: 1000, height: 400 };

const candidate = (macs: number, score: number): SearchCandidate => ({
  ...{ arch: `${macs}/${score}`, macs, params: 1, score, scorePerStage: [score] },
});

/** Many candidates near the middle, and one in each of two corners. */
const crowd = [
  candidate(0, 0),
  ...Array.from(
    { length: 900 },
    (_, index) => candidate(480 + index % 30, 0.48 + 0.001 * Math.floor(index / 30)),
  ),
  candidate(1000, 1),
];

Deno.test("few candidates stay as they are", () => {
  const few = crowd.slice(0, 20);
  assertEquals(thinCrowds(few, picture, 20), few.map((candidate) => ({ candidate, count: 1 })));
});

Deno.test("crowds get thinner, lonely points stay, and every candidate is counted once", () => {
  const points = thinCrowds(crowd, picture, 100);
  assert(points.length > 20 && points.length <= 100, `${points.length} points`);
  assertEquals(points.reduce((sum, { count }) => sum + count, 0), crowd.length);
  assertEquals(new Set(points.map(({ candidate }) => candidate.arch)).size, points.length);
  for (const corner of [crowd[0], crowd.at(-1)]) {
    assertEquals(points.find(({ candidate }) => candidate === corner)?.count, 1);
  }
});

Deno.test("candidates that are all alike become one", () => {
  const points = thinCrowds(Array.from({ length: 50 }, () => candidate(3, 0.5)), picture, 10);
  assertEquals(points.map(({ count }) => count), [50]);
});
