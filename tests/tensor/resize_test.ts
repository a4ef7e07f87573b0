/** What resizes and pools maps, at random shapes against float64, and its gradient as the adjoint. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { Random } from "../../src/random.ts";
import { adaptiveAveragePool } from "../../src/tensor/ops/adaptive_pool.ts";
import { bilinear } from "../../src/tensor/ops/bilinear.ts";
import { linearAxis, mostReaders } from "../../src/tensor/ops/linear_axis.ts";
import { addNearest } from "../../src/tensor/ops/nearest.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { elements, type Shape } from "../../src/shape.ts";
import { assertClose, forwardBackward, gpuTest, randomStreams, randomValues } from "../helpers.ts";
import { consumeTwice } from "./consume_twice.ts";
import {
  applyMatrices,
  linearMatrix,
  type Matrix,
  nearestMatrix,
  poolMatrix,
  product,
  transpose,
} from "./dense_reference.ts";

const sides = [1, 1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 31];

function randomShape(random: Random): Shape {
  return [1 + random.integer(3), random.pick([1, 3, 5, 17]), random.pick(sides), random.pick(sides)];
}

/** Compares an operation and its gradient with matrices, and the two with each other. */
async function checkLinear(
  gpu: Gpu,
  shape: Shape,
  y: Matrix,
  x: Matrix,
  seed: number,
  what: string,
  operation: (tape: Tape, input: Tensor) => Tensor,
): Promise<void> {
  const values = randomValues(elements(shape), seed);
  const outShape = [shape[0], shape[1], y.length, x.length];
  const gradOutput = randomValues(elements(outShape), seed + 1);
  const input = Tensor.from(gpu, values, shape);
  const { output, gradients } = await consumeTwice(
    gpu,
    [input],
    () => Tensor.from(gpu, gradOutput, outShape),
    (tape) => operation(tape, input),
  );
  const gradient = applyMatrices(gradOutput, transpose(y), transpose(x));
  assertClose(output, applyMatrices(values, y, x), 1e-5, `output of ${what}`);
  assertClose(gradients[0], gradient, 1e-4, `gradient of ${what}`);
  const scale = Math.sqrt(product(output, output) * product(gradOutput, gradOutput)) +
    Math.sqrt(product(values, values) * product(gradient, gradient));
  const difference = Math.abs(product(output, gradOutput) - product(values, gradients[0]));
  assert(difference <= 1e-6 * scale, `${what} and its gradient are not adjoint: ${difference} of ${scale}`);
  input.release();
}

gpuTest("bilinear interpolation of random shapes, and its adjoint", async (gpu) => {
  for (const [index, random] of randomStreams(31, 40).entries()) {
    const shape = randomShape(random);
    const size: [number, number] = [random.pick(sides), random.pick(sides)];
    const alignCorners = random.chance(0.5);
    const y = linearMatrix(shape[2], size[0], alignCorners),
      x = linearMatrix(shape[3], size[1], alignCorners);
    const what = `bilinear ${shape} to ${size}, ${alignCorners ? "corners" : "edges"} aligned`;
    await checkLinear(
      gpu,
      shape,
      y,
      x,
      10 * index,
      what,
      (tape, input) => bilinear(tape, input, size, { alignCorners }),
    );
  }
});

Deno.test("no input is read by more outputs than a launch takes", () => {
  for (let size = 1; size <= 24; size++) {
    for (let outSize = 1; outSize <= 24; outSize++) {
      for (const alignCorners of [false, true]) {
        const axis = linearAxis("test", size, outSize, alignCorners);
        const readers = new Uint32Array(size);
        for (let output = 0; output < outSize; output++) {
          const low = Math.floor(Math.max(output * axis.step + axis.offset, 0) / axis.unit);
          assert(low < size);
          for (const input of new Set([low, Math.min(low + 1, size - 1)])) readers[input]++;
        }
        assert(Math.max(...readers) <= mostReaders(axis), `${size} to ${outSize}, ${alignCorners}`);
      }
    }
  }
});

