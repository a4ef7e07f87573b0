/** Centred kernel alignment: golden numbers, invariances, a float64 reference. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConfigurationError, ShapeError } from "../../src/errors.ts";
import { type CkaEstimator, CkaMetric, type CkaSamples } from "../../src/search/similarity/cka.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { purpose, Random } from "../../src/random.ts";
import { assertClose, gpuTest } from "../helpers.ts";
import { changed, featureMaps, flat, similarities } from "./similarity_helpers.ts";
import {
  allPlaces,
  channelVectors,
  ckaReference,
  gridPlaces,
  type Maps,
  type Matrix,
  pooledReference,
} from "./similarity_reference.ts";

// deno-fmt-ignore
const goldenA = [
  [-6, 5, 3], [-1, 4, -4], [4, 3, 2], [-4, 2, -5], [1, 1, 1], [6, 0, -6], [-2, -1, 0], [3, -2, 6],
];
// deno-fmt-ignore
const goldenB = [
  [-5, 2, -2, 5], [-2, 1, 4, -4], [1, 0, -1, -2], [4, -1, 5, 0], [-4, -2, 0, 2], [-1, -3, -5, 4], [2, -4, 1, -5],
  [5, -5, -4, -3],
];
const estimators: CkaEstimator[] = ["biased", "debiased"];

function randomRows(rows: number, columns: number, seed: number): number[][] {
  const random = new Random(seed, purpose.test, 2);
  return Array.from({ length: rows }, () => Array.from({ length: columns }, () => random.normal()));
}

function times(rows: Matrix, matrix: Matrix): number[][] {
  return rows.map((row) =>
    matrix[0].map((_, j) => row.reduce((sum, value, k) => sum + value * matrix[k][j], 0))
  );
}

/** A product of plane rotations. */
function rotation(size: number, seed: number): number[][] {
  const random = new Random(seed, purpose.test, 3);
  let result = Array.from(
    { length: size },
    (_, i) => Array.from({ length: size }, (_, j) => Number(i === j)),
  );
  for (let first = 0; first < size; first++) {
    for (let second = first + 1; second < size; second++) {
      const angle = random.uniform(0, 2 * Math.PI);
      const turn = result.map((_, i) => result.map((_, j) => Number(i === j)));
      turn[first][first] = turn[second][second] = Math.cos(angle);
      turn[first][second] = -(turn[second][first] = Math.sin(angle));
      result = times(result, turn);
    }
  }
  return result;
}

function samplesOf(maps: Maps, samples: CkaSamples, places: number[]): Matrix[] {
  if (samples === "images") return [pooledReference(maps)];
  const images = Array.from({ length: maps.shape[0] }, (_, image) => channelVectors(maps, image, places));
  return samples === "positions" ? images : [images.flat()];
}

gpuTest("cka: golden values", async (gpu) => {
  const a = flat(goldenA), b = flat(goldenB);
  const [biased] = await similarities(gpu, new CkaMetric(gpu, "biased"), [a], [[b]]);
  assertClose([biased], [0.30959126088738], 1e-5, "biased");
  const [debiased] = await similarities(gpu, new CkaMetric(gpu, "debiased"), [a], [[b]]);
  assertClose([debiased], [-0.24241161588574], 1e-5, "debiased");
  const halves = (rows: number[][]) => [flat(rows.slice(0, 4)), flat(rows.slice(4))];
  const [minibatch] = await similarities(gpu, new CkaMetric(gpu, "debiased"), halves(goldenA), [
    halves(goldenB),
  ]);
  assertClose([minibatch], [0.14057751303078], 1e-5, "minibatch");
});

gpuTest("cka: 1 for itself, its rotations, shifts and multiples, less for a linear map", async (gpu) => {
  const x = randomRows(20, 5, 1);
  const turned = times(x, rotation(5, 2));
  const scaled = x.map((row) => row.map((value) => 1e3 * value));
  const shifted = x.map((row) => row.map((value, column) => value + 10 * column - 40));
  const stretched = x.map(([first, ...rest]) => [8 * first, ...rest]);
  for (const estimator of estimators) {
    const candidates = [x, turned, scaled, shifted, stretched].map((rows) => [flat(rows)]);
    const scores = await similarities(gpu, new CkaMetric(gpu, estimator), [flat(x)], candidates);
    assertClose(scores.slice(0, 4), [1, 1, 1, 1], 1e-5, estimator);
    assert(scores[4] < 0.9, `${estimator}: ${scores[4]} for a linear map`);
  }
});

