import { assertAlmostEquals, assertEquals } from "@std/assert";
import {
  kendall,
  middleInterval,
  midranks,
  pearson,
  precisionOfTopTenth,
  regret,
  resample,
  spearman,
} from "../../src/evaluate/correlation.ts";
import { purpose, Random } from "../../src/random.ts";

const a = [1, 2, 3, 4, 5, 6, 7, 7, 2, 9];
const b = [2, 1, 4, 3, 7, 5, 6, 8, 2, 8];

Deno.test("midranks share the mean of equal values", () => {
  assertEquals([...midranks([3, 1, 3, 2, 3])], [4, 1, 4, 2, 4]);
  assertEquals([...midranks([])], []);
});

Deno.test("correlations with ties equal scipy's", () => {
  // scipy.stats 1.10.1: pearsonr, spearmanr, kendalltau (tau-b)
  assertAlmostEquals(pearson(a, b), 0.9023998211745727, 1e-12);
  assertAlmostEquals(spearman(a, b), 0.9079754601226994, 1e-12);
  assertAlmostEquals(kendall(a, b), 0.7674418604651163, 1e-12);
});

Deno.test("correlations are 1 in the same order, -1 in the other, and not a number without variation", () => {
  for (const correlation of [pearson, spearman, kendall]) {
    assertAlmostEquals(correlation([1, 2, 3, 4], [10, 20, 30, 40]), 1, 1e-12);
    assertAlmostEquals(correlation([1, 2, 3, 4], [4, 3, 2, 1]), -1, 1e-12);
    assertEquals(correlation([1, 1, 1], [1, 2, 3]), NaN);
    assertEquals(correlation([0.1, 0.1, 0.1], [1, 2, 3]), NaN);
    assertEquals(correlation([1], [1]), NaN);
  }
  assertAlmostEquals(spearman([1, 2, 3, 4], [1, 8, 27, 64]), 1, 1e-12);
});

Deno.test("the top tenth is one of ten, two of eleven; ties at the actual edge belong to it", () => {
  const actual = [10, 9, 8, 7, 6, 5, 4, 3, 2, 1];
  assertEquals(precisionOfTopTenth(actual, actual), 1);
  assertEquals(precisionOfTopTenth([0, 1, 0, 0, 0, 0, 0, 0, 0, 0], actual), 0);
  assertEquals(precisionOfTopTenth([0, 1, 0, 0, 0, 0, 0, 0, 0, 0], [10, 10, 8, 7, 6, 5, 4, 3, 2, 1]), 1);
  const eleven = [...actual, 0];
  assertEquals(precisionOfTopTenth([5, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0], eleven), 0.5);
});

Deno.test("regret is what the first choice lacks", () => {
  assertEquals(regret([0, 3, 1], [0.5, 0.25, 0.75]), 0.5);
  assertEquals(regret([0, 1, 3], [0.5, 0.25, 0.75]), 0);
});

Deno.test("the middle 95 % of draws, those that are not numbers left out", () => {
  const draws = Array.from({ length: 1001 }, (_, index) => index).reverse();
  assertEquals(middleInterval([...draws, NaN]), [25, 975]);
  assertEquals(middleInterval([NaN]), [NaN, NaN]);
});

Deno.test("a bootstrap sample draws with replacement", () => {
  const drawn = resample(1000, new Random(1, purpose.test));
  assertEquals(drawn.length, 1000);
  assertEquals(drawn.every((index) => index < 1000), true);
  // 1 - 1/e of the things come at least once.
  assertAlmostEquals(new Set(drawn).size / 1000, 1 - Math.exp(-1), 0.05);
});
