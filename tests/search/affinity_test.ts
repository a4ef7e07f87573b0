/** Self-affinity and cosine: a float64 reference, both ways of computing, ranking, degenerate maps. */
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { ConfigurationError, ShapeError } from "../../src/errors.ts";
import { AffinityMetric } from "../../src/search/similarity/affinity.ts";
import { CosineMetric } from "../../src/search/similarity/cosine.ts";
import { similarityMetric, type SimilarityOptions } from "../../src/search/similarity/options.ts";
import { positionGrid } from "../../src/search/similarity/samples.ts";
import { ScoreTable } from "../../src/search/similarity/score_table.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { purpose, Random } from "../../src/random.ts";
import { assertClose, gpuTest } from "../helpers.ts";
import { changed, featureMaps, flat, similarities } from "./similarity_helpers.ts";
import {
  affinityReference,
  cosineReference,
  gridPlaces,
  type Maps,
  pooledReference,
} from "./similarity_reference.ts";

/** The same maps with their channels in another order. */
function permuted({ values, shape }: Maps): Maps {
  const [, channels, height, width] = shape;
  const plane = height * width;
  const order = new Random(3, purpose.test).permutation(channels);
  return {
    shape,
    values: values.map((_, index) => {
      const channel = Math.floor(index / plane) % channels;
      return values[index + (order[channel] - channel) * plane];
    }),
  };
}

gpuTest("affinity: against the definition, over positions and over channels", async (gpu) => {
  const cases: [images: number, height: number, width: number, teacher: number, candidate: number][] = [
    [1, 7, 7, 17, 3],
    [4, 3, 5, 3, 17],
    [5, 1, 1, 1, 3],
    [5, 7, 7, 3, 1],
    [4, 4, 4, 70, 130],
    [2, 12, 11, 9, 24],
  ];
  // Without room for the teacher's affinities the way over channels is taken.
  for (const metric of [new AffinityMetric(gpu), new AffinityMetric(gpu, undefined, 0)]) {
    for (const [images, height, width, ...channels] of cases) {
      const [teacher, candidate] = channels.map((count, index) =>
        featureMaps([images, count, height, width], 10 * images + index)
      );
      const expected = affinityReference(teacher, candidate);
      const scores = await similarities(gpu, metric, [teacher], [[candidate], [teacher]]);
      const what = `[${images}, ${channels}, ${height}, ${width}], ${metric.keptBytes} bytes kept`;
      assertClose([scores[0]], [expected], 1e-5, what);
      assertAlmostEquals(scores[1], 1, 1e-6, what);
    }
  }
});

gpuTest("affinity: signed features, a last smaller batch, a sub-sample of positions", async (gpu) => {
  const random = new Random(9, purpose.test);
  const signed = (shape: Maps["shape"], seed: number) =>
    changed(featureMaps(shape, seed), () => random.normal());
  const shapes: Maps["shape"][] = [[4, 12, 9, 14], [1, 12, 9, 14]];
  const teacher = shapes.map((shape, index) => signed(shape, index));
  const candidate = shapes.map(([images, , ...map], index) => signed([images, 20, ...map], 5 + index));
  const grid = positionGrid(9, 14, 64);
  assertEquals(grid, { rows: 6, columns: 10 });
  for (const positions of [undefined, 64]) {
    const places = positions ? gridPlaces(9, 14, 6, 10) : undefined;
    const whole = affinityReference(teacher[0], candidate[0], places);
    const last = affinityReference(teacher[1], candidate[1], places);
    for (const keptBytes of [0, 2 ** 24]) {
      const [score] = await similarities(
        gpu,
        new AffinityMetric(gpu, positions, keptBytes),
        teacher,
        [candidate],
      );
      assertClose([score], [(4 * whole + last) / 5], 1e-5, `${positions} positions, ${keptBytes} bytes kept`);
    }
  }
});

