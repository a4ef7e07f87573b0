/** Batchnorm over many elements, augmentation of large images. */
import { augment } from "../../../src/data/augment.ts";
import { denseCrop } from "../../../src/data/dense/dense_crop.ts";
import { wholePlacement } from "../../../src/data/dense/placement.ts";
import type { SampleParameters } from "../../../src/data/augmentation.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import { batchnorm } from "../../../src/tensor/ops/batchnorm.ts";
import { Tape } from "../../../src/tensor/tape.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { assertClose, parameter } from "../../helpers.ts";
import { type LongLoop, spread, sum } from "./case.ts";

/** One image of `height` x `width` through the augmentation; gray values as bytes. */
function augmentOne(
  gpu: Gpu,
  bytes: ArrayLike<number>,
  [height, width]: [number, number],
  size: number,
  parameters: Partial<SampleParameters>,
): Tensor {
  const pixels = Uint32Array.from({ length: height * width }, (_, at) => bytes[at] * 0x10101 + 0xff000000);
  const sample = {
    offset: 0,
    width,
    parameters: {
      crop: { top: 0, left: 0, height, width },
      flip: false,
      jitter: [],
      grayscale: false,
      sigma: 0,
      ...parameters,
    },
  };
  const target = { height: size, width: size, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  return augment(gpu, Tensor.from(gpu, pixels), [[sample]], target)[0];
}

function batchnormOf(gpu: Gpu, shape: readonly number[], groups: number) {
  const [images, channels, height = 1, width = 1] = shape;
  const values = spread(images * channels * height * width, 1);
  const stored = (value: number) => ({ data: new Float32Array(channels).fill(value), shape: [channels] });
  const weight = parameter(gpu, "weight", stored(1)), bias = parameter(gpu, "bias", stored(0));
  const running = { mean: Tensor.zeros(gpu, [channels]), variance: Tensor.zeros(gpu, [channels]) };
  const tape = new Tape(gpu, true);
  const input = Tensor.from(gpu, values, shape);
  tape.watch(input);
  const output = batchnorm(tape, input, weight, bias, running, {
    training: true,
    momentum: 1,
    groups,
  });
  return { values, weight, bias, running, tape, output };
}

export const images: LongLoop[] = [
  {
    name: "batchnorm of 33 images of 127x127 with 32 channels",
    kernels: {
      batchnorm_statistics: "split",
      batchnorm_gradient_sums: "split",
      batchnorm_apply: "short",
      batchnorm_gradient_apply: "short",
    },
    async run(gpu) {
      const count = 33, channels = 32, plane = 127 * 127;
      const { values, weight, bias, running, tape, output } = batchnormOf(
        gpu,
        [count, channels, 127, 127],
        1,
      );
      const gradOutput = values.map((value, at) => value * (at % 2));
      tape.backward([output, Tensor.from(gpu, gradOutput, output.shape)]);
      const found = (await gpu.read(running.mean, running.variance, weight.gradient!, bias.gradient!))
        .map((bytes) => new Float32Array(bytes));
      const channel = channels - 1, elements = count * plane;
      const place = (at: number) => (Math.floor(at / plane) * channels + channel) * plane + at % plane;
      const mean = sum(elements, (at) => values[place(at)]) / elements;
      const squares = sum(elements, (at) => (values[place(at)] - mean) ** 2);
      const expected = [
        mean,
        squares / (elements - 1),
        sum(elements, (at) => gradOutput[place(at)] * (values[place(at)] - mean)) /
        Math.sqrt(squares / elements + 1e-5),
        sum(elements, (at) => gradOutput[place(at)]),
      ];
      const names = ["mean", "variance", "weight gradient", "bias gradient"];
      names.forEach((name, at) => assertClose([found[at][channel]], [expected[at]], 1e-5, name));
    },
  },
  {
    name: "batchnorm in 9 000 groups",
    kernels: { batchnorm_finish: "refused" },
    run(gpu) {
      batchnormOf(gpu, [18_000, 1], 9000);
      return Promise.resolve();
    },
  },
  {
    name: "the gradient of a batchnorm in 9 000 groups",
    kernels: { batchnorm_gradient_finish: "refused" },
    run(gpu) {
      // What comes before the gradient's kernel is left out: it is refused as well.
      const { dispatch } = gpu.stream;
      gpu.stream.dispatch = (call) => {
        if (call.kernel.name !== "batchnorm_finish") dispatch.call(gpu.stream, call);
      };
      const { tape, output } = batchnormOf(gpu, [18_000, 1], 9000);
      tape.backward([output, Tensor.zeros(gpu, output.shape)]);
      return Promise.resolve();
    },
  },
  {
    name: "the mean gray of 1024x1024 pixels",
    kernels: { augment_crop: "short", augment_colour: "short", augment_gray_mean: "split" },
    async run(gpu) {
      const size = 1024;
      // Brighter towards the end.
      const bytes = Uint8Array.from({ length: size * size }, (_, at) => at < 0.9 * size * size ? 20 : 250);
      const view = augmentOne(gpu, bytes, [size, size], size, {
        jitter: [{ operation: "contrast", amount: 0 }],
      });
      const mean = sum(bytes.length, (at) => bytes[at]) / bytes.length / 255;
      const found = await view.read();
      assertClose([found[0], found[3 * size * size - 1]], [0.9999 * mean, 0.9999 * mean], 1e-4, "gray");
    },
  },
  {
    name: "a photo of 1600x1600 pixels shown at 32x32",
    kernels: { dense_crop: "short" },
    async run(gpu) {
      const size = 1600, shown = 32;
      // Brighter towards the right, by steps of a shown pixel, so that a triangle filter keeps the middle of each.
      const pixels = Uint32Array.from({ length: size * size }, (_, at) => {
        return Math.floor((at % size) / (size / shown)) * 8 * 0x10101 + 0xff000000;
      });
      const placement = wholePlacement({ height: size, width: size }, { height: shown, width: shown });
      const sample = { offset: 0, width: size, height: size, placement, colours: [] };
      const target = { height: shown, width: shown, mean: [0, 0, 0], std: [1, 1, 1] } as const;
      const found = await denseCrop(gpu, Tensor.from(gpu, pixels), [sample], target, true).read();
      for (const x of [1, 15, 30]) assertClose([found[15 * shown + x]], [8 * x / 255], 1e-4, `column ${x}`);
    },
  },
  {
    name: "a blur of radius 70 000",
    kernels: { augment_blur: "refused" },
    run(gpu) {
      augmentOne(gpu, new Uint8Array(64), [8, 8], 8, { sigma: 70_000 / 3 });
      return Promise.resolve();
    },
  },
];
