/** Similarities of many images, positions and channels. */
import { AffinityMetric } from "../../../src/search/similarity/affinity.ts";
import { CkaMetric } from "../../../src/search/similarity/cka.ts";
import { addCosines } from "../../../src/search/similarity/cosine_sums.ts";
import { CosineMetric } from "../../../src/search/similarity/cosine.ts";
import { ScoreTable } from "../../../src/search/similarity/score_table.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { assertClose } from "../../helpers.ts";
import { type HostTensor, similarities } from "../../search/similarity_helpers.ts";
import {
  affinityReference,
  ckaReference,
  type Maps,
  type Matrix,
} from "../../search/similarity_reference.ts";
import { type LongLoop, spread, sum } from "./case.ts";

/** Maps whose values lie around zero, of which a part depends on the seed alone. */
function maps(shape: Maps["shape"], seed: number): Maps {
  const values = spread(shape[0] * shape[1] * shape[2] * shape[3], seed);
  return { values: values.map((value, at) => value - 0.5 + 0.2 * Math.sin(at)), shape };
}

/** The first so many times, then the second. */
function repeated(first: Maps, second: Maps, times: [number, number]): Maps {
  const [, ...rest] = first.shape;
  const images = [...Array(times[0]).fill(first), ...Array(times[1]).fill(second)] as Maps[];
  const values = new Float32Array(images.length * first.values.length);
  images.forEach((image, at) => values.set(image.values, at * first.values.length));
  return { values, shape: [images.length, ...rest] };
}

/** Squared Frobenius norm of the product of centred features: HSIC, but for its scale, without any Gram matrix. */
function crossCovariance(a: HostTensor, b: HostTensor): number {
  const [images, channelsA, height, width] = a.shape;
  const channelsB = b.shape[1], plane = height * width;
  const centred = ({ values }: HostTensor, channels: number) =>
    Array.from({ length: channels }, (_, channel) => {
      const at = (sample: number) =>
        values[(Math.floor(sample / plane) * channels + channel) * plane + sample % plane];
      const mean = sum(images * plane, at) / images / plane;
      return Float64Array.from({ length: images * plane }, (_, sample) => at(sample) - mean);
    });
  const left = centred(a, channelsA), right = centred(b, channelsB);
  return sum(
    channelsA * channelsB,
    (pair) => {
      const x = left[Math.floor(pair / channelsB)], y = right[pair % channelsB];
      return sum(x.length, (sample) => x[sample] * y[sample]) ** 2;
    },
  );
}

