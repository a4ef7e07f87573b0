/** Spread of features, against NumPy's singular values and against cases whose answer is known. */
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import type { FeatureMatrix } from "../../src/evaluate/features.ts";
import {
  alignment,
  collapsedShare,
  deadShare,
  effectiveRank,
  featureSpread,
  meanCosine,
  pairedCosine,
  singularValues,
  uniformity,
} from "../../src/evaluate/spread.ts";

function matrix(
  rows: number,
  dimension: number,
  value: (row: number, column: number) => number,
): FeatureMatrix {
  const values = Float32Array.from(
    { length: rows * dimension },
    (_, at) => value(Math.floor(at / dimension), at % dimension),
  );
  return { rows, dimension, values };
}

const waves = (row: number, column: number) => Math.sin(1.7 * row + 2.3 * column + 0.1 * row * column) + 0.5;

/** By numpy.linalg.svd and pairs of normalised rows in float64, of the same float32 values. */
const golden = [
  {
    ...{ rows: 7, dimension: 5, effectiveRank: 3.738948260158559, meanCosine: 0.2807175446161797 },
    uniformity: -1.749696367114724,
    singular: [
      3.1428588725670377,
      3.055500988474379,
      2.470163495282587,
      0.6749409203006954,
      0.10012405683570848,
    ],
  },
  {
    ...{ rows: 5, dimension: 9, effectiveRank: 4.441673261721024, meanCosine: 0.19872221517258967 },
    uniformity: -2.2354498985443625,
    singular: [
      3.7043180757286334,
      3.398435384343401,
      2.438868206487032,
      1.3557408354891045,
      0.8781378508831218,
    ],
  },
];

for (const { rows, dimension, singular, ...expected } of golden) {
  Deno.test(`singular values, effective rank, cosine and uniformity of ${rows} x ${dimension} are NumPy's`, async () => {
    const features = matrix(rows, dimension, waves);
    const values = (await singularValues(features)).sort().reverse();
    singular.forEach((value, at) => assertAlmostEquals(values[at], value, 1e-6));
    const spread = await featureSpread(features);
    assertAlmostEquals(spread.effectiveRank, expected.effectiveRank, 1e-6);
    assertAlmostEquals(spread.meanCosine, expected.meanCosine, 1e-6);
    assertAlmostEquals(spread.uniformity, expected.uniformity, 1e-12);
    assertEquals([spread.images, spread.dimension, spread.deadShare], [rows, dimension, 0]);
    assertEquals(spread.collapsedShare, 0);
  });
}

Deno.test("the effective rank is n for n equal directions, 1 for one, and scale does not matter", async () => {
  const identity = matrix(6, 4, (row, column) => row % 4 === column ? 3 : 0);
  assert((await featureSpread(identity)).effectiveRank > 3.9);
  assertAlmostEquals(effectiveRank([2, 2, 2]), 3, 1e-12);
  assertAlmostEquals(effectiveRank([0.1, 0, 0]), 1, 1e-12);
  assertAlmostEquals(effectiveRank([1, 0.5]), effectiveRank([1000, 500]), 1e-12);
  assertEquals(effectiveRank([0, 0]), 0);
});

Deno.test("features that are the same for all images have collapsed in every measure", async () => {
  const { effectiveRank, meanCosine, deadShare, collapsedShare, uniformity } = await featureSpread(
    matrix(50, 8, (_, column) => column + 1),
  );
  assertEquals(uniformity, 0);
  assertEquals(collapsedShare, 7 / 8);
  assertAlmostEquals(effectiveRank, 1, 1e-3);
  assertAlmostEquals(meanCosine, 1, 1e-12);
  assertEquals(deadShare, 1);
});

Deno.test("a dimension that never changes is dead, and zeros are no direction", async () => {
  assertEquals(deadShare(matrix(9, 4, (row, column) => column === 2 ? 5 : waves(row, column))), 1 / 4);
  assertEquals(meanCosine(matrix(3, 2, (row, column) => row === column ? 1 : 0)), 0);
  assertEquals(await featureSpread(matrix(3, 2, () => 0)), {
    ...{ images: 3, dimension: 2, effectiveRank: 0, meanCosine: 0, deadShare: 1 },
    ...{ collapsedShare: 1, uniformity: 0 },
  });
});

