import { median } from "../../src/median.ts";
import { assertEquals } from "@std/assert";
import { smooth, smoothingRadius, thin } from "../../src/report/series.ts";

const points = (...values: number[]) => values.map((y, x) => ({ x, y }));

Deno.test("smoothing is the mean of the whole window around each point that has one", () => {
  assertEquals(smooth(points(0, 3, 6, 0, 3), 1), [{ x: 1, y: 3 }, { x: 2, y: 3 }, { x: 3, y: 3 }]);
  assertEquals(smooth(points(1, 2), 0), points(1, 2));
  assertEquals(smooth(points(1, 2), 1), []);
});

Deno.test("smoothing leaves a straight line where it is", () => {
  const line = points(...Array.from({ length: 9 }, (_, index) => 2 * index));
  assertEquals(smooth(line, 2), line.slice(2, -2));
});

Deno.test("a chosen window always leaves most of the points", () => {
  assertEquals([0, 2, 59, 60, 160, 1500].map(smoothingRadius), [0, 0, 0, 1, 2, 25]);
});

Deno.test("thinning averages neighbours and says how many", () => {
  assertEquals(thin(points(1, 2, 3), 3), { points: points(1, 2, 3), group: 1 });
  assertEquals(thin(points(1, 3, 5, 7, 9), 3), {
    points: [{ x: 0.5, y: 2 }, { x: 2.5, y: 6 }, { x: 4, y: 9 }],
    group: 2,
  });
  assertEquals(thin([], 3), { points: [], group: 1 });
});

Deno.test("median", () => {
  assertEquals([[3, 1, 2], [4, 1, 2, 3], [5], []].map(median), [2, 2.5, 5, NaN]);
});
