import { assertAlmostEquals, assertEquals } from "@std/assert";
import { nearestRows } from "../../src/evaluate/nearest.ts";

Deno.test("the nearest rows are those of the greatest cosine, whatever their length", () => {
  const queries = { rows: 2, dimension: 2, values: Float32Array.of(0, 0, 3, 0) };
  const bank = { rows: 5, dimension: 2, values: Float32Array.of(0, 1, 5, 5, -1, 0, 0.1, 0, 0, 0) };
  const found = nearestRows(queries, 1, bank, 3);
  assertEquals(found.map(({ row }) => row), [3, 1, 0]);
  assertAlmostEquals(found[1].cosine, Math.SQRT1_2, 1e-12);
  // Zeros are alike nothing; of equals the first comes first.
  assertEquals(nearestRows(queries, 0, bank, 2), [{ row: 0, cosine: 0 }, { row: 1, cosine: 0 }]);
  assertEquals(nearestRows(queries, 1, bank, 9).length, 5);
});