gpuTest("a coarse map of random shape added to a finer or coarser one", async (gpu) => {
  for (const [index, random] of randomStreams(32, 40).entries()) {
    const shape = randomShape(random);
    const side = (from: number) => random.chance(0.4) ? 2 * from - random.integer(2) : random.pick(sides);
    const [height, width] = [side(shape[2]), side(shape[3])];
    const y = nearestMatrix(shape[2], height), x = nearestMatrix(shape[3], width);
    const what = `nearest ${shape} to ${[height, width]}`;
    using zeros = Tensor.zeros(gpu, [shape[0], shape[1], height, width]);
    await checkLinear(gpu, shape, y, x, 10 * index, what, (tape, input) => addNearest(tape, input, zeros));
  }
});

gpuTest("adaptive average pooling of random shapes, and its adjoint", async (gpu) => {
  for (const [index, random] of randomStreams(33, 40).entries()) {
    const shape = randomShape(random);
    const size: [number, number] = [random.pick(sides), random.pick(sides)];
    const y = poolMatrix(shape[2], size[0]), x = poolMatrix(shape[3], size[1]);
    const what = `cells of ${shape} to ${size}`;
    await checkLinear(
      gpu,
      shape,
      y,
      x,
      10 * index,
      what,
      (tape, input) => adaptiveAveragePool(tape, input, size),
    );
  }
});

gpuTest("every pixel of a large map has its nearest, and its gradient is their number", async (gpu) => {
  for (const [size, outSize] of [[1_000, 9_999], [9_999, 1_000], [333, 10_000], [7, 100_000]]) {
    using coarse = Tensor.from(gpu, Float32Array.from({ length: size }, (_, at) => at), [1, 1, 1, size]);
    using lateral = Tensor.zeros(gpu, [1, 1, 1, outSize]);
    const { output, gradients } = await forwardBackward(
      gpu,
      [coarse],
      new Float32Array(outSize).fill(1),
      (tape) => addNearest(tape, coarse, lateral),
    );
    const scale = Math.fround(size / outSize);
    const places = Float32Array.from(output, (_, at) => Math.floor(Math.fround(at * scale)));
    assertEquals(output, places);
    const counts = new Float32Array(size);
    places.forEach((place) => counts[place]++);
    assertEquals(gradients[0], counts);
  }
});

gpuTest("a constant map stays constant at any size, and large maps keep their positions", async (gpu) => {
  using ones = Tensor.from(gpu, new Float32Array(35).fill(1), [1, 1, 5, 7]);
  using tape = new Tape(gpu, false);
  const [first, second] = [[97, 3], [2, 250]] as const;
  for (const size of [first, second]) {
    const output = await bilinear(tape, ones, size).read();
    assert(output.every((value) => Math.abs(value - 1) <= 2 ** -23));
  }
  // A ramp of 1 001 columns to 3 003: single precision would put a position up to 0.0001 of a column off.
  using ramp = Tensor.from(gpu, Float32Array.from({ length: 1_001 }, (_, at) => at % 2), [1, 1, 1, 1_001]);
  const output = await bilinear(tape, ramp, [1, 3_003]).read();
  const expected = applyMatrices(
    await ramp.read(),
    linearMatrix(1, 1, false),
    linearMatrix(1_001, 3_003, false),
  );
  assertClose(output, expected, 1e-6, "ramp");
});

gpuTest("sizes that cannot be are refused", (gpu) => {
  using input = Tensor.zeros(gpu, [1, 1, 2, 40_000]);
  using flat = Tensor.zeros(gpu, [4, 4]);
  using tape = new Tape(gpu, false);
  assertThrows(() => bilinear(tape, input, [0, 3]), ShapeError, "from a side of 2 to 0");
  assertThrows(() => bilinear(tape, input, [2.5, 3]), ShapeError, "2.5");
  assertThrows(() => bilinear(tape, input, [2, 40_000]), ShapeError, "2^30");
  assertThrows(() => bilinear(tape, flat, [2, 2]), ShapeError, "the input has shape");
  using other = Tensor.zeros(gpu, [1, 3, 4, 4]);
  using long = Tensor.zeros(gpu, [1, 1, 1, 2 ** 20 + 1]);
  assertThrows(() => addNearest(tape, input, other), ShapeError, "the lateral map has shape");
  assertThrows(() => addNearest(tape, input, long), ShapeError, "1048577");
  assertThrows(() => adaptiveAveragePool(tape, input, [1, 0]), ShapeError, "from a side of 40000 to 0");
  assertThrows(() => adaptiveAveragePool(tape, input, [1, 30_000]), ShapeError, "2^30");
  return Promise.resolve();
});