gpuTest("affinity: zero positions and constant maps", async (gpu) => {
  const teacher = changed(featureMaps([2, 5, 4, 3], 2), (value, index) => index % 12 === 7 ? 0 : value);
  const zero = changed(teacher, () => 0);
  const constant = changed(teacher, () => 0.7);
  for (const keptBytes of [0, 2 ** 24]) {
    const metric = new AffinityMetric(gpu, undefined, keptBytes);
    const scores = await similarities(gpu, metric, [teacher], [[teacher], [zero], [constant]]);
    assertAlmostEquals(scores[0], 1, 1e-6);
    assertAlmostEquals(scores[1], affinityReference(teacher, zero), 1e-6);
    assertAlmostEquals(scores[1], 1 / 12, 1e-6);
    assertClose([scores[2]], [affinityReference(teacher, constant)], 1e-5, "constant");
    assertEquals(await similarities(gpu, metric, [zero], [[zero], [constant]]), [1, 0]);
  }
});

gpuTest("the identical map scores highest under every metric", async (gpu) => {
  const options: SimilarityOptions[] = [
    { metric: "affinity" },
    { metric: "affinity", positions: 16 },
    { metric: "cka" },
    { metric: "cka", estimator: "biased" },
    { metric: "cka", samples: "positions" },
    { metric: "cka", samples: "all-positions", positions: 9 },
  ];
  const teacher = featureMaps([8, 12, 6, 6], 20);
  const noise = new Random(4, purpose.test);
  const noisy = (amount: number) => changed(teacher, (value) => value + amount * noise.normal());
  const others = [
    noisy(0.05),
    noisy(1),
    featureMaps([8, 12, 6, 6], 21),
    featureMaps([8, 40, 6, 6], 22),
    changed(teacher, () => 1),
    changed(teacher, () => 0),
  ];
  for (const option of options) {
    const candidates = [teacher, permuted(teacher), ...others].map((maps) => [maps]);
    const [same, reordered, ...rest] = await similarities(
      gpu,
      similarityMetric(gpu, option),
      [teacher],
      candidates,
    );
    const what = JSON.stringify(option);
    assertAlmostEquals(same, 1, 1e-6, what);
    assertAlmostEquals(reordered, 1, 1e-6, what);
    assert(rest.every((score) => score < 0.9999), `${what}: ${rest}`);
    assert(rest.slice(1).every((score) => score < rest[0]), `${what}: slightly noisy is not next: ${rest}`);
  }
  const vectors = [teacher, ...others.filter(({ shape }) => shape[1] === 12), permuted(teacher)]
    .map((maps) => [flat(pooledReference(maps))]);
  const [same, ...rest] = await similarities(
    gpu,
    similarityMetric(gpu, { metric: "cosine" }),
    vectors[0],
    vectors,
  );
  assertAlmostEquals(same, 1, 1e-6);
  assert(rest.every((score) => score < 0.9999), `cosine: ${rest}`);
});

gpuTest("cosine: against the definition, zero vectors, over batches", async (gpu) => {
  for (const [rows, columns] of [[1, 1], [4, 3], [5, 17], [70, 128]]) {
    const [a, b] = [0, 1].map((seed) =>
      Array.from({ length: rows }, (_, row) => {
        const random = new Random(seed, purpose.test, row);
        return Array.from({ length: columns }, () => Math.fround(random.normal()));
      })
    );
    a[0].fill(0);
    const half = Math.ceil(rows / 2);
    const batches = (matrix: number[][]) =>
      [matrix.slice(0, half), matrix.slice(half)].filter((part) => part.length > 0).map(flat);
    const metric = new CosineMetric(gpu);
    const scores = await similarities(gpu, metric, batches(a), [batches(b), batches(a)]);
    assertAlmostEquals(scores[0], cosineReference(a, b), 1e-6);
    assertAlmostEquals(scores[1], 1, 1e-6);
  }
});

