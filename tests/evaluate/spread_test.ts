/** Spread of features, against NumPy's singular values and against cases whose answer is known. */
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import type { FeatureMatrix } from "../../src/evaluate/features.ts";
import {
  deadShare,
  effectiveRank,
  featureSpread,
  meanCosine,
  singularValues,
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

/** By numpy.linalg.svd in float64, of the same float32 values. */
const golden = [
  {
    ...{ rows: 7, dimension: 5, effectiveRank: 3.738948260158559, meanCosine: 0.2807175446161797 },
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
  Deno.test(`singular values, effective rank and cosine of ${rows} x ${dimension} are NumPy's`, async () => {
    const features = matrix(rows, dimension, waves);
    const values = (await singularValues(features)).sort().reverse();
    singular.forEach((value, at) => assertAlmostEquals(values[at], value, 1e-6));
    const spread = await featureSpread(features);
    assertAlmostEquals(spread.effectiveRank, expected.effectiveRank, 1e-6);
    assertAlmostEquals(spread.meanCosine, expected.meanCosine, 1e-6);
    assertEquals([spread.images, spread.dimension, spread.deadShare], [rows, dimension, 0]);
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
  const { effectiveRank, meanCosine, deadShare } = await featureSpread(
    matrix(50, 8, (_, column) => column + 1),
  );
  assertAlmostEquals(effectiveRank, 1, 1e-3);
  assertAlmostEquals(meanCosine, 1, 1e-12);
  assertEquals(deadShare, 1);
});

Deno.test("a dimension that never changes is dead, and zeros are no direction", async () => {
  assertEquals(deadShare(matrix(9, 4, (row, column) => column === 2 ? 5 : waves(row, column))), 1 / 4);
  assertEquals(meanCosine(matrix(3, 2, (row, column) => row === column ? 1 : 0)), 0);
  assertEquals(await featureSpread(matrix(3, 2, () => 0)), {
    ...{ images: 3, dimension: 2, effectiveRank: 0, meanCosine: 0, deadShare: 1 },
  });
});

Deno.test("one image has no spread, and features that are not finite are refused", async () => {
  await assertRejects(() => featureSpread(matrix(1, 4, waves)), DataError, "needs two images");
  await assertRejects(() => featureSpread(matrix(3, 2, () => NaN)), DataError, "not finite");
});
