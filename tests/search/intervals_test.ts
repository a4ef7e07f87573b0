/** Intervals over images: against float64 on the host, their coverage, and ties that are tests of paired differences. */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import type { Gpu } from "../../src/gpu/device.ts";
import { purpose, Random } from "../../src/random.ts";
import { fewestBlocks, imageBlocks, ImageSums } from "../../src/search/image_sums.ts";
import {
  drawBlocks,
  indistinguishable,
  intervalOf,
  ResampledScores,
  resamples,
} from "../../src/search/intervals.ts";
import { AffinityMetric } from "../../src/search/similarity/affinity.ts";
import { CkaMetric, type CkaSamples } from "../../src/search/similarity/cka.ts";
import { CosineMetric } from "../../src/search/similarity/cosine.ts";
import type { SimilarityMetric } from "../../src/search/similarity/metric.ts";
import { ScoreSums, slotScore } from "../../src/search/sums.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, gpuTest } from "../helpers.ts";
import { featureMaps, flat, type HostTensor } from "./similarity_helpers.ts";
import {
  affinityReference,
  allPlaces,
  channelVectors,
  ckaReference,
  cosineReference,
  hsicReference,
  type Maps,
  type Matrix,
} from "./similarity_reference.ts";

/** Some images of a batch. */
function part({ values, shape }: HostTensor, first: number, end: number): HostTensor {
  const each = values.length / shape[0];
  return { values: values.slice(first * each, end * each), shape: [end - first, ...shape.slice(1)] };
}

/** What each image contributes to each candidate's score, collected batch by batch as a search does. */
async function collect(
  gpu: Gpu,
  metric: SimilarityMetric,
  teacher: HostTensor,
  candidates: readonly HostTensor[],
  bounds: readonly (readonly [first: number, end: number])[],
  blocks = teacher.shape[0],
): Promise<ScoreSums> {
  const [images] = teacher.shape;
  const kept = new ImageSums(
    images,
    blocks,
    metric.imageComponents,
    new Float32Array(candidates.length * blocks * metric.imageComponents),
  );
  const values = new Float64Array(candidates.length * metric.components);
  const most = Math.max(...bounds.map(([first, end]) => end - first));
  const sums = new ScoreSums(gpu, metric, values, kept, most, 2);
  for (const [first, end] of bounds) {
    sums.restart(0, { first, count: end - first });
    const upload = (all: HostTensor) => {
      const some = part(all, first, end);
      return Tensor.from(gpu, some.values, some.shape);
    };
    using prepared = metric.prepareTeacher(upload(teacher));
    for (const candidate of candidates) prepared.accumulate(upload(candidate), sums.table, await sums.take());
    await sums.collect();
  }
  return sums;
}

/** A tree of candidates with a place of their own each. */
function ownSlots(candidates: number) {
  const candidateSlots = Uint32Array.from({ length: candidates }, (_, slot) => slot);
  return { places: [{ name: "projection", kind: "projection", tap: "c5" } as const], candidateSlots };
}

function vectors(images: number, width: number, seed: number): Matrix {
  const random = new Random(seed, purpose.test);
  return Array.from(
    { length: images },
    () => Array.from({ length: width }, () => Math.fround(random.normal())),
  );
}

/** Rows that point partly where others do. */
function near(rows: Matrix, share: number, seed: number): Matrix {
  const noise = vectors(rows.length, rows[0].length, seed);
  return rows.map((row, image) => row.map((value, at) => Math.fround(value + share * noise[image][at])));
}

