/** Predictions of pixels at random sizes against float64. */
import { assert, assertThrows } from "@std/assert";
import { GradientError } from "../../src/errors.ts";
import { elements } from "../../src/shape.ts";
import { pixelClasses, pixelProbabilities } from "../../src/tensor/ops/pixel_predictions.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, gpuTest, randomStreams, randomTensor, randomValues } from "../helpers.ts";
import { applyMatrices, linearMatrix } from "./dense_reference.ts";

gpuTest("classes and probabilities of random sizes", async (gpu) => {
  const sides = [1, 2, 3, 5, 8, 13];
  for (const [index, random] of randomStreams(36, 30).entries()) {
    const channels = random.pick([1, 2, 3, 5, 17]);
    const shape = [1 + random.integer(2), channels, random.pick(sides), random.pick(sides)];
    const size: [number, number] = random.chance(0.2)
      ? [shape[2], shape[3]]
      : [random.pick(sides) * 2, random.pick(sides) * 3];
    const alignCorners = random.chance(0.5);
    const values = randomValues(elements(shape), 10 * index).map((value) => 5 * value);
    using logits = Tensor.from(gpu, values, shape);
    using tape = new Tape(gpu, false);
    const [bytes] = await gpu.read(pixelClasses(tape, logits, size, { alignCorners }));
    const classes = new Uint32Array(bytes);
    const found = await pixelProbabilities(tape, logits, size, { alignCorners }).read();
    const y = linearMatrix(shape[2], size[0], alignCorners),
      x = linearMatrix(shape[3], size[1], alignCorners);
    const large = applyMatrices(values, y, x);
    const plane = size[0] * size[1];
    const what = `${shape} at ${size}`;
    const expected = new Float64Array(large.length);
    classes.forEach((label, pixel) => {
      const at = (channel: number) =>
        (Math.floor(pixel / plane) * channels + channel) * plane + pixel % plane;
      const row = Array.from({ length: channels }, (_, channel) => large[at(channel)]);
      // Where two are nearly the largest, rounding may choose.
      assert(
        label < channels && row[label] >= Math.max(...row) - 1e-5,
        `class ${label} at ${pixel} of ${what}`,
      );
      const total = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
      row.forEach((logit, channel) => expected[at(channel)] = Math.exp(logit) / total);
    });
    assertClose(found, expected, 1e-5, `probabilities of ${what}`);
  }
});

gpuTest("predictions have no gradient, and say so", (gpu) => {
  using tape = new Tape(gpu, true);
  using logits = randomTensor(gpu, [1, 2, 2, 2], 1);
  tape.watch(logits);
  assertThrows(() => pixelClasses(tape, logits, [2, 2]), GradientError, "pixelClasses has no gradient");
  assertThrows(() => pixelProbabilities(tape, logits, [2, 2]), GradientError, "pixelProbabilities");
  return Promise.resolve();
});