gpuTest("cka: against the definition, any shapes, over images and positions", async (gpu) => {
  const cases: [images: number, height: number, width: number, channels: [number, number]][] = [
    [4, 3, 5, [3, 17]],
    [5, 7, 7, [17, 1]],
    [9, 1, 1, [24, 3]],
    [4, 2, 2, [1, 3]],
    [18, 3, 3, [16, 70]],
  ];
  for (const [images, height, width, channels] of cases) {
    const batches = [1, 2].map((batch) =>
      channels.map((count, index) =>
        featureMaps([images, count, height, width], 100 * images + 10 * batch + index)
      )
    );
    for (const samples of ["images", "positions", "all-positions"] as const) {
      if (samples === "positions" && height * width < 4) continue;
      for (const positions of [undefined, 6]) {
        const places = positions === 6 && height * width === 15
          ? gridPlaces(3, 5, 1, 5)
          : positions === 6 && height * width > 6
          ? gridPlaces(height, width, 2, 3)
          : allPlaces(batches[0][0]);
        for (const estimator of estimators) {
          const expected = ckaReference(
            batches.flatMap(([teacher, candidate]) => {
              const other = samplesOf(candidate, samples, places);
              return samplesOf(teacher, samples, places).map((
                rows,
                index,
              ): [Matrix, Matrix] => [rows, other[index]]);
            }),
            estimator === "debiased",
          );
          const metric = new CkaMetric(gpu, estimator, samples, positions);
          const scores = await similarities(
            gpu,
            metric,
            batches.map(([teacher]) => teacher),
            [batches.map(([, candidate]) => candidate), batches.map(([teacher]) => teacher)],
          );
          const what =
            `${estimator} over ${samples} of [${images}, ${channels}, ${height}, ${width}] at ${positions}`;
          // Near zero the quotient of differences keeps an absolute error.
          assert(
            Math.abs(scores[0] - expected) < 1e-5 * Math.max(Math.abs(expected), 0.1),
            `${what}: ${scores[0]}, ${expected}`,
          );
          assertClose([scores[1]], [1], 1e-5, what);
        }
      }
    }
  }
});

gpuTest("cka: a large mean costs no precision", async (gpu) => {
  const x = randomRows(12, 40, 5), y = randomRows(12, 9, 6);
  const raised = [x, y].map((rows) => rows.map((row) => row.map((value) => Math.fround(value + 1000))));
  for (const estimator of estimators) {
    const lowered = raised.map((rows) => rows.map((row) => row.map((value) => value - 1000)));
    const expected = ckaReference([[lowered[0], lowered[1]]], estimator === "debiased");
    const [score] = await similarities(gpu, new CkaMetric(gpu, estimator), [flat(raised[0])], [[
      flat(raised[1]),
    ]]);
    assertClose([score], [expected], 1e-5, estimator);
  }
});

gpuTest("cka: features that do not vary score 0", async (gpu) => {
  const teacher = featureMaps([6, 3, 3, 5], 7);
  const constant = changed(teacher, () => 0.3);
  const zero = changed(teacher, () => 0);
  for (const estimator of estimators) {
    for (const samples of ["images", "positions", "all-positions"] as const) {
      const metric = new CkaMetric(gpu, estimator, samples);
      assertEquals(await similarities(gpu, metric, [teacher], [[constant], [zero]]), [0, 0]);
      assertEquals(await similarities(gpu, metric, [zero], [[teacher], [zero]]), [0, 0]);
    }
  }
});

gpuTest("cka: too few samples, no positions, other images", async (gpu) => {
  const three = Tensor.zeros(gpu, [3, 8]);
  assertThrows(() => new CkaMetric(gpu, "debiased").prepareTeacher(three), ConfigurationError, "3 samples");
  new CkaMetric(gpu, "biased").prepareTeacher(three).release();
  const single = Tensor.zeros(gpu, [5, 8, 1, 1]);
  assertThrows(
    () => new CkaMetric(gpu, "debiased", "positions").prepareTeacher(single),
    ConfigurationError,
    "1 sample (features [5, 8, 1, 1])",
  );
  assertThrows(
    () => new CkaMetric(gpu, "biased", "positions").prepareTeacher(three),
    ShapeError,
    "[N, C, H, W]",
  );
  const metric = new CkaMetric(gpu, "biased");
  const tensor = (rows: number) => ({ values: new Float32Array(8 * rows), shape: [rows, 8] });
  await assertRejects(() => similarities(gpu, metric, [tensor(5)], [[tensor(4)]]), ShapeError, "[5, any]");
});