gpuTest("the interval of a cosine is the float64 bootstrap of its images' cosines", async (gpu) => {
  const teacher = vectors(23, 6, 1);
  const candidates = [near(teacher, 0.3, 2), near(teacher, 1, 3), teacher];
  const metric = new CosineMetric(gpu);
  // The batches of a search differ by an image; the table holds two of the three slots.
  const sums = await collect(gpu, metric, flat(teacher), candidates.map(flat), [[0, 11], [11, 23]]);
  const scores = new ResampledScores(ownSlots(3), metric, sums.images, 7);
  const draws = drawBlocks(23, 7);
  candidates.forEach((candidate, index) => {
    const cosines = teacher.map((row, image) => cosineReference([row], [candidate[image]]));
    assertClose([...sums.images.ofSlot(index)], cosines, 1e-6, "cosines");
    const expected = Float64Array.from({ length: resamples }, (_, at) => {
      const drawn = draws.subarray(at * 23, (at + 1) * 23);
      return drawn.reduce((sum, image) => sum + cosines[image], 0) / 23;
    });
    const [low, high] = intervalOf(scores.of(index));
    const sorted = [...expected].sort((a, b) => a - b);
    // The 2.5 % that lie outside, between the 25th and 26th.
    assertAlmostEquals(low, sorted[24] + 0.975 * (sorted[25] - sorted[24]), 1e-6);
    assertAlmostEquals(high, sorted[974] + 0.025 * (sorted[975] - sorted[974]), 1e-6);
    const score = slotScore(metric, sums.values, index);
    assert(index === 2 || (low < score && score < high));
  });
  sums.release();
});

gpuTest("each image's part of an affinity is its own affinity, both ways", async (gpu) => {
  const [teacher, candidate] = [featureMaps([11, 5, 4, 3], 1), featureMaps([11, 9, 4, 3], 2)];
  const one = (maps: Maps, image: number) => part(maps, image, image + 1) as Maps;
  const expected = Array.from(
    { length: 11 },
    (_, image) => affinityReference(one(teacher, image), one(candidate, image)),
  );
  for (const keptBytes of [0, 2 ** 24]) {
    const metric = new AffinityMetric(gpu, undefined, keptBytes);
    const sums = await collect(gpu, metric, teacher, [candidate], [[0, 6], [6, 11]]);
    assertClose([...sums.images.values], expected, 1e-5, "images");
    sums.release();
  }
});

for (const estimator of ["biased", "debiased"] as const) {
  for (const samples of ["images", "positions", "all-positions"] as const satisfies readonly CkaSamples[]) {
    gpuTest(`the images' parts of a cka add up to it: ${estimator}, ${samples}`, async (gpu) => {
      const [teacher, candidate] = [featureMaps([12, 5, 3, 2], 1), featureMaps([12, 4, 3, 2], 2)];
      const metric = new CkaMetric(gpu, estimator, samples);
      const sums = await collect(gpu, metric, teacher, [candidate], [[0, 6], [6, 12]]);
      const own = sums.images.ofSlot(0);
      const means = [0, 1, 2].map((part) =>
        own.reduce((sum, value, at) => at % 3 === part ? sum + value / 12 : sum, 0)
      );
      const [cross, square, teacherSquare, groups] = sums.values;
      assertClose(means, [cross, square, teacherSquare].map((sum) => sum / 12), 1e-5, "HSIC");
      assertAlmostEquals(metric.scoreOfImages(means, means), slotScore(metric, sums.values, 0), 1e-6);
      if (samples === "positions") {
        assertEquals(groups, 12);
        const rows = (maps: Maps, image: number) => channelVectors(maps, image, allPlaces(maps));
        const expected = Array.from({ length: 12 }, (_, image) => {
          const [x, y] = [rows(teacher, image), rows(candidate, image)];
          return [[x, y], [y, y], [x, x]].map(([a, b]) => hsicReference(a, b, estimator === "debiased"));
        });
        assertClose([...own], expected.flat(), 2e-4, "of each image");
      }
      sums.release();
    });
  }
}

