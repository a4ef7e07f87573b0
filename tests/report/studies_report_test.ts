/** The reports of studies: their numbers and their charts, wide and narrow. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { renderCompareReport } from "../../src/report/compare_report.ts";
import { renderCorrelateReport } from "../../src/report/correlate_report.ts";
import { exampleComparison, exampleCorrelation } from "./example_studies.ts";

const count = (text: string, pattern: RegExp) => text.match(pattern)?.length ?? 0;

Deno.test("a correlation: each chart for wide and for narrow screens, subnets named where one can hover", async () => {
  const report = exampleCorrelation(1);
  const page = await renderCorrelateReport(report);
  assertEquals([count(page, /class="for-wide"/g), count(page, /class="for-narrow"/g)], [2, 2]);
  assertEquals(count(page, /<circle /g), 4 * 48);
  assertEquals(count(page, /<title>16-8/g), 2 * 48);
  assertStringIncludes(page, report.correlations[0].spearman.toFixed(2));
  assertStringIncludes(page, "2.85\u00a0M");
  assertStringIncludes(page, "A second seed (--seeds 2) would show");
  assert(!/\d-\d\.\d\d</.test(page) && page.includes("−0."), "negative numbers have a minus sign");
});

Deno.test("a correlation of two seeds says how far they agree", async () => {
  const page = await renderCorrelateReport(exampleCorrelation(2));
  assertStringIncludes(page, "Two seeds agree to");
  assertStringIncludes(page, "kNN, seed 2");
});

Deno.test("a comparison: differences in points with their noise, every seed, and axes with set-apart units", async () => {
  const page = await renderCompareReport({ ...exampleComparison(), curve: [] });
  assertEquals([count(page, /class="for-wide"/g), count(page, /class="for-narrow"/g)], [2, 2]);
  assertStringIncludes(page, "+3.0 points");
  assertStringIncludes(page, "−1.0 points");
  assertStringIncludes(page, "(31.0, 33.0, 32.0; 1.0)");
  assertStringIncludes(page, "912\u00a0k MACs");
  assertStringIncludes(page, "<strong>+3.0 ± 1.0</strong> (+4.0, +3.0, +2.0)");
  assertStringIncludes(page, "10:40 min, 3 runs");
  assert(/>\d(\.\d)?\u00a0M</.test(page), "ticks of the axis");
  assert(!page.includes("Along pretraining"));
});

Deno.test("a comparison along pretraining: a chart over epochs and one over time, by size and protocol", async () => {
  const page = await renderCompareReport(exampleComparison());
  assertEquals([count(page, /class="for-wide"/g), count(page, /class="for-narrow"/g)], [14, 14]);
  assertStringIncludes(page, "middle, 2.3\u00a0M MACs, linear probe: over epochs");
  assertStringIncludes(page, "alone 10:40 min in 3 runs, elastic 3:48 min in one run");
  assertStringIncludes(page, ">15 epochs</th>");
  assertStringIncludes(page, ">32.0 / 37.0</td>");
});
