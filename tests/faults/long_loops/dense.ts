/** Long loops of dense prediction's operations. */
import { assertEquals } from "@std/assert";
import { adaptiveAveragePool } from "../../../src/tensor/ops/adaptive_pool.ts";
import { add } from "../../../src/tensor/ops/elementwise.ts";
import { bilinear } from "../../../src/tensor/ops/bilinear.ts";
import { addNearest } from "../../../src/tensor/ops/nearest.ts";
import { pixelClasses, pixelProbabilities } from "../../../src/tensor/ops/pixel_predictions.ts";
import { Tape } from "../../../src/tensor/tape.ts";
import { pixelCrossEntropy } from "../../../src/tensor/ops/pixel_cross_entropy.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { assertClose, forwardBackward, lossAndGradient } from "../../helpers.ts";
import { type LongLoop, spread, sum } from "./case.ts";

/** Two times the same operation, whose second gradient is added to the first, in parts. */
const twice = (operation: (tape: Tape) => Tensor) => (tape: Tape) =>
  add(tape, operation(tape), operation(tape));

export const dense: LongLoop[] = [
  {
    name: "one row interpolated to 70 000",
    kernels: { bilinear_gradient: "cut" },
    async run(gpu) {
      const rows = 70_000;
      const input = Tensor.from(gpu, Float32Array.of(3), [1, 1, 1, 1]);
      const gradOutput = spread(rows, 1);
      const { output, gradients } = await forwardBackward(
        gpu,
        [input],
        gradOutput,
        twice((tape) => bilinear(tape, input, [rows, 1])),
      );
      assertClose(output, new Float32Array(rows).fill(6), 1e-6, "output");
      assertClose(gradients[0], [2 * sum(rows, (at) => gradOutput[at])], 1e-5, "gradient");
    },
  },
  {
    name: "two rows repeated to 140 000",
    kernels: { nearest_gradient: "cut" },
    async run(gpu) {
      const rows = 140_000;
      const coarse = Tensor.from(gpu, Float32Array.of(3, 4), [1, 1, 2, 1]);
      const lateral = Tensor.from(gpu, spread(rows, 2), [1, 1, rows, 1]);
      const gradOutput = spread(rows, 1);
      const { gradients } = await forwardBackward(
        gpu,
        [coarse],
        gradOutput,
        twice((tape) => addNearest(tape, coarse, lateral)),
      );
      const half = [0, rows / 2].map((from) => 2 * sum(rows / 2, (at) => gradOutput[from + at]));
      assertClose(gradients[0], half, 1e-5, "gradient");
    },
  },
  {
    name: "a row of 130 001 pixels pooled to two cells, and one pixel to 70 000",
    kernels: { adaptive_average_pool: "cut" },
    async run(gpu) {
      const width = 130_001, cells = 70_000;
      const values = spread(width, 3);
      const input = Tensor.from(gpu, values, [1, 1, 1, width]);
      const pool = (size: [number, number], from = input) => (tape: Tape) =>
        adaptiveAveragePool(tape, from, size);
      const { output, gradients } = await forwardBackward(gpu, [input], Float32Array.of(1, 2), pool([1, 2]));
      const each = 65_001;
      const means = [0, each - 1].map((from) => sum(each, (at) => values[from + at]) / each);
      assertClose(output, means, 1e-5, "output");
      const gradient = Array.from(values, (_, at) => (at < each - 1 ? 1 : at === each - 1 ? 3 : 2) / each);
      assertClose(gradients[0], gradient, 1e-5, "gradient");

      const pixel = Tensor.from(gpu, Float32Array.of(3), [1, 1, 1, 1]);
      const gradCells = spread(cells, 4);
      const spreadOut = await forwardBackward(gpu, [pixel], gradCells, twice(pool([1, cells], pixel)));
      assertClose(
        spreadOut.gradients[0],
        [2 * sum(cells, (at) => gradCells[at])],
        1e-5,
        "gradient of the pixel",
      );
    },
  },
  {
    name: "cross-entropy of two pixels over 70 000 channels, and of 70 000 pixels between two logits",
    kernels: { pixel_cross_entropy: "cut", pixel_cross_entropy_gradient: "cut" },
    async run(gpu) {
      const channels = 70_000;
      const values = spread(2 * channels, 5);
      const logits = Tensor.from(gpu, values, [1, channels, 1, 2]);
      const labels = [channels - 1, 3];
      const loss = await pixelCrossEntropy(
        new Tape(gpu, false),
        logits,
        Tensor.from(gpu, Uint32Array.from(labels), [1, 1, 2]),
      ).read();
      const row = (at: number) =>
        Math.log(sum(channels, (channel) => Math.exp(values[2 * channel + at]))) -
        values[2 * labels[at] + at];
      assertClose(loss, [(row(0) + row(1)) / 2], 1e-5, "loss");

      const width = 140_000;
      const two = Tensor.from(gpu, Float32Array.of(0, 0, 0.5, 0.5), [1, 2, 1, 2]);
      const half = Tensor.from(gpu, Uint32Array.from({ length: width }, (_, at) => at < width / 2 ? 0 : 1), [
        1,
        1,
        width,
      ]);
      const { gradient } = await lossAndGradient(gpu, two, (tape) => pixelCrossEntropy(tape, two, half));
      // The two logits of a channel have equal shares of the pixels; those of the left column have label 0.
      const p = 1 / (1 + Math.exp(-0.5));
      const share = (column: number, label: number) =>
        sum(width, (at) => {
          const place = Math.min(Math.max((at + 0.5) * 2 / width - 0.5, 0), 1);
          return (column === 0 ? 1 - place : place) * (p - Number((at < width / 2 ? 0 : 1) === label)) /
            width;
        });
      assertClose([gradient[2], gradient[3]], [share(0, 1), share(1, 1)], 1e-4, "gradient");
      assertClose([gradient[0], gradient[1]], [-share(0, 1), -share(1, 1)], 1e-4, "gradient of the other");
    },
  },
  {
    name: "predictions of a pixel among 130 000 channels",
    kernels: { pixel_argmax: "cut", pixel_softmax_rows: "cut" },
    async run(gpu) {
      const channels = 130_000;
      const values = spread(channels, 6).map((value, at) => at >= channels - 2 || at === 1 ? 2 : value);
      values[0] = 1.5;
      const tape = new Tape(gpu, false);
      for (const best of [1, channels - 2]) {
        if (best > 1) values[1] = 0;
        const logits = Tensor.from(gpu, values, [1, channels, 1, 1]);
        const [bytes] = await gpu.read(pixelClasses(tape, logits, [1, 1]));
        assertEquals([...new Uint32Array(bytes)], [best]);
        const total = sum(channels, (at) => Math.exp(values[at]));
        const found = await pixelProbabilities(tape, logits, [1, 1]).read();
        assertClose(found, Array.from(values, (value) => Math.exp(value) / total), 2e-5, "probabilities");
      }
    },
  },
];
