/** Long sums of losses, linear layers, rows and pools. */
import { assertEquals } from "@std/assert";
import { infoNce, softmaxCrossEntropy } from "../../../src/tensor/ops/softmax.ts";
import { distributionCrossEntropy } from "../../../src/tensor/ops/distribution.ts";
import { findNonfinite, firstNonfinite } from "../../../src/tensor/ops/find_nonfinite.ts";
import { gatherRows } from "../../../src/tensor/ops/gather_rows.ts";
import { l2Normalise } from "../../../src/tensor/ops/l2_normalise.ts";
import { linear } from "../../../src/tensor/ops/linear.ts";
import { globalAveragePool, maxPool } from "../../../src/tensor/ops/pool.ts";
import { Tape } from "../../../src/tensor/tape.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { assertClose, forwardBackward, parameter } from "../../helpers.ts";
import { type LongLoop, spread, sum } from "./case.ts";
import { launchSumPartials } from "../../../src/tensor/ops/sum_partials.ts";
import { benchPeakKernel } from "../../../bench/limits.ts";

export const sums: LongLoop[] = [
  {
    name: "global average pooling of 300x300 and 512x512",
    kernels: { global_average_pool: "cut" },
    async run(gpu) {
      for (const size of [300, 512]) {
        const plane = size * size;
        const values = [new Float32Array(plane).fill(1), spread(plane, 1)];
        const input = Tensor.from(gpu, Float32Array.from([...values[0], ...values[1]]), [1, 2, size, size]);
        const found = await globalAveragePool(new Tape(gpu, false), input).read();
        assertEquals(found[0], 1);
        assertClose([found[1]], [sum(plane, (at) => values[1][at]) / plane], 1e-5, `mean of ${size}x${size}`);
      }
    },
  },
  {
    name: "max-pooling with a window of 22 001 rows",
    kernels: { max_pool: "cut", max_pool_places: "cut", max_pool_gradient: "cut" },
    async run(gpu) {
      const height = 22_001, window = 22_001, padding = 11_000;
      // Ascending: each window's maximum is its last row, far beyond where a loop ends.
      const values = Float32Array.from({ length: height }, (_, at) => at);
      const gradOutput = spread(height, 2);
      const input = Tensor.from(gpu, values, [1, 1, height, 1]);
      const { output, gradients } = await forwardBackward(
        gpu,
        [input],
        gradOutput,
        (tape) => maxPool(tape, input, window, 1, padding),
      );
      const last = (at: number) => Math.min(at + padding, height - 1);
      assertEquals([...output], Array.from({ length: height }, (_, at) => last(at)));
      const expected = new Float64Array(height);
      gradOutput.forEach((value, at) => expected[last(at)] += value);
      assertClose(gradients[0], expected, 1e-5, "gradient");
    },
  },
  {
    name: "l2Normalise of rows of 70 000",
    kernels: { row_products: "cut" },
    async run(gpu) {
      const columns = 70_000;
      const values = spread(2 * columns, 3), gradOutput = spread(2 * columns, 4);
      const input = Tensor.from(gpu, values, [2, columns]);
      const { output, gradients } = await forwardBackward(
        gpu,
        [input],
        gradOutput,
        (tape) => l2Normalise(tape, input),
      );
      for (const row of [0, 1]) {
        const x = values.subarray(row * columns, (row + 1) * columns);
        const g = gradOutput.subarray(row * columns, (row + 1) * columns);
        const norm = Math.sqrt(sum(columns, (at) => x[at] ** 2));
        const product = sum(columns, (at) => x[at] * g[at]) / norm;
        const of = (whole: Float32Array) => whole.subarray(row * columns, (row + 1) * columns);
        assertClose(of(output), Array.from(x, (value) => value / norm), 1e-5, "output");
        const expected = Array.from(x, (value, at) => (g[at] - value / norm * product) / norm);
        assertClose(of(gradients[0]), expected, 1e-5, "gradient");
      }
    },
  },
  {
    name: "cross-entropy of 70 000 rows",
    kernels: { mean: "cut" },
    async run(gpu) {
      const rows = 70_000;
      // The last rows are the worst guesses.
      const logits = spread(2 * rows, 5).map((value, at) => value + (at > 1.8 * rows ? 4 * (at % 2) : 0));
      const labels = Tensor.from(gpu, new Uint32Array(rows), [rows]);
      const loss = softmaxCrossEntropy(
        new Tape(gpu, false),
        Tensor.from(gpu, logits, [rows, 2]),
        labels,
      );
      const expected = sum(rows, (row) => Math.log1p(Math.exp(logits[2 * row + 1] - logits[2 * row]))) / rows;
      assertClose(await loss.read(), [expected], 1e-5, "loss");
    },
  },
  {
    name: "cross-entropy of four million classes",
    kernels: { softmax_parts: "split", cross_entropy_finish: "short" },
    async run(gpu) {
      const classes = 4_300_000;
      const logits = spread(classes, 6);
      const loss = softmaxCrossEntropy(
        new Tape(gpu, false),
        Tensor.from(gpu, logits, [1, classes]),
        Tensor.from(gpu, Uint32Array.of(classes - 1), [1]),
      );
      const expected = Math.log(sum(classes, (at) => Math.exp(logits[at]))) - logits[classes - 1];
      assertClose(await loss.read(), [expected], 1e-5, "loss");
    },
  },
  {
    name: "cross-entropy with a distribution over four million classes",
    kernels: { softmax_parts: "split", row_products: "cut", softmax_rows: "short" },
    async run(gpu) {
      const classes = 4_300_000, step = 60_000;
      const logits = spread(classes, 7);
      // All of it on a few of the classes, the last among them.
      const share = 1 / Math.ceil(classes / step);
      const targets = Float32Array.from(
        { length: classes },
        (_, at) => (classes - 1 - at) % step === 0 ? share : 0,
      );
      const loss = distributionCrossEntropy(
        new Tape(gpu, false),
        Tensor.from(gpu, logits, [1, classes]),
        Tensor.from(gpu, targets, [1, classes]),
      );
      const product = sum(classes, (at) => targets[at] * logits[at]);
      const expected = Math.log(sum(classes, (at) => Math.exp(logits[at]))) - product;
      assertClose(await loss.read(), [expected], 1e-5, "loss");
    },
  },
  {
    name: "InfoNCE of 70 000 dimensions",
    kernels: { row_products: "cut", info_nce_finish: "short" },
    async run(gpu) {
      const dimension = 70_000;
      const rows = [1, 2, 3].map((seed) => spread(dimension, seed));
      const [query, keys, queue] = rows.map((values) => Tensor.from(gpu, values, [1, dimension]));
      const temperature = 5000;
      const loss = infoNce(new Tape(gpu, false), query, keys, queue, temperature);
      const logit = (other: Float32Array) => sum(dimension, (at) => rows[0][at] * other[at]) / temperature;
      assertClose(await loss.read(), [Math.log1p(Math.exp(logit(rows[2]) - logit(rows[1])))], 1e-5, "loss");
    },
  },
  {
    name: "a linear layer of 70 000 features and its gradients over 70 000 rows",
    kernels: { matrix_product: "split", channel_sums: "split" },
    async run(gpu) {
      const features = 70_000;
      const input = spread(features, 1), stored = spread(features, 2);
      const weight = parameter(gpu, "weight", { data: stored, shape: [1, features] });
      const bias = parameter(gpu, "bias", { data: new Float32Array([0.5]), shape: [1] });
      const long = linear(new Tape(gpu, false), Tensor.from(gpu, input, [1, features]), weight, bias);
      const product = sum(features, (at) => input[at] * stored[at]);
      assertClose(await long.read(), [product + 0.5], 1e-5, "output");

      const rows = 70_000;
      const narrow = parameter(gpu, "narrow", { data: new Float32Array(1), shape: [1, 1] });
      const tape = new Tape(gpu, true);
      const output = linear(tape, Tensor.from(gpu, input, [rows, 1]), narrow, bias);
      tape.backward([output, Tensor.from(gpu, stored, [rows, 1])]);
      assertClose(await narrow.gradient!.read(), [product], 1e-5, "weight gradient");
      assertClose(await bias.gradient!.read(), [sum(rows, (at) => stored[at])], 1e-5, "bias gradient");
    },
  },
  {
    name: "70 000 rows gathered from three",
    kernels: { gather_rows_gradient: "cut" },
    async run(gpu) {
      const rows = 70_000;
      const gradOutput = spread(rows, 3);
      const order = Tensor.from(gpu, Uint32Array.from({ length: rows }, (_, at) => at % 3), [rows]);
      const input = Tensor.from(gpu, new Float32Array(3), [3, 1]);
      const { gradients } = await forwardBackward(
        gpu,
        [input],
        gradOutput,
        (tape) => gatherRows(tape, input, order),
      );
      const expected = [0, 1, 2].map((row) => sum(rows, (at) => at % 3 === row ? gradOutput[at] : 0));
      assertClose(gradients[0], expected, 1e-5, "gradient");
    },
  },
  {
    name: "70 000 partial sums, written and added",
    kernels: { sum_partials: "cut" },
    async run(gpu) {
      const splits = 70_000;
      const values = spread(2 * splits, 4);
      for (const accumulate of [0, 1]) {
        const sums = Tensor.from(gpu, Float32Array.of(1000, 3, 2000));
        const partial = Tensor.from(gpu, values, [splits, 2, 1]);
        launchSumPartials(partial, { tensor: sums, accumulate: accumulate === 1 }, { storedRow: 2 });
        const expected = [0, 1].map((row) => sum(splits, (at) => values[2 * at + row]));
        const [first, between, last] = await sums.read();
        assertEquals(between, 3);
        assertClose(
          [first, last],
          [expected[0] + 1000 * accumulate, expected[1] + 2000 * accumulate],
          1e-5,
          accumulate ? "added" : "written",
        );
      }
    },
  },
  {
    name: "the one NaN among two million values",
    kernels: { find_nonfinite: "short" },
    async run(gpu) {
      const values = new Float32Array(2_000_000);
      values[1_999_998] = NaN;
      const found = Tensor.zeros(gpu, [1]);
      findNonfinite(gpu, Tensor.from(gpu, values), found, 0);
      const [bytes] = await gpu.read(found);
      assertEquals(firstNonfinite(new Uint32Array(bytes)[0], values.length), 1_999_998);
    },
  },
  {
    name: "multiply-adds of the benchmark",
    kernels: { bench_peak: "refused" },
    run(gpu) {
      gpu.stream.dispatch({
        kernel: benchPeakKernel,
        constants: { SUMS: 2 },
        buffers: { output: Tensor.create(gpu, [64]) },
        params: { rounds: 70_000, factor: 0.999, summand: 0.001 },
        grid: [1, 1, 1],
        turns: 70_001,
      });
      return Promise.resolve();
    },
  },
];
