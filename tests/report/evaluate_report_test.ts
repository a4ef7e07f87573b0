/** The report of an evaluation: its numbers, its charts, and class names of any kind. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { perClassAccuracy } from "../../src/evaluate/classification.ts";
import { type EvaluateReport, renderEvaluateReport } from "../../src/report/evaluate_report.ts";
import { exampleEvaluation, exampleFaultless, oddNames } from "./example_evaluation.ts";

const count = (text: string, pattern: RegExp) => text.match(pattern)?.length ?? 0;
/** The text of a page, without markup, spaces as plain ones. */
const words = (page: string) => page.replace(/<[^>]*>/g, " ").replace(/[\s\u00a0\u202f]+/g, " ");

/** A report of few numbers, each of which can be told from the others. */
function small(changes: Partial<EvaluateReport> = {}): EvaluateReport {
  const confusion = [[7, 3, 0, 0], [1, 18, 1, 0], [0, 0, 0, 0], [0, 0, 0, 10]];
  const network = (arch: string, macs: number, accuracy: number, low: number, high: number) => ({
    ...{
      network: `models/${arch}.onnx`,
      arch,
      macs,
      params: macs / 10,
      accuracy,
      interval: [low, high] as const,
    },
    ...{ confusion, perClass: perClassAccuracy(confusion), chosen: { regularisation: 0.01 } },
  });
  return {
    ...exampleEvaluation({ networks: 1, classes: 4, test: 40, mistakes: 0 }),
    classes: ["cat", "dog", "eel", "fox"],
    results: [
      network("8-16", 2_000_000, 0.5, 0.41, 0.59),
      network("8-32", 6_000_000, 0.875, 0.74, 0.95),
      network("8-24", 4_000_000, 0.875, 0.74, 0.95),
      network("8-20", 3_000_000, 0.8, 0.67, 0.89),
    ],
    ...changes,
  };
}

/** Elements that are not closed where they should be, by a reader that knows tags only. */
function unbalanced(page: string): string[] {
  const open: string[] = [], faults: string[] = [];
  const markup = page.replace(/<style>.*?<\/style>/gs, "").replace(/<!doctype html>/, "");
  for (const [, end, name, itself] of markup.matchAll(/<(\/?)([a-z][a-z0-9]*)(?:"[^"]*"|[^">])*?(\/?)>/gi)) {
    if (itself || ["meta", "img"].includes(name)) continue;
    if (!end) open.push(name);
    else if (open.pop() !== name) faults.push(name);
  }
  return [...faults, ...open];
}

Deno.test("untrained networks are shown beside those that are judged, where there are any", async () => {
  const { results } = small();
  const page = await renderEvaluateReport(
    small({ results: results.map((one) => ({ ...one, untrained: 0.125 })) }),
  );
  assertStringIncludes(words(page), "8-24 models/8-24.onnx 87.5 % 74.0–95.0 % 12.5 % best");
  assertEquals(unbalanced(page), []);
  assert(!words(await renderEvaluateReport(small())).includes("Untrained"));
});

Deno.test("networks are ordered by accuracy, of equals the cheaper first, which is the best", async () => {
  const page = await renderEvaluateReport(small());
  const rows = [...page.matchAll(/<tr><td class="text"><code>([^<]*)<.*?<\/tr>/gs)];
  assertEquals(rows.map(([, arch]) => arch), ["8-24", "8-32", "8-20", "8-16"]);
  assertEquals(
    words(rows[0][0]).trim(),
    "8-24 models/8-24.onnx 87.5 % 74.0–95.0 % best 4.00 M 400 k regularisation 0.01",
  );
  assertEquals(rows.map(([row]) => row.includes("indistinguishable")), [false, true, true, false]);
  assertStringIncludes(
    words(page),
    "2 other networks have intervals that reach the best accuracy: indistinguishable from the best at this number of " +
      "images, 40.",
  );
  assertStringIncludes(words(page), "Cheapest indistinguishable 3 M MACs; 80.0 %: 8-20");
  assertStringIncludes(words(page), "Points over the best baseline +53.5 raw pixels: 34.0 %");
  assertStringIncludes(words(page), "4 networks, judged by a linear classifier on their frozen features");
});