gpuTest("scores: same bits again, nothing accumulated, wrong use", async (gpu) => {
  const metric = similarityMetric(gpu, { metric: "affinity", positions: 20 });
  const [teacher, candidate] = [30, 31].map((seed) => featureMaps([4, 10, 6, 7], seed));
  const first = await similarities(gpu, metric, [teacher], [[candidate]]);
  assertEquals(await similarities(gpu, metric, [teacher], [[candidate]]), first);

  const table = new ScoreTable(gpu, metric, 3);
  const maps = Tensor.from(gpu, teacher.values, teacher.shape);
  const prepared = metric.prepareTeacher(maps);
  prepared.accumulate(maps, table, 1);
  const scores = await table.scores();
  assertEquals([scores[0], scores[2]], [NaN, NaN]);
  assertAlmostEquals(scores[1], 1, 1e-6);
  assertEquals((await table.scores(2)).length, 2);
  table.clear();
  assertEquals([...await table.scores()], [NaN, NaN, NaN]);

  assertThrows(() => prepared.accumulate(maps, table, 3), ShapeError, "slot 3");
  const other = new ScoreTable(gpu, new CosineMetric(gpu), 1);
  assertThrows(() => prepared.accumulate(maps, other, 0), ShapeError, "another metric");
  assertThrows(
    () => prepared.accumulate(maps.view([4, 10, 7, 6]), table, 0),
    ShapeError,
    "expected [4, any, 6, 7]",
  );
  assertThrows(() => new ScoreTable(gpu, metric, 0), ShapeError, "0 slots");
  assertThrows(() => new AffinityMetric(gpu, 0), ConfigurationError, "0 positions");
  assertThrows(() => metric.prepareTeacher(maps.view([4, 420])), ShapeError, "[any, any, any, any]");
  const cosine = new CosineMetric(gpu);
  const vectors = new ScoreTable(gpu, cosine, 1);
  assertThrows(
    () => cosine.prepareTeacher(maps.view([4, 420])).accumulate(maps.view([8, 210]), vectors, 0),
    ShapeError,
    "width 210",
  );
});

gpuTest("memory and pipelines do not grow with the number of candidates", async (gpu) => {
  const shape: Maps["shape"] = [4, 16, 6, 6];
  const maps = Tensor.from(gpu, featureMaps(shape, 1).values, shape);
  for (const option of [{ metric: "affinity" }, { metric: "cka", samples: "positions" }] as const) {
    const metric = similarityMetric(gpu, option);
    const table = new ScoreTable(gpu, metric, 50);
    const prepared = metric.prepareTeacher(maps);
    prepared.accumulate(maps, table, 0);
    const { held } = gpu.pool.use;
    const pipelines = gpu.pipelines.size;
    const before = gpu.stream.dispatches;
    for (let slot = 0; slot < 50; slot++) prepared.accumulate(maps, table, slot);
    assertEquals(gpu.stream.dispatches - before, 5 * 50);
    assertEquals(gpu.pool.use.held, held);
    assertEquals(gpu.pipelines.size, pipelines);
    const { used } = gpu.pool.use;
    prepared.release();
    table.release();
    assert(gpu.pool.use.used < used);
  }
  await gpu.finish();
});

gpuTest("affinity: maps as long as a line, whose places would overflow 32 bits", async (gpu) => {
  const width = 70_000;
  const line = (sign: number): Maps => ({
    shape: [1, 1, 1, width],
    values: Float32Array.from({ length: width }, (_, at) => at < width / 2 ? 1 : sign),
  });
  const metric = new AffinityMetric(gpu);
  const scores = await similarities(gpu, metric, [line(1)], [[line(1)], [line(-1)]]);
  // Half of the positions turned around: rows of +1 and -1 against rows of +1.
  assertClose(scores, [1, 0], 1e-5, "affinity");
  const some = new AffinityMetric(gpu, 40_000);
  assertThrows(() => some.prepareTeacher(Tensor.zeros(gpu, [1, 1, 1, width])), ShapeError, "40000 of 70000");
});
