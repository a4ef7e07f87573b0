import { assert, assertEquals } from "@std/assert";
import { lineChartSpec, renderLineChart } from "../../src/report/charts.ts";
import { renderPretrainReport } from "../../src/report/pretrain_report.ts";
import { isKnn, isStep, type MetricsLine } from "../../src/store/metrics.ts";
import { exampleRun, exampleSummary } from "./example_run.ts";

const count = (text: string, pattern: RegExp) => text.match(pattern)?.length ?? 0;

/** The pictures of a page, by the start of their description. */
function pictures(page: string): Map<string, string> {
  const found = page.matchAll(/<svg[^>]*aria-label="(\w+ \w+)[^"]*"[^>]*>.*?<\/svg>/gs);
  return new Map([...found].map(([svg, start]) => [start, svg]));
}

Deno.test("an elastic run has all curves, its figures, the table and the configuration", async () => {
  const page = await renderPretrainReport(exampleRun(160));
  const charts = pictures(page);
  assertEquals([...charts.keys()], [
    ...["Loss over", "kNN accuracy", "Effective rank", "Mean cosine", "Alignment of", "Uniformity over"],
    ...["Smallest subnet", "Dead or", "Images per", "Learning rate"],
  ]);
  // Four series, each once raw and once smoothed.
  for (const color of ["ink", "accent", "orange", "blue"]) {
    assertEquals(
      count(charts.get("Loss over")!, new RegExp(`<path[^>]*stroke="var\\(--${color}\\)"`, "g")),
      2,
      color,
    );
  }
  assert(charts.get("kNN accuracy")!.includes("raw pixels 16.0"));
  assert(charts.get("kNN accuracy")!.includes("chance 10.0"));
  for (
    const text of [
      "243 architectures",
      "points over untrained",
      "centred mean over 5 points",
      "3:48 min",
    ]
  ) {
    assert(page.includes(text), text);
  }
  assertEquals(count(page, /<tr>/g), 12, "eleven kNN lines and the head");
  assert(page.includes("&quot;learningRate&quot;: 0.06"));
  for (const loading of [/<script/i, /<link/i, /\bsrc=/i, /url\(/i, /https?:/i]) {
    assert(!loading.test(page), String(loading));
  }
});

Deno.test("a single architecture has one loss, and is called by its name", async () => {
  const { metrics, ...rest } = exampleRun(160);
  const single: MetricsLine[] = metrics.map((line) => {
    if (!isStep(line)) return line;
    const { lossMin: _min, lossRandom: _random, ...kept } = line;
    return kept;
  });
  const { largest } = exampleSummary.space;
  const space = { architectures: 1, smallest: largest, largest };
  const page = await renderPretrainReport({
    ...rest,
    metrics: single,
    summary: { ...exampleSummary, space },
  });
  const loss = pictures(page).get("Loss over")!;
  assertEquals(count(loss, /<path[^>]*stroke="var\(--ink\)"/g), 2);
  assert(!loss.includes("--orange") && !loss.includes("--accent") && !loss.includes("--blue"));
  assert(!page.includes('class="legend"'));
  assert(page.includes("One network of 4.11\u00a0M MACs") && page.includes("<dt>Architecture</dt>"));
});

Deno.test("an unlabelled run has no kNN and says so", async () => {
  const { metrics, ...rest } = exampleRun(160);
  const page = await renderPretrainReport({ ...rest, metrics: metrics.filter((line) => !isKnn(line)) });
  assert(!pictures(page).has("kNN accuracy"));
  assert(page.includes("Not measured: the data have no labels") && !page.includes("<table"));
});

Deno.test("without baseline and classes, the kNN curve stands alone", async () => {
  const { metrics, summary, config } = exampleRun(160);
  const { classes: _classes, ...data } = summary.data;
  const bare = metrics.filter((line) => line.step > 0);
  const page = await renderPretrainReport({ config, metrics: bare, summary: { ...summary, data } });
  const knn = pictures(page).get("kNN accuracy")!;
  assert(!knn.includes("raw pixels") && !knn.includes("chance"));
  assert(!page.includes("over untrained"));
});

for (
  const [what, metrics] of Object.entries({
    "no lines": [],
    "the kNN of the untrained network": exampleRun(160).metrics.slice(0, 1),
    "one step": exampleRun(160).metrics.slice(1, 2),
  })
) {
  Deno.test(`a run with nothing but ${what} still renders`, async () => {
    const summary = { ...exampleSummary, steps: 0, epochs: 0, seconds: 3 };
    const page = await renderPretrainReport({ config: {}, metrics, summary });
    assertEquals(pictures(page).size, 0);
    assert(page.includes("Fewer than two steps were logged") && page.includes("not trained yet"));
    assert(!page.includes("NaN") && !page.includes("undefined"));
  });
}

Deno.test("a few logged steps are drawn as they are, unsmoothed", async () => {
  const page = await renderPretrainReport(exampleRun(4));
  assert(page.includes("The lines join every logged step, unsmoothed."));
  assertEquals(count(pictures(page).get("Loss over")!, /<path[^>]*stroke="var\(--ink\)"/g), 1);
});

Deno.test("a long run is thinned, says so, and stays a small page", async () => {
  const page = await renderPretrainReport(exampleRun(6000));
  assert(page.includes("Thin lines: means of 4 logged steps."));
  assert(page.length < 500_000, `${page.length} characters`);
});

Deno.test("text from configuration, data and settings is escaped", async () => {
  const hostile = `</pre><script>alert("&")</script>`;
  const { metrics, summary } = exampleRun(4);
  const page = await renderPretrainReport({
    config: { data: hostile, [hostile]: 1 },
    metrics,
    summary: {
      ...summary,
      ...{ title: hostile, version: hostile, device: hostile, settings: [[hostile, hostile]] },
      data: { ...summary.data, spec: hostile },
    },
  });
  assert(!page.includes("<script") && !page.includes("</pre><"));
  assert(count(page, /&lt;\/pre&gt;&lt;script&gt;/g) >= 8);
});

Deno.test("the same run gives the same page", async () => {
  assertEquals(await renderPretrainReport(exampleRun(40)), await renderPretrainReport(exampleRun(40)));
});

Deno.test("a chart fills the width it is given and describes itself in escaped words", async () => {
  const axis = { title: "a < b", zero: true };
  const chart = {
    ...{ description: `"quoted" <description>`, width: 300, height: 200, x: axis, y: axis },
    lines: [{
      points: [{ x: 0, y: 1 }, { x: 1, y: 2 }],
      color: "var(--ink)",
      width: 2,
      opacity: 1,
      dots: true,
    }],
    levels: [{ y: 1.5, label: "half <way>", side: "above" as const }],
  };
  const svg = (await renderLineChart(chart)).text.trim();
  assert(svg.startsWith('<svg role="img" aria-label="&quot;quoted&quot; &lt;description&gt;"'));
  assert(svg.includes('viewBox="0 0 300 200"') && !/<svg[^>]* width=/.test(svg));
  assert(svg.includes("half &lt;way&gt;") && svg.includes("a &lt; b") && svg.endsWith("</svg>"));
  assertEquals((lineChartSpec(chart) as { layer: unknown[] }).layer.length, 3);
});

Deno.test("a loss of two terms has a chart for each, and its own name", async () => {
  const { metrics, ...rest } = exampleRun(20);
  const taught = metrics.map((line): MetricsLine =>
    isStep(line) ? { ...line, lossTerms: { moco: line.loss - 0.5, distillation: 0.5 } } : line
  );
  const summary = { ...exampleSummary, lossName: "weighted sum of the losses" };
  const page = await renderPretrainReport({ ...rest, metrics: taught, summary });
  const charts = pictures(page);
  assertEquals([...charts.keys()].slice(0, 3), ["Loss over", "Momentum contrast", "Distance to"]);
  assert(charts.get("Loss over")!.includes("weighted sum of the losses"));
  assert(charts.get("Momentum contrast")!.includes("InfoNCE loss"));
  assert(charts.get("Distance to")!.includes("1 - cosine"));
  // Guessing has a loss of its own where the queue is compared with, and none in a sum.
  assert(
    charts.get("Momentum contrast")!.includes("guessing") && !charts.get("Loss over")!.includes("guessing"),
  );
  assert(!charts.get("Distance to")!.includes("guessing"));
  assert(!(await renderPretrainReport(exampleRun(20))).includes("Distance to the teacher"));
});