gpuTest(
  "the spread of a cka over images is that of the jackknife, and of differences as well",
  async (gpu) => {
    const images = 48;
    const teacher = vectors(images, 5, 11);
    const candidates = [near(teacher, 0.8, 12), near(teacher, 1.2, 13)];
    const metric = new CkaMetric(gpu);
    const sums = await collect(gpu, metric, flat(teacher), candidates.map(flat), [[0, images]]);
    const scores = new ResampledScores(ownSlots(2), metric, sums.images, 1);
    const spread = (values: Float64Array) => {
      const mean = values.reduce((a, b) => a + b) / values.length;
      return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    };
    const without = candidates.map((candidate) =>
      Float64Array.from(
        { length: images },
        (_, left) => ckaReference([[teacher.toSpliced(left, 1), candidate.toSpliced(left, 1)]], true),
      )
    );
    const jackknife = (values: Float64Array) => spread(values) * Math.sqrt(images - 1);
    const [one, other] = [scores.of(0), scores.of(1)];
    assertAlmostEquals(spread(one) / jackknife(without[0]), 1, 0.2);
    assertAlmostEquals(spread(other) / jackknife(without[1]), 1, 0.2);
    const difference = (a: Float64Array, b: Float64Array) => a.map((value, at) => value - b[at]);
    assertAlmostEquals(
      spread(difference(one, other)) / jackknife(difference(without[0], without[1])),
      1,
      0.2,
    );
    sums.release();
  },
);

/** A metric whose score is the mean of what each image has; nothing of it runs. */
const meanOfImages = {
  components: 2,
  imageComponents: 1,
  score: ([sum, count]: readonly number[]) => sum / count,
  scoreOfImages: (means: ArrayLike<number>) => means[0],
};

/** Resampled scores of candidates by what each image has. */
function resampled(values: readonly (readonly number[])[], seed = 1): ResampledScores {
  const [{ length }] = values;
  const images = new ImageSums(length, length, 1, Float32Array.from(values.flat()));
  return new ResampledScores(ownSlots(values.length), meanOfImages, images, seed);
}

Deno.test("nineteen of twenty intervals hold the true mean", () => {
  const random = new Random(5, purpose.test);
  const runs = 400;
  const values = Array.from(
    { length: runs },
    () => Array.from({ length: 60 }, () => 0.8 + 0.1 * random.normal()),
  );
  const scores = resampled(values);
  const holding = values.filter((_, run) => {
    const [low, high] = intervalOf(scores.of(run));
    return low <= 0.8 && 0.8 <= high;
  });
  // Percentiles of 60 values are a little narrow: 94 % are expected, four standard errors are 4.8 %.
  assert(holding.length / runs > 0.89 && holding.length / runs < 0.985, `${holding.length} of ${runs}`);
});

Deno.test("the same scores are tied, clearly worse ones are not, and it is the paired difference that counts", () => {
  const random = new Random(6, purpose.test);
  const best = Array.from({ length: 64 }, () => 0.7 + 0.1 * random.normal());
  const noise = best.map(() => 0.02 * random.normal());
  const mean = noise.reduce((a, b) => a + b) / 64;
  const scores = resampled([
    best,
    [...best],
    // A little worse on every image: intervals overlap almost entirely, and still the two are told apart.
    best.map((value, at) => value - 0.01 + 0.001 * (at % 3)),
    // The same mean, other images.
    best.map((value, at) => value + noise[at] - mean),
    best.map((value) => value - 0.3),
  ]);
  const all = [0, 1, 2, 3, 4].map((at) => scores.of(at));
  assertEquals(all.map((one) => indistinguishable(one, all[0])), [true, true, false, true, false]);
  const [low, high] = intervalOf(all[0]), [low2, high2] = intervalOf(all[2]);
  assert(low < high2 && low2 < high, "overlap");
});

