/** Matrix products in all transposes, batched, against plain loops in float64; and layers that use part of a weight. */
import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { Random } from "../../src/random.ts";
import { linear } from "../../src/tensor/ops/linear.ts";
import { matmul } from "../../src/tensor/ops/matmul.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { elements } from "../../src/shape.ts";
import {
  assertClose,
  forwardBackward,
  gpuTest,
  parameter,
  randomStreams,
  randomTensor,
  randomValues,
} from "../helpers.ts";

interface Product {
  batch: number;
  rows: number;
  inner: number;
  columns: number;
  transposeA: boolean;
  transposeB: boolean;
}

/** Where (batch, row, column) of a matrix lies. */
function at(
  batch: number,
  row: number,
  column: number,
  rows: number,
  columns: number,
  transpose: boolean,
): number {
  return batch * rows * columns + (transpose ? column * rows + row : row * columns + column);
}

/** Calls back with the places of all products. */
function forEachTerm(one: Product, visit: (a: number, b: number, output: number) => void): void {
  const { batch, rows, inner, columns } = one;
  for (let index = 0; index < batch; index++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        for (let k = 0; k < inner; k++) {
          visit(
            at(index, row, k, rows, inner, one.transposeA),
            at(index, k, column, inner, columns, one.transposeB),
            at(index, row, column, rows, columns, false),
          );
        }
      }
    }
  }
}

async function checkProduct(gpu: Gpu, one: Product, leading: readonly number[], seed: number): Promise<void> {
  const { rows, inner, columns, transposeA, transposeB } = one;
  const shapeA = [...leading, ...transposeA ? [inner, rows] : [rows, inner]];
  const shapeB = [...leading, ...transposeB ? [columns, inner] : [inner, columns]];
  const [a, b] = [shapeA, shapeB].map((shape, index) => randomTensor(gpu, shape, seed + index));
  const [valuesA, valuesB] = [a, b].map((tensor, index) => randomValues(tensor.length, seed + index));
  const gradOutput = randomValues(one.batch * rows * columns, seed + 2);
  const { output, gradients } = await forwardBackward(gpu, [a, b], gradOutput, (tape) => {
    const result = matmul(tape, a, b, { transposeA, transposeB });
    assertEquals(result.shape, [...leading, rows, columns]);
    return result;
  });
  const expected = [output.length, a.length, b.length].map((length) => new Float64Array(length));
  forEachTerm(one, (inA, inB, out) => {
    expected[0][out] += valuesA[inA] * valuesB[inB];
    expected[1][inA] += gradOutput[out] * valuesB[inB];
    expected[2][inB] += gradOutput[out] * valuesA[inA];
  });
  [output, ...gradients].forEach((found, index) =>
    assertClose(
      found,
      expected[index],
      1e-5,
      `${["output", "gradient of a", "gradient of b"][index]} of ${JSON.stringify(one)}`,
    )
  );
  for (const tensor of [a, b]) tensor.release();
}

function size(random: Random): number {
  return random.chance(0.3) ? random.pick([1, 4, 8, 16, 64]) : 1 + random.integer(40);
}

for (const assumed of [undefined, { software: false, subgroupLanes: 0 } as const]) {
  gpuTest(`products of random shapes${assumed ? ", in the variants for other devices" : ""}`, async (gpu) => {
    for (const [index, random] of randomStreams(31, assumed ? 12 : 32).entries()) {
      const leading = random.pick([[], [], [3], [2, 3], [1]]);
      const one = {
        batch: elements(leading),
        rows: size(random),
        inner: size(random),
        columns: size(random),
        transposeA: index % 2 === 1,
        transposeB: index % 4 >= 2,
      };
      await checkProduct(gpu, one, leading, 10 * index);
    }
  }, assumed);
}

gpuTest("products of views, and of a matrix with itself", async (gpu) => {
  using store = randomTensor(gpu, [3, 64], 1);
  const values = randomValues(192, 1);
  const [left, right] = [store.slice(64, [5, 8]), store.slice(128, [4, 8])];
  using startProduct = randomTensor(gpu, [5, 4], 2);
  using startGram = randomTensor(gpu, [3, 3], 3);
  using tape = new Tape(gpu, true);
  tape.watch(store);
  const product = matmul(tape, left, right, { transposeB: true });
  const columns = store.view([64, 3]);
  const gram = matmul(tape, columns, columns, { transposeA: true });
  const found = (await gpu.read(product, gram)).map((bytes) => new Float32Array(bytes));
  tape.backward([product, startProduct], [gram, startGram]);

  const [productStart, gramStart] = [randomValues(20, 2), randomValues(9, 3)];
  const expected = [new Float64Array(20), new Float64Array(9)];
  const gradient = new Float64Array(192);
  const term = (which: number, start: Float32Array, a: number, b: number, out: number) => {
    expected[which][out] += values[a] * values[b];
    gradient[a] += start[out] * values[b];
    gradient[b] += start[out] * values[a];
  };
  forEachTerm(
    { batch: 1, rows: 5, inner: 8, columns: 4, transposeA: false, transposeB: true },
    (a, b, out) => term(0, productStart, 64 + a, 128 + b, out),
  );
  forEachTerm(
    { batch: 1, rows: 3, inner: 64, columns: 3, transposeA: true, transposeB: false },
    (a, b, out) => term(1, gramStart, a, b, out),
  );
  found.forEach((values, which) => assertClose(values, expected[which], 1e-5, ["product", "gram"][which]));
  using taken = tape.take(store)!;
  assertClose(await taken.read(), gradient, 1e-5, "the gradient of both");
});

