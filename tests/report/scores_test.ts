import { assertEquals } from "@std/assert";
import { formatDifference, scoreFormat } from "../../src/report/scores.ts";

Deno.test("scores have as many decimals as their range asks for", () => {
  assertEquals(scoreFormat([0.72, 0.98])(0.9), "0.900");
  assertEquals(scoreFormat([0.961, 0.987])(0.97), "0.9700");
  assertEquals(scoreFormat([-3, 16])(-3), "−3.00");
  assertEquals(scoreFormat([0.5, 0.5 + 1e-9])(0.5), "0.500000");
  assertEquals(scoreFormat([0.5])(0.5), "0.5000");
});

Deno.test("a score that rounds to zero has no sign", () => {
  assertEquals(scoreFormat([0, 0.5])(-0.0001), "0.000");
});

Deno.test("differences have a sign unless they round to zero", () => {
  const format = scoreFormat([0.72, 0.98]);
  assertEquals([0.0124, -0.0124, 0.0001, -0.0001].map((difference) => formatDifference(difference, format)), [
    "+0.012",
    "−0.012",
    "0.000",
    "0.000",
  ]);
});