Deno.test("orthonormal rows have full rank, no collapsed direction, and the uniformity of right angles", async () => {
  const spread = await featureSpread(matrix(5, 9, (row, column) => row === column ? 1 : 0));
  assertAlmostEquals(spread.effectiveRank, 5, 1e-12);
  assertAlmostEquals(spread.uniformity, -4, 1e-12);
  assertEquals(spread.collapsedShare, 0);
  assertAlmostEquals(uniformity(matrix(2, 3, (row) => row === 0 ? 7 : -0.1)), -8, 1e-12, "opposite rows");
});

Deno.test("dimensions that only change together are collapsed directions, though none is dead", async () => {
  // The last two of six are sums of others.
  const tied = (row: number, column: number): number =>
    column < 4 ? waves(row, column) : waves(row, column - 4) + waves(row, column - 3);
  const spread = await featureSpread(matrix(40, 6, tied));
  assertEquals([spread.deadShare, spread.collapsedShare], [0, 2 / 6]);
  // A part of the squared length just above and just below a millionth.
  assertEquals(collapsedShare([1, 1.1e-3]), 0);
  assertEquals(collapsedShare([1, 0.9e-3]), 1 / 2);
});

Deno.test("alignment and paired cosine are those of the direct formulas, and torch's", () => {
  const [rows, dimension] = [7, 5];
  const first = matrix(rows, dimension, waves);
  const at = (row: number, column: number) =>
    first.values[(rows - 1 - row) * dimension + (column + dimension - 1) % dimension];
  const second = matrix(rows, dimension, at);
  let distances = 0, cosines = 0;
  for (let row = 0; row < rows; row++) {
    const [x, y] = [first, second].map(({ values }) => [
      ...values.subarray(row * dimension, (row + 1) * dimension),
    ]);
    const [a, b] = [x, y].map((values) => Math.hypot(...values));
    x.forEach((value, column) => {
      distances += (value / a - y[column] / b) ** 2 / rows;
      cosines += value * y[column] / (a * b * rows);
    });
  }
  assertAlmostEquals(alignment(first, second), distances, 1e-12);
  assertAlmostEquals(alignment(first, second), 1.3535469058046352, 1e-12);
  assertAlmostEquals(pairedCosine(first, second), cosines, 1e-12);
  assertAlmostEquals(alignment(first, second), 2 - 2 * pairedCosine(first, second), 1e-12);
});

Deno.test("pairs that are the same, at right angles, opposite, zero, and not finite", () => {
  const one = matrix(1, 2, (_, column) => column === 0 ? 3 : 0);
  const other = (x: number, y: number) => matrix(1, 2, (_, column) => column === 0 ? x : y);
  assertEquals([alignment(one, other(5, 0)), pairedCosine(one, other(5, 0))], [0, 1]);
  assertEquals([alignment(one, other(0, 2)), pairedCosine(one, other(0, 2))], [2, 0]);
  assertEquals([alignment(one, other(-1, 0)), pairedCosine(one, other(-1, 0))], [4, -1]);
  assertEquals([alignment(one, other(0, 0)), pairedCosine(one, other(0, 0))], [1, 0]);
  assertEquals([alignment(other(0, 0), other(0, 0)), pairedCosine(other(0, 0), other(0, 0))], [0, 1]);
  for (const value of [NaN, Infinity]) {
    assertEquals([alignment(one, other(value, 0)), pairedCosine(one, other(value, 0))], [NaN, NaN]);
  }
  assertThrows(() => alignment(one, matrix(2, 2, waves)), DataError, "1 x 2 and 2 x 2");
  assertThrows(() => pairedCosine(matrix(0, 0, waves), matrix(0, 0, waves)), DataError, "0 x 0");
});

Deno.test("one image has no spread, and features that are not finite are refused", async () => {
  await assertRejects(() => featureSpread(matrix(1, 4, waves)), DataError, "needs two images");
  await assertRejects(() => featureSpread(matrix(3, 2, () => NaN)), DataError, "not finite");
});