export const similarity: LongLoop[] = [
  {
    name: "cosines of two million vectors",
    kernels: { cosine_score: "cut" },
    async run(gpu) {
      const rows = 2_000_000;
      const teacher = { values: spread(rows, 1).map((value) => value + 0.5), shape: [rows, 1] };
      // Right up to the last rows, which point away.
      const candidate = {
        values: teacher.values.map((value, row) => row < 0.97 * rows ? value : -value),
        shape: [rows, 1],
      };
      const [score] = await similarities(gpu, new CosineMetric(gpu), [teacher], [[candidate]]);
      assertClose([score], [0.94], 1e-5, "cosine");
    },
  },
  {
    name: "the mean cosine of an image of 150 000 rows",
    kernels: { image_cosines: "cut" },
    async run(gpu) {
      const rows = 150_000;
      using table = new ScoreTable(gpu, new CosineMetric(gpu), 1, 2);
      const square = Tensor.from(gpu, new Float32Array(2 * rows).fill(1), [2, rows]);
      const values = spread(2 * rows, 1);
      const cross = Tensor.from(gpu, values, [2, rows]);
      const cosines = { cross, square, teacherSquare: square };
      const size = { groups: 2, samples: rows, images: 2 };
      addCosines(gpu, cosines, size, { table, slot: 0, firstImage: 0 });
      const { images } = await table.read();
      const expected = [0, 1].map((image) => sum(rows, (row) => values[image * rows + row]) / rows);
      assertClose([...images], expected, 1e-5, "means");
    },
  },
  {
    name: "cosines of 1 100 vectors of 2 048, and of two of 70 000",
    kernels: { row_products: "cut" },
    async run(gpu) {
      for (const [rows, columns] of [[1100, 2048], [2, 70_000]]) {
        const [teacher, candidate] = [1, 2].map((seed) => ({
          values: spread(rows * columns, seed),
          shape: [rows, columns],
        }));
        const product = (a: HostTensor, b: HostTensor, row: number) =>
          sum(columns, (at) => a.values[row * columns + at] * b.values[row * columns + at]);
        const expected = sum(rows, (row) =>
          product(teacher, candidate, row) /
          Math.sqrt(product(teacher, teacher, row) * product(candidate, candidate, row))) / rows;
        const [score] = await similarities(gpu, new CosineMetric(gpu), [teacher], [[candidate]]);
        assertClose([score], [expected], 1e-5, "cosine");
      }
    },
  },
  {
    name: "affinity of 64 maps of 24x24 and of 23x23",
    kernels: { gram_compare: "short", cosine_score: "short" },
    async run(gpu) {
      // The last images decide.
      const times: [number, number] = [52, 12];
      for (const [side, channels] of [[24, 72], [23, 80]]) {
        const [teachers, candidates] = [[1, 2], [3, 1]].map((seeds) =>
          seeds.map((seed) => maps([1, channels, side, side], seed))
        );
        const [score] = await similarities(
          gpu,
          new AffinityMetric(gpu),
          [repeated(teachers[0], teachers[1], times)],
          [[repeated(candidates[0], candidates[1], times)]],
        );
        const [first, last] = [0, 1].map((at) => affinityReference(teachers[at], candidates[at]));
        assertClose([score], [(52 * first + 12 * last) / 64], 1e-5, `affinity of ${side}x${side}`);
      }
    },
  },
  {
    name: "affinity over 1 024 channels",
    kernels: { affinity_rows: "cut" },
    async run(gpu) {
      const [teacher, candidate] = [1, 2].map((seed) => maps([2, 1024, 2, 2], seed));
      const metric = new AffinityMetric(gpu, undefined, 0);
      const scores = await similarities(gpu, metric, [teacher], [[candidate], [teacher]]);
      assertClose(scores, [affinityReference(teacher, candidate), 1], 1e-5, "affinity");
    },
  },
  {
    name: "affinity of 280 900 positions",
    kernels: { affinity_products: "cut" },
    async run(gpu) {
      const positions = 530 * 530;
      const [teacher, candidate] = [1, 2].map((seed) => maps([1, 2, 530, 530], seed));
      const unit = ({ values }: Maps) => {
        const lengths = (at: number) => Math.hypot(values[at], values[positions + at]);
        return [0, 1].map((channel) =>
          Float64Array.from({ length: positions }, (_, at) => values[channel * positions + at] / lengths(at))
        );
      };
      const f = unit(teacher), g = unit(candidate);
      // <a_i, b_i> = f_i (F G^T) g_i
      const products = (a: Float64Array[], b: Float64Array[]) => {
        const matrix = a.map((x) => b.map((y) => sum(positions, (at) => x[at] * y[at])));
        return (at: number) =>
          sum(4, (pair) => a[pair >> 1][at] * matrix[pair >> 1][pair & 1] * b[pair & 1][at]);
      };
      const cross = products(f, g), own = products(g, g), teachers = products(f, f);
      const expected = sum(positions, (at) => cross(at) / Math.sqrt(own(at) * teachers(at))) / positions;
      const [score] = await similarities(gpu, new AffinityMetric(gpu), [teacher], [[candidate]]);
      assertClose([score], [expected], 1e-5, "affinity");
    },
  },
  {
    name: "cka over the 3 000 positions of 30 images",
    kernels: { gram_compare: "short", cka_score: "short", image_cka: "short" },
    async run(gpu) {
      const [teacher, candidate] = [3, 5].map((channels, at) => maps([30, channels, 10, 10], at + 1));
      const expected = crossCovariance(teacher, candidate) /
        Math.sqrt(crossCovariance(teacher, teacher) * crossCovariance(candidate, candidate));
      const metric = new CkaMetric(gpu, "biased", "all-positions");
      const scores = await similarities(gpu, metric, [teacher], [[candidate], [teacher]]);
      assertClose(scores, [expected, 1], 1e-5, "cka");
    },
  },
  {
    name: "cka over the positions of each of 9 000 images",
    kernels: { cka_score: "cut" },
    async run(gpu) {
      const images = 9000, positions = 6;
      // Of the last images, which a loop that ends too early would miss, the candidate is the teacher.
      const teacher = maps([images, 2, 2, 3], 1);
      const other = maps([images, 2, 2, 3], 2);
      const candidate = {
        ...other,
        values: other.values.map((value, at) => at < 0.7 * other.values.length ? value : teacher.values[at]),
      };
      const rows = ({ values }: HostTensor, image: number): Matrix =>
        Array.from(
          { length: positions },
          (_, at) => [0, 1].map((channel) => values[(2 * image + channel) * positions + at]),
        );
      const pairs = Array.from(
        { length: images },
        (_, image): [Matrix, Matrix] => [rows(teacher, image), rows(candidate, image)],
      );
      const metric = new CkaMetric(gpu, "debiased", "positions");
      const scores = await similarities(gpu, metric, [teacher], [[candidate], [teacher]]);
      assertClose(scores, [ckaReference(pairs, true), 1], 1e-5, "cka");
    },
  },
  {
    name: "cka of 70 000 samples",
    kernels: { cka_centre: "refused" },
    run(gpu) {
      new CkaMetric(gpu).prepareTeacher(Tensor.zeros(gpu, [70_000, 1]));
      return Promise.resolve();
    },
  },
  {
    name: "cka of 70 000 channels",
    kernels: { gram_compare: "refused" },
    run(gpu) {
      new CkaMetric(gpu).prepareTeacher(Tensor.zeros(gpu, [8, 70_000]));
      return Promise.resolve();
    },
  },
  {
    name: "affinity of 70 000 channels",
    kernels: { affinity_pack: "refused" },
    run(gpu) {
      new AffinityMetric(gpu, undefined, 0).prepareTeacher(Tensor.zeros(gpu, [1, 70_000, 1, 1]));
      return Promise.resolve();
    },
  },
];
