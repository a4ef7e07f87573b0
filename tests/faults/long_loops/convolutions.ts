/** Convolutions with long sums: many channels, many taps, many positions. */
import type { Gpu } from "../../../src/gpu/device.ts";
import { convolution } from "../../../src/tensor/ops/convolution.ts";
import { linear } from "../../../src/tensor/ops/linear.ts";
import { Tape } from "../../../src/tensor/tape.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { assertClose, parameter } from "../../helpers.ts";
import { type LongLoop, spread, sum } from "./case.ts";

const hardware = { software: false };

interface Sizes {
  channels: number;
  height: number;
  width: number;
  kernel: number;
  padding: number;
  dilation?: number;
}

/** One output channel, forwards and backwards, against float64 loops. */
async function compare(gpu: Gpu, sizes: Sizes, backward: boolean): Promise<void> {
  const { channels, height, width, kernel, padding, dilation = 1 } = sizes;
  const taps = kernel * kernel, plane = height * width;
  const input = spread(channels * plane, 1), stored = spread(channels * taps, 2);
  const weight = parameter(gpu, "weight", { data: stored, shape: [1, channels, kernel, kernel] });
  const tape = new Tape(gpu, backward);
  const output = convolution(tape, Tensor.from(gpu, input, [1, channels, height, width]), weight, {
    padding,
    dilation,
  });
  const [, , outHeight, outWidth] = output.shape;
  const found = await output.read();
  const gradOutput = spread(found.length, 3);
  const expected = new Float64Array(found.length), gradient = new Float64Array(stored.length);
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      for (let tap = 0; tap < taps; tap++) {
        const row = y + Math.floor(tap / kernel) * dilation - padding;
        const column = x + tap % kernel * dilation - padding;
        if (row < 0 || row >= height || column < 0 || column >= width) continue;
        for (let channel = 0; channel < channels; channel++) {
          const value = input[channel * plane + row * width + column];
          expected[y * outWidth + x] += value * stored[channel * taps + tap];
          gradient[channel * taps + tap] += value * gradOutput[y * outWidth + x];
        }
      }
    }
  }
  assertClose(found, expected, 1e-5, "output");
  if (!backward) return;
  tape.backward([output, Tensor.from(gpu, gradOutput, output.shape)]);
  assertClose(await weight.gradient!.read(), gradient, 1e-4, "weight gradient");
}

/** {@linkcode compare} with every variant of the kernels. */
async function compareVariants(gpu: Gpu, sizes: Sizes, backward: boolean): Promise<void> {
  for (let trial = 0; trial === 0 || trial < gpu.tuning.mostVariants; trial++) {
    gpu.tuning.trial = trial;
    await compare(gpu, sizes, backward);
  }
}

/** The weight gradient of a linear layer, of which one element is compared: its sum over the rows is not split at all. */
async function weightGradient(gpu: Gpu): Promise<void> {
  const rows = 30_000, features = 128, outputs = 256;
  const input = spread(rows * features, 1), gradOutput = spread(rows * outputs, 2);
  const weight = parameter(gpu, "weight", {
    data: new Float32Array(outputs * features),
    shape: [outputs, features],
  });
  const tape = new Tape(gpu, true);
  const output = linear(tape, Tensor.from(gpu, input, [rows, features]), weight);
  tape.backward([output, Tensor.from(gpu, gradOutput, [rows, outputs])]);
  const found = await weight.gradient!.read();
  const expected = sum(rows, (row) => input[row * features + 5] * gradOutput[row * outputs + 7]);
  assertClose([found[7 * features + 5]], [expected], 1e-4, "weight gradient");
}

export const convolutions: LongLoop[] = [
  {
    name: "3x3 over 7 000 channels, general kernel",
    kernels: { convolution: "split" },
    run: (gpu) => compare(gpu, { channels: 7000, height: 3, width: 3, kernel: 3, padding: 1 }, false),
  },
  {
    name: "a filter of 200x200 taps",
    kernels: { convolution: "split" },
    run: (gpu) => compare(gpu, { channels: 1, height: 201, width: 201, kernel: 200, padding: 0 }, false),
  },
  {
    name: "a filter row of 30 000 taps",
    kernels: { convolution: "refused" },
    run(gpu) {
      const weight = parameter(gpu, "weight", { data: spread(30_000, 1), shape: [1, 1, 1, 30_000] });
      convolution(new Tape(gpu, false), Tensor.zeros(gpu, [1, 1, 1, 30_000]), weight);
      return Promise.resolve();
    },
  },
  {
    name: "3x3 over 7 000 channels, whole rows",
    kernels: { convolution_rows: "split" },
    run: (gpu) => compare(gpu, { channels: 7000, height: 4, width: 4, kernel: 3, padding: 1 }, false),
  },
  {
    name: "1x1 over 70 000 channels",
    kernels: { convolution_pointwise: "split" },
    run: (gpu) => compare(gpu, { channels: 70_000, height: 2, width: 2, kernel: 1, padding: 0 }, false),
  },
  {
    name: "3x3 over 7 000 channels, tiles",
    kernels: { convolution_tiled: "split" },
    assumed: hardware,
    run: (gpu) => compareVariants(gpu, { channels: 7000, height: 3, width: 3, kernel: 3, padding: 1 }, false),
  },
  {
    name: "weight gradient over 90 000 positions",
    kernels: { convolution_weight_gradient_rows: "split" },
    run: (gpu) => compare(gpu, { channels: 1, height: 300, width: 300, kernel: 3, padding: 1 }, true),
  },
  {
    name: "weight gradient over 30 000 rows of one position",
    kernels: { convolution_weight_gradient_rows: "split" },
    run: weightGradient,
  },
  {
    name: "weight gradient over 90 000 positions, dilated",
    kernels: { convolution_weight_gradient_rows: "split" },
    run: (gpu) =>
      compare(gpu, { channels: 1, height: 300, width: 300, kernel: 3, padding: 2, dilation: 2 }, true),
  },
  {
    name: "weight gradient of a 9x9 over 90 000 positions",
    kernels: { convolution_weight_gradient: "split" },
    run: (gpu) => compare(gpu, { channels: 1, height: 300, width: 300, kernel: 9, padding: 4 }, true),
  },
  {
    name: "weight gradient over 90 000 positions, tiles",
    kernels: { convolution_weight_gradient_tiled: "split" },
    assumed: hardware,
    run: (gpu) => compareVariants(gpu, { channels: 1, height: 300, width: 300, kernel: 3, padding: 1 }, true),
  },
  {
    name: "weight gradient over a row of 70 000 positions",
    kernels: { convolution_weight_gradient_rows: "refused" },
    run: (gpu) => compare(gpu, { channels: 1, height: 3, width: 70_000, kernel: 3, padding: 1 }, true),
  },
];
