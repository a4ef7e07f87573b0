import { assertEquals, assertThrows } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import { balancedSubset, classSizes, rowsByClass, splitByClass } from "../../src/evaluate/class_split.ts";

/** 40 rows of class 0, 20 of class 2, 3 of class 5; rows of a class lie apart. */
const labels = Int32Array.from({ length: 63 }, (_, row) => row % 21 === 20 ? 5 : row % 3 === 2 ? 2 : 0);
const all = Uint32Array.from(labels.keys());
const sizesOf = (rows: Uint32Array) => Object.fromEntries(classSizes(labels, rows));

Deno.test("rows of each class come in their order, also of some rows only", () => {
  assertEquals(rowsByClass(labels, [7, 5, 20, 2]), new Map([[0, [7]], [2, [5, 2]], [5, [20]]]));
  const sizes = sizesOf(all);
  assertEquals(sizes[0] + sizes[2] + sizes[5], 63);
  assertEquals(sizes[5], 3);
});

Deno.test("a balanced subset takes as many of every class, at least two, and all of a smaller class", () => {
  // 0.4 of 63 rows are 8.4 a class.
  assertEquals(sizesOf(balancedSubset(labels, all, 0.4, 1)), { 0: 8, 2: 8, 5: 3 });
  assertEquals(sizesOf(balancedSubset(labels, all, 0.0001, 1)), { 0: 2, 2: 2, 5: 2 });
  const one = all.filter((row) => labels[row] !== 5 || row === 20);
  assertEquals(sizesOf(balancedSubset(labels, one, 0.1, 1)), { 0: 2, 2: 2, 5: 1 });
  assertEquals(balancedSubset(labels, one, 1, 1), one);
});

Deno.test("a subset is ascending, from the rows that are given, and the seed's", () => {
  const even = all.filter((row) => row % 2 === 0);
  const subset = balancedSubset(labels, even, 0.3, 7);
  assertEquals(subset, subset.toSorted());
  assertEquals(subset.every((row) => row % 2 === 0), true);
  assertEquals(new Set(subset).size, subset.length);
  assertEquals(balancedSubset(labels, even, 0.3, 7), subset);
  assertEquals(balancedSubset(labels, even, 0.3, 8).join() === subset.join(), false);
});

Deno.test("a split holds the same part of every class, and nothing twice", () => {
  const { fitting, validating } = splitByClass(labels, { validation: 0.2, seed: 1 });
  const sizes = sizesOf(all);
  assertEquals(sizesOf(validating), {
    0: Math.round(0.2 * sizes[0]),
    2: Math.round(0.2 * sizes[2]),
    5: 1,
  });
  assertEquals(Uint32Array.from([...fitting, ...validating]).sort(), all);
  assertEquals(splitByClass(labels, { validation: 0.2, seed: 1 }).validating, validating);
  assertEquals(
    splitByClass(labels, { validation: 0.2, seed: 2 }).validating.join() === validating.join(),
    false,
  );
  // However large the part, one of each is left to train on.
  assertEquals(sizesOf(splitByClass(labels, { validation: 1, seed: 1 }).fitting), { 0: 1, 2: 1, 5: 1 });
});

Deno.test("what cannot be split is refused", () => {
  const split = { validation: 0.2, seed: 1 };
  assertThrows(() => splitByClass(Int32Array.of(1, 1, 1), split), DataError, "at least 2 classes");
  assertThrows(() => splitByClass(Int32Array.of(1, 1, 0), split), DataError, "Class 0 has a single image");
});
