import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { DataError } from "../../../src/errors.ts";
import { purpose, Random } from "../../../src/random.ts";
import type { JudgedRow } from "../../../src/studies/compare/compare.ts";
import { summarise, summariseCurve } from "../../../src/studies/compare/summary.ts";

function row(method: string, seed: number, right: Uint8Array, epoch = 4): JudgedRow {
  const knn = right.reduce((sum, one) => sum + one, 0) / right.length;
  const name = { method, size: "min", arch: "4-4-1", macs: 100, seed, run: `${method}-${seed}`, epoch };
  return {
    ...name,
    knn,
    linear: 1 - knn,
    seconds: 10 * seed,
    right: { knn: right, linear: right.map((one) => 1 - one) },
  };
}

const random = new Random(5, purpose.test);
const draw = (share: number) => Uint8Array.from({ length: 300 }, () => Number(random.chance(share)));

Deno.test("of one seed, the standard error of a difference is McNemar's", () => {
  const [first, second] = [draw(0.5), draw(0.6)];
  const [, { cells: [{ difference, accuracy }] }] = summarise([row("a", 1, first), row("b", 1, second)]);
  const won = second.filter((one, image) => one > first[image]).length;
  const lost = second.filter((one, image) => one < first[image]).length;
  assertAlmostEquals(difference!.knn.mean, (won - lost) / 300, 1e-12);
  // Sample variance: divided by 299.
  const variance = (won + lost - (won - lost) ** 2 / 300) / 299 / 300;
  assertAlmostEquals(difference!.knn.standardError, Math.sqrt(variance), 1e-12);
  assertAlmostEquals(difference!.linear.mean, -difference!.knn.mean, 1e-12);
  assertEquals(accuracy.knn.deviation, null);
});

Deno.test("of several seeds, it is the deviation of bootstrap means over images", () => {
  const firsts = [draw(0.5), draw(0.5)], seconds = [draw(0.55), draw(0.6)];
  const rows = [
    ...firsts.map((right, seed) => row("a", seed + 1, right)),
    ...seconds.map((right, seed) => row("b", seed + 1, right)),
  ];
  const [a, { cells: [{ difference, accuracy }] }] = summarise(rows);
  const { mean, standardError, values } = difference!.knn;
  const means = Array.from({ length: 4000 }, () => {
    let sum = 0;
    for (let at = 0; at < 300; at++) {
      const image = random.integer(300);
      for (const seed of [0, 1]) sum += seconds[seed][image] - firsts[seed][image];
    }
    return sum / 600;
  });
  const middle = means.reduce((sum, one) => sum + one, 0) / means.length;
  const deviation = Math.sqrt(means.reduce((sum, one) => sum + (one - middle) ** 2, 0) / (means.length - 1));
  assertAlmostEquals(standardError, deviation, 0.05 * deviation);
  assertAlmostEquals(mean, (values[0] + values[1]) / 2, 1e-12);
  const [x, y] = accuracy.knn.values;
  assertAlmostEquals(accuracy.knn.deviation!, Math.abs(x - y) / Math.SQRT2, 1e-12);
  assertEquals([a.cells[0].difference, a.seconds, a.runs], [undefined, 15, 1]);
});

Deno.test("other test images are no pairs", () => {
  assertThrows(() => summarise([row("a", 1, draw(0.5)), row("b", 1, draw(0.5).slice(1))]), DataError);
});

Deno.test("a curve has the mean over seeds, and the time of all runs of a seed", () => {
  const of = (size: string, seed: number, epoch: number): JudgedRow => ({
    ...row("a", seed, draw(0.5), epoch),
    ...{ size, run: `a-${size}-${seed}`, knn: seed / 10, seconds: epoch * seed },
  });
  const rows = [2, 4].flatMap((epoch) =>
    [1, 3].flatMap((seed) => [of("min", seed, epoch), of("max", seed, epoch)])
  );
  assertEquals(
    summariseCurve(rows).map((
      { size, epoch, seconds, accuracy, seeds },
    ) => [size, epoch, seconds, accuracy.knn, seeds]),
    [["min", 2, 8, 0.2, 2], ["max", 2, 8, 0.2, 2], ["min", 4, 16, 0.2, 2], ["max", 4, 16, 0.2, 2]],
  );
});
