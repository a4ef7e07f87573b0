/** The loss of segmentation at random sizes against float64, and what it must never need or do. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/errors.ts";
import { elements, type Shape } from "../../src/shape.ts";
import {
  pixelCrossEntropy,
  type PixelCrossEntropyOptions,
} from "../../src/tensor/ops/pixel_cross_entropy.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { gpuTest, lossAndGradient, randomStreams, randomTensor, randomValues } from "../helpers.ts";
import { consumeTwice } from "./consume_twice.ts";
import { applyMatrices, linearMatrix, transpose } from "./dense_reference.ts";
import type { Values } from "./reference.ts";

/** Loss and gradient with logits of the labels' size in between. */
function reference(
  logits: Values,
  [images, channels, height, width]: Shape,
  labels: Uint32Array,
  size: readonly [number, number],
  { alignCorners = false, ignore = 255, mean = "valid" }: PixelCrossEntropyOptions,
): { loss: number; gradient: Float64Array } {
  const y = linearMatrix(height, size[0], alignCorners), x = linearMatrix(width, size[1], alignCorners);
  const large = applyMatrices(logits, y, x);
  const plane = size[0] * size[1];
  const valid = labels.filter((label) => label !== ignore).length;
  const count = mean === "all" ? images * plane : valid;
  const gradient = new Float64Array(large.length);
  let loss = 0;
  labels.forEach((label, pixel) => {
    if (label === ignore) return;
    const at = (channel: number) => (Math.floor(pixel / plane) * channels + channel) * plane + pixel % plane;
    const row = Array.from({ length: channels }, (_, channel) => large[at(channel)]);
    const most = Math.max(...row);
    const total = row.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
    loss += (most + Math.log(total) - row[label]) / count;
    row.forEach((logit, channel) => {
      gradient[at(channel)] = (Math.exp(logit - most) / total - Number(channel === label)) / count;
    });
  });
  return { loss, gradient: applyMatrices(gradient, transpose(y), transpose(x)) };
}

const sides = [1, 2, 3, 4, 5, 7, 8, 13];

gpuTest("pixel cross-entropy of random sizes", async (gpu) => {
  for (const [index, random] of randomStreams(35, 40).entries()) {
    const channels = random.pick([1, 2, 3, 5, 17]);
    const shape = [1 + random.integer(2), channels, random.pick(sides), random.pick(sides)];
    const scale = random.pick([1, 2, 8]);
    const size: [number, number] = random.chance(0.2)
      ? [shape[2], shape[3]]
      : random.chance(0.5)
      ? [scale * shape[2], scale * shape[3]]
      : [random.pick(sides) * 2 + 1, random.pick(sides) * 3];
    const ignore = random.pick([255, 255, 0]);
    const options: PixelCrossEntropyOptions = {
      alignCorners: random.chance(0.5),
      ignore,
      mean: random.chance(0.7) ? "valid" : "all",
    };
    const labels = Uint32Array.from(
      { length: shape[0] * size[0] * size[1] },
      () => random.chance(0.3) ? ignore : random.integer(channels),
    );
    const valid = labels.some((label) => label !== ignore);
    const values = randomValues(elements(shape), 10 * index).map((value) => 5 * value);
    const logits = Tensor.from(gpu, values, shape);
    const uploaded = Tensor.from(gpu, labels, [shape[0], ...size]);
    const weight = Float32Array.of(1.5);
    const { output, gradients } = await consumeTwice(
      gpu,
      [logits],
      () => Tensor.from(gpu, weight, []),
      (tape) => pixelCrossEntropy(tape, logits, uploaded, options),
    );
    const expected = valid
      ? reference(values, shape, labels, size, options)
      : { loss: 0, gradient: new Float64Array(values.length) };
    const what = `${shape} at ${size}, ${JSON.stringify(options)}`;
    const floor = 1e-7;
    assert(Math.abs(output[0] - expected.loss) <= 1e-5 * expected.loss + floor, `loss of ${what}`);
    // The other consumer's gradient, which is of size 1, leaves what rounding its sum leaves.
    gradients[0].forEach((value, at) => {
      const wanted = 1.5 * expected.gradient[at];
      assert(Math.abs(value - wanted) <= 1e-4 * Math.abs(wanted) + 2e-7, `gradient ${at} of ${what}`);
    });
  }
});

gpuTest("where every label is ignored, the loss and its gradient are 0", async (gpu) => {
  const logits = randomTensor(gpu, [1, 3, 2, 2], 1);
  for (const size of [[2, 2], [8, 8]]) {
    for (const mean of ["valid", "all"] as const) {
      const labels = Tensor.from(gpu, new Uint32Array(size[0] * size[1]).fill(255), [1, ...size]);
      const { loss, gradient } = await lossAndGradient(
        gpu,
        logits,
        (tape) => pixelCrossEntropy(tape, logits, labels, { mean }),
      );
      assertEquals([...loss, ...gradient], new Array(13).fill(0));
    }
  }
});

gpuTest("a label that is no class makes the loss NaN", async (gpu) => {
  const logits = randomTensor(gpu, [1, 3, 2, 2], 1);
  for (const label of [3, 254, 0xffffffff]) {
    const labels = Tensor.from(gpu, Uint32Array.of(0, 1, 2, label), [1, 2, 2]);
    const loss = await pixelCrossEntropy(new Tape(gpu, false), logits, labels).read();
    assertEquals(loss[0], NaN, `label ${label}`);
  }
});

gpuTest("logits of the labels' size never exist, and two passes give the same bits", async (gpu) => {
  const [images, channels, height, width, times] = [1, 16, 32, 32, 8];
  const logits = randomTensor(gpu, [images, channels, height, width], 1);
  const labels = Uint32Array.from(
    { length: (times * height) * (times * width) },
    (_, at) => at * 7 % channels,
  );
  const uploaded = Tensor.from(gpu, labels, [images, times * height, times * width]);
  const run = () => lossAndGradient(gpu, logits, (tape) => pixelCrossEntropy(tape, logits, uploaded));
  const before = gpu.pool.use.held;
  const first = await run();
  // A few numbers a pixel, not one for each channel.
  assert(gpu.pool.use.held - before < 4 * labels.length * 10, `${gpu.pool.use.held - before} bytes`);
  assertEquals(await run(), first);
});

gpuTest("labels of another number of images are refused", (gpu) => {
  using tape = new Tape(gpu, false);
  using logits = Tensor.zeros(gpu, [2, 3, 2, 2]);
  using labels = Tensor.zeros(gpu, [1, 4, 4]);
  assertThrows(() => pixelCrossEntropy(tape, logits, labels), ShapeError, "the labels has shape");
  return Promise.resolve();
});
