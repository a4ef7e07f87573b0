import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { purpose, Random } from "../../../src/random.ts";
import { agreement } from "../../../src/search/zero_cost/naswot.ts";
import { logDeterminant } from "../../../src/search/zero_cost/log_determinant.ts";

/** Determinant of whole numbers, exactly (Bareiss 1968). */
function exactDeterminant(matrix: ArrayLike<number>, size: number): bigint {
  const rows = Array.from(
    { length: size },
    (_, row) => Array.from({ length: size }, (_, column) => BigInt(matrix[row * size + column])),
  );
  let sign = 1n, previous = 1n;
  for (let step = 0; step < size - 1; step++) {
    const other = rows.findIndex((row, at) => at >= step && row[step] !== 0n);
    if (other < 0) return 0n;
    if (other !== step) {
      [rows[step], rows[other]] = [rows[other], rows[step]];
      sign = -sign;
    }
    for (let row = step + 1; row < size; row++) {
      for (let column = step + 1; column < size; column++) {
        rows[row][column] = (rows[row][column] * rows[step][step] - rows[row][step] * rows[step][column]) /
          previous;
      }
    }
    previous = rows[step][step];
  }
  return sign * rows[size - 1][size - 1];
}

/** Random codes of some images. */
function randomCodes(images: number, length: number, seed: number): boolean[][] {
  return Array.from({ length: images }, (_, image) => {
    const random = new Random(seed, purpose.test, image);
    return Array.from({ length }, () => random.chance(0.4));
  });
}

/** For each pair of images how many are on for both. */
const shared = (codes: readonly boolean[][]) =>
  codes.flatMap((one) => codes.map((other) => one.filter((on, at) => on && other[at]).length));

/** The length of the codes less their Hamming distance. */
const hammingKernel = (codes: readonly boolean[][]) =>
  codes.flatMap((one) => codes.map((other) => one.filter((on, at) => on === other[at]).length));

Deno.test("the kernel is the codes' length less their Hamming distance, summed over layers", () => {
  const layers = [randomCodes(7, 30, 1), randomCodes(7, 11, 2)];
  const whole = layers[0].map((code, image) => [...code, ...layers[1][image]]);
  assertEquals(
    [...agreement(layers.map((codes) => [codes[0].length, shared(codes)]), 7)],
    hammingKernel(whole),
  );
});

Deno.test("the logarithm of a determinant is that of the exact one", () => {
  for (const [images, length] of [[1, 5], [2, 9], [6, 40], [24, 900]]) {
    const kernel = hammingKernel(randomCodes(images, length, images));
    const exact = exactDeterminant(kernel, images);
    assert(exact > 0n);
    // A determinant can be beyond float64; 53 bits of it are enough.
    const shift = BigInt(Math.max(0, exact.toString(2).length - 53));
    const expected = Math.log(Number(exact >> shift)) + Number(shift) * Math.LN2;
    assertAlmostEquals(logDeterminant(kernel, images), expected, 1e-9 * Math.max(1, expected));
  }
});

Deno.test("equal codes count once, in whatever order; so a score stays finite where the determinant is zero", () => {
  const codes = randomCodes(6, 50, 3);
  const doubled = [codes[2], ...codes, codes[0], codes[2]];
  assertEquals(exactDeterminant(hammingKernel(doubled), 9), 0n);
  const once = logDeterminant(hammingKernel(codes), 6);
  assertAlmostEquals(logDeterminant(hammingKernel(doubled), 9), once, 1e-9);
  const equal = Array.from({ length: 4 }, () => codes[0]);
  assertAlmostEquals(logDeterminant(hammingKernel(equal), 4), Math.log(50), 1e-12);
  assert(logDeterminant(hammingKernel([...codes.slice(0, 5), codes[0]]), 6) < once, "less than with another");
  assertEquals(logDeterminant([0, 0, 0, 0], 2), 0);
});