Deno.test("the same seed gives the same intervals, another one others", () => {
  const values = [vectors(30, 1, 3).map(([value]) => value)];
  assertEquals(resampled(values, 4).of(0), resampled(values, 4).of(0));
  assert(`${intervalOf(resampled(values, 4).of(0))}` !== `${intervalOf(resampled(values, 5).of(0))}`);
  const draws = drawBlocks(30, 4);
  const counts = new Uint32Array(30);
  for (const block of draws) counts[block]++;
  // 1000 of each are expected; five standard deviations are 158.
  assert(counts.every((count) => Math.abs(count - resamples) < 158), `${counts}`);
});

Deno.test("several places make a score of their mean, from the same images", () => {
  const values = [[0.1, 0.9, 0.4, 0.3], [0.6, 0.2, 0.7, 0.5]];
  const images = new ImageSums(4, 4, 1, Float32Array.from(values.flat()));
  const [place] = ownSlots(1).places;
  const tree = { places: [place, { ...place, name: "pooled" }], candidateSlots: Uint32Array.of(0, 1) };
  const both = new ResampledScores(tree, meanOfImages, images, 1).of(0);
  const apart = resampled(values);
  const expected = apart.of(0).map((value, at) => (value + apart.of(1)[at]) / 2);
  assertClose([...both], [...expected], 1e-12, "mean");
});

Deno.test("images are kept in blocks where each for itself would take more than 256 MiB", () => {
  assertEquals(imageBlocks(256, 85_293, 1), 256);
  assertEquals(imageBlocks(2048, 85_293, 1), 786);
  assertEquals(imageBlocks(100_000, 10, 1), 4096);
  assertEquals([imageBlocks(fewestBlocks, 1, 1), imageBlocks(fewestBlocks - 1, 1, 1)], [fewestBlocks, 0]);
  assertEquals(imageBlocks(256, 2 ** 22, 3), 0);
  for (const [images, blocks] of [[23, 23], [23, 10], [64, 24]]) {
    const sums = new ImageSums(images, blocks, 2, new Float32Array(2 * blocks * 2));
    assertEquals(sums.counts.reduce((a, b) => a + b), images);
    assert(Math.max(...sums.counts) - Math.min(...sums.counts) <= 1);
    // Two slots, in a table with a place to spare, the second half after the first.
    const half = images >> 1;
    const values = (first: number, count: number) =>
      Float32Array.from({ length: 2 * (count + 1) * 2 }, (_, at) => {
        const image = (at >> 1) % (count + 1), slot = Math.floor(at / (2 * (count + 1)));
        return image === count ? NaN : (first + image + 1) * (slot + 1) * (at % 2 ? 1 : 100);
      });
    sums.add(values(0, half), half + 1, 0, { first: 0, count: half });
    sums.add(values(half, images - half), images - half + 1, 0, { first: half, count: images - half });
    for (const slot of [0, 1]) {
      const totals = [0, 1].map((component) =>
        sums.ofSlot(slot).reduce((sum, value, at) => at % 2 === component ? sum + value : sum, 0)
      );
      const total = images * (images + 1) / 2 * (slot + 1);
      assertEquals(totals, [100 * total, total]);
    }
    if (blocks === images) continue;
    const counted = new ResampledScores(
      ownSlots(1),
      meanOfImages,
      new ImageSums(images, blocks, 1, Float32Array.from(sums.counts)),
      1,
    );
    assertClose([...counted.of(0)], Array(resamples).fill(1), 1e-6, "a mean over the images that were drawn");
  }
});

gpuTest("a search that keeps blocks of images has their sums", async (gpu) => {
  const teacher = vectors(23, 6, 1);
  const candidate = near(teacher, 0.5, 2);
  const metric = new CosineMetric(gpu);
  const sums = await collect(gpu, metric, flat(teacher), [flat(candidate)], [[0, 11], [11, 23]], 10);
  const expected = new Float64Array(10);
  teacher.forEach((row, image) =>
    expected[Math.floor(image * 10 / 23)] += cosineReference([row], [candidate[image]])
  );
  assertClose([...sums.images.values], [...expected], 1e-5, "blocks");
  sums.release();
});