gpuTest("shapes that do not fit are refused", (gpu) => {
  using tape = new Tape(gpu, false);
  const cases: [number[], number[], object][] = [
    [[2, 3], [2, 3], {}],
    [[2, 3], [4, 3], { transposeA: true, transposeB: true }],
    [[3], [3, 2], {}],
    [[2, 3], [3], {}],
    [[2, 2, 3], [3, 4], {}],
    [[2, 2, 3], [3, 3, 4], {}],
  ];
  for (const [a, b, options] of cases) {
    assertThrows(
      () => matmul(tape, Tensor.zeros(gpu, a), Tensor.zeros(gpu, b), options),
      ShapeError,
      "matmul",
    );
  }
  return Promise.resolve();
});

gpuTest("linear layers that use part of their outputs, with and without a bias", async (gpu) => {
  for (const [index, random] of randomStreams(17, 16).entries()) {
    const [rows, features, outputs] = [size(random), size(random), size(random)];
    const [stored, storedOut] = [features + random.pick([0, 3, 8]), outputs + random.pick([0, 1, 5])];
    const biased = index % 2 === 0;
    const seed = 10 * index;
    const input = randomTensor(gpu, [rows, features], seed);
    const initial = [storedOut * stored, storedOut].map((length, at) => randomValues(length, seed + 7 + at));
    const weight = parameter(
      gpu,
      "weight",
      { data: randomValues(storedOut * stored, seed + 1), shape: [storedOut, stored] },
      initial[0],
    );
    const bias = parameter(
      gpu,
      "bias",
      { data: randomValues(storedOut, seed + 2), shape: [storedOut] },
      initial[1],
    );
    const gradOutput = randomValues(rows * outputs, seed + 3);
    const { output, gradients } = await forwardBackward(
      gpu,
      [input],
      gradOutput,
      (tape) => linear(tape, input, weight, biased ? bias : undefined, { outFeatures: outputs }),
    );
    const [x, w, b] = [rows * features, storedOut * stored, storedOut].map((n, at) =>
      randomValues(n, seed + at)
    );
    const expected = Float64Array.from({ length: rows * outputs }, (_, at) => biased ? b[at % outputs] : 0);
    const gradInput = new Float64Array(rows * features);
    const [gradWeight, gradBias] = initial.map((values) => Float64Array.from(values));
    for (let row = 0; row < rows; row++) {
      for (let out = 0; out < outputs; out++) {
        const gradient = gradOutput[row * outputs + out];
        if (biased) gradBias[out] += gradient;
        for (let k = 0; k < features; k++) {
          expected[row * outputs + out] += x[row * features + k] * w[out * stored + k];
          gradInput[row * features + k] += gradient * w[out * stored + k];
          gradWeight[out * stored + k] += gradient * x[row * features + k];
        }
      }
    }
    const what = `${rows} rows, ${features} of ${stored} -> ${outputs} of ${storedOut}`;
    assertClose(output, expected, 1e-5, `output, ${what}`);
    assertClose(gradients[0], gradInput, 1e-5, `gradient of the input, ${what}`);
    assertClose(await weight.gradient!.read(), gradWeight, 1e-5, `gradient of the weight, ${what}`);
    assertClose(await bias.gradient!.read(), gradBias, 1e-5, `gradient of the bias, ${what}`);
  }
  const weight = parameter(gpu, "weight", { data: randomValues(12, 1), shape: [3, 4] });
  const bias = parameter(gpu, "bias", { data: randomValues(2, 1), shape: [2] });
  using tape = new Tape(gpu, false);
  const refused = (input: number[], given?: typeof bias, outFeatures?: number) =>
    assertThrows(
      () => linear(tape, Tensor.zeros(gpu, input), weight, given, { outFeatures }),
      ShapeError,
      "linear",
    );
  refused([2, 5]);
  refused([2, 4], undefined, 4);
  refused([2, 4], bias);
  refused([2, 1, 4]);
});
