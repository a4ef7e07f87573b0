import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { DataError, ShapeError } from "../../src/errors.ts";
import {
  classCounts,
  confusionMatrix,
  frequentConfusions,
  perClassAccuracy,
  wilsonInterval,
  wrongCount,
} from "../../src/evaluate/classification.ts";

Deno.test("the interval of a share is Wilson's, to the last digits", () => {
  // The ends solve (share - p)^2 = z^2 p (1 - p) / count; these were computed with 40 decimal digits.
  const known: [number, number, number, number][] = [
    [50, 100, 0.4038315303659956, 0.5961684696340044],
    [1, 10, 0.017876213095072903, 0.4041500267952385],
    [436, 872, 0.46688648025422663, 0.5331135197457734],
    [9871, 10000, 0.9846937960235127, 0.9891321127637741],
  ];
  for (const [right, count, low, high] of known) {
    const interval = wilsonInterval(right, count);
    assertAlmostEquals(interval[0], low, 1e-15);
    assertAlmostEquals(interval[1], high, 1e-15);
  }
  for (const [right, count] of [[3, 7], [999, 1000], [4321, 10_000]]) {
    for (const p of wilsonInterval(right, count)) {
      assertAlmostEquals((right / count - p) ** 2, 1.959963984540054 ** 2 * p * (1 - p) / count, 1e-15);
    }
  }
});

Deno.test("the interval of none and of all ends exactly at 0 and 1; nothing counted says nothing", () => {
  assertEquals(wilsonInterval(0, 30)[0], 0);
  assertEquals(wilsonInterval(30, 30)[1], 1);
  assert(wilsonInterval(0, 30)[1] > 0.1 && wilsonInterval(30, 30)[0] < 0.9);
  assertEquals(wilsonInterval(0, 0), [0, 1]);
  for (const [right, count] of [[2, 1], [-1, 4], [0.5, 4], [NaN, 4], [1, Infinity]]) {
    assertThrows(() => wilsonInterval(right, count), DataError, `${right} of ${count}`);
  }
});

Deno.test("confusions are counted by actual and predicted class", () => {
  const confusion = confusionMatrix([0, 0, 1, 1, 1, 3], Int32Array.of(0, 1, 1, 1, 0, 0), 4);
  assertEquals(confusion, [[1, 1, 0, 0], [1, 2, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]);
  assertEquals(classCounts(confusion), [2, 3, 0, 1]);
  assertEquals(wrongCount(confusion), 3);
  assertEquals(perClassAccuracy(confusion), [1 / 2, 2 / 3, null, 0]);
  assertEquals(confusionMatrix([], [], 2), [[0, 0], [0, 0]]);
});

Deno.test("labels and predictions that do not fit are refused", () => {
  assertThrows(() => confusionMatrix([0], [], 2), ShapeError, "1 labels and 0 predictions");
  assertThrows(
    () => confusionMatrix([0, 2], [0, 1], 2),
    DataError,
    "Image 1 has class 2; allowed are 0 to 1",
  );
  assertThrows(() => confusionMatrix([0], [-1], 2), DataError, "class -1");
});

Deno.test("the most frequent confusions come first, of equals that of the rarer class", () => {
  assertEquals(frequentConfusions([[5, 2, 0], [3, 1, 2], [2, 0, 0]]), [
    { actual: 1, predicted: 0, count: 3, share: 3 / 6 },
    { actual: 2, predicted: 0, count: 2, share: 1 },
    { actual: 1, predicted: 2, count: 2, share: 2 / 6 },
    { actual: 0, predicted: 1, count: 2, share: 2 / 7 },
  ]);
  assertEquals(frequentConfusions([[5, 0], [0, 7]]), []);
});