Deno.test("the chart has each network with its interval and each baseline, wide and narrow", async () => {
  const page = await renderEvaluateReport(small());
  assertEquals([count(page, /class="for-wide"/g), count(page, /class="for-narrow"/g)], [1, 1]);
  // Four points and the ring; a title where one can hover.
  assertEquals(count(page, /<circle /g), 2 * 5);
  assertEquals(count(page, /<title>models\//g), 4);
  const bars = [...page.matchAll(/class="bars" d="([^"]*)"/g)].map(([, path]) => count(path, /M/g));
  assertEquals(bars, [1, 3, 1, 3]);
  assertEquals(count(page, /class="level"/g), 2 * 2);
});

Deno.test("labels of baselines do not lie on one another, and none leaves the chart", async () => {
  for (const accuracies of [[0.701, 0.7, 0.705, 0.99], [1, 0.999, 0.998, 0.997], [0, 0.001, 0.002, 0.5]]) {
    const baselines = accuracies.map((accuracy) => ({ name: "rival", accuracy }));
    const page = await renderEvaluateReport(small({ baselines }));
    for (const [levels] of page.matchAll(/<g class="levels">.*?<\/g>/gs)) {
      const places = [...levels.matchAll(/<text [^>]* y="([\d.-]+)"/g)].map(([, y]) => Number(y));
      assertEquals(places.length, 4);
      assert(Math.min(...places) > 13, "within the chart");
      places.slice(1).forEach((place, at) => assert(places[at] - place >= 19.9, `${places}`));
    }
  }
});

Deno.test("a network alone has no chart and nothing to be compared with", async () => {
  const page = await renderEvaluateReport(
    exampleEvaluation({ networks: 1, classes: 2, test: 100, mistakes: 1 }),
  );
  assertEquals(count(page, /<svg /g), 0);
  assert(!page.includes("indistinguishable") && !page.includes("Standing"));
  assertStringIncludes(words(page), "of runs/demo, judged by a linear classifier on its frozen features");
});

Deno.test("many networks are folded up after the twentieth", async () => {
  const page = await renderEvaluateReport(
    exampleEvaluation({ networks: 50, classes: 3, test: 300, mistakes: 0 }),
  );
  const [before, after] = page.split("<details>");
  assertStringIncludes(after, "30 more networks");
  assertEquals([count(before, /<small class="name">/g), count(after, /<small class="name">/g)], [20, 30]);
});

Deno.test("classes: the hardest first, with images and intervals; those without images are named", async () => {
  const page = await renderEvaluateReport(small());
  const bars = [...page.matchAll(/<li title="95 %: ([^"]*)">(.*?)<\/li>/gs)];
  assertEquals(bars.map(([, , bar]) => words(bar).trim()), [
    "cat 70.0 % of 10",
    "dog 90.0 % of 20",
    "fox 100.0 % of 10",
  ]);
  // Wilson's interval of 7 of 10.
  assertEquals(words(bars[0][1]), "39.7–89.2 %");
  assertStringIncludes(bars[0][2], "left:39.68%;width:49.54%");
  assertStringIncludes(words(page), "Without test images: eel .");
  assertStringIncludes(words(page), "Hardest class 70.0 % cat");
});

Deno.test("the matrix has counts with shares, and cells in words; confusions are listed with their reverse", async () => {
  const page = await renderEvaluateReport(small());
  const [matrix] = /<table class="matrix.*?<\/table>/s.exec(page)!;
  assertStringIncludes(matrix, `title="cat: 3 of 10, 30.0\u00a0%, taken for dog">3<small>30&nbsp;%</small>`);
  assertStringIncludes(matrix, `title="dog: 18 of 20, 90.0\u00a0%, recognised">18<`);
  // The most frequent is the strongest, others in proportion.
  assertEquals([...matrix.matchAll(/class="wrong" style="--share:([\d.]+)"/g)].map(([, share]) => share), [
    "1.000",
    "0.167",
    "0.167",
  ]);
  assertEquals(count(matrix, /<td><\/td>/g), 10);
  const rows = [...page.matchAll(/<tr><td class="text"><bdi.*?<\/tr>/gs)].map(([row]) => words(row).trim());
  assertEquals(rows, ["cat dog 3 30.0 % 1", "dog cat 1 5.0 % 3", "dog eel 1 5.0 % 0"]);
});

Deno.test("of 200 classes the two ends are shown, and the most frequent confusions in place of a matrix", async () => {
  const page = await renderEvaluateReport(
    exampleEvaluation({ networks: 1, classes: 200, test: 4000, mistakes: 0 }),
  );
  assertEquals(count(page, /<li title="95 %/g), 40);
  assertStringIncludes(words(page), "Of 200 classes, the 20 hardest and the 20 easiest.");
  assert(!page.includes('class="matrix'));
  assertEquals(count(page, /<tr><td class="text"><bdi/g), 30);
  assertStringIncludes(words(page), "200 classes are too many for a matrix");
  const forty = await renderEvaluateReport(
    exampleEvaluation({ networks: 1, classes: 40, test: 4000, mistakes: 0 }),
  );
  assertEquals([count(forty, /<li title="95 %/g), count(forty, /class="matrix small"/g)], [40, 1]);
});

Deno.test("mistakes are pictures with both classes and the confidence, in the order given", async () => {
  const page = await renderEvaluateReport(
    exampleEvaluation({ networks: 1, classes: 10, test: 1000, mistakes: 12 }),
  );
  assertEquals(count(page, /<img src="data:image/g), 12);
  assertStringIncludes(page, `alt="test/&lt;3&gt;.jpg"`);
  const [list] = /<ul class="mistakes">.*?<\/ul>/s.exec(page)!;
  assert(/ 12 of the 1\d\d test images that the best network got wrong/.test(words(page)));
  assert(words(list).trim().startsWith("class 0 → class 1 99.0 % class 1 → class 2 98.0 %"), words(list));
});

Deno.test("without pictures of mistakes it says whether there were mistakes", async () => {
  const faultless = words(await renderEvaluateReport(exampleFaultless()));
  assertStringIncludes(faultless, "There are none on the test images.");
  assertStringIncludes(faultless, "There are none: every test image was recognised.");
  assertStringIncludes(faultless, "Nothing was confused.");
  assert(!faultless.includes("Hardest class"));
  assertStringIncludes(words(await renderEvaluateReport(small())), "There are no pictures of them.");
});

Deno.test("names of classes, networks and settings are text, whatever they look like", async () => {
  const hostile = `<b>&"'`;
  const report = exampleEvaluation({ networks: 3, classes: 8, test: 400, mistakes: 8, odd: true });
  const page = await renderEvaluateReport({
    ...report,
    baselines: [{ name: hostile, accuracy: 0.3 }],
    settings: [[hostile, hostile]],
    results: report.results.map((one) => ({ ...one, network: hostile, chosen: { [hostile]: hostile } })),
  });
  assert(!page.includes("<b>"));
  for (const name of oddNames.slice(1)) assertStringIncludes(page, name);
  assertEquals(unbalanced(page), []);
  assertEquals(unbalanced("<p><b>a</p>"), ["p", "p"]);
  for (const loading of [/<script/i, /<link/i, /@import/i, /url\(/i, /src="(?!data:)/i]) {
    assert(!loading.test(page), String(loading));
  }
});
