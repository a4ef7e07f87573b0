/** What the report of a run shows of its quality, with and without labels. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { renderPretrainReport } from "../../src/report/pretrain_report.ts";
import { renderSearchReport } from "../../src/report/search_report.ts";
import { isKnn, type KnnMetrics, type MetricsLine } from "../../src/store/metrics.ts";
import { exampleNeighbours } from "./example_neighbours.ts";
import { exampleRun } from "./example_run.ts";
import { exampleSearch, exampleSpaces } from "./example_search.ts";

const count = (text: string, pattern: RegExp) => text.match(pattern)?.length ?? 0;

Deno.test("the sheet shows ten images with six neighbours each, their cosines, names and marks", async () => {
  const page = await renderPretrainReport({ ...exampleRun(20), neighbours: exampleNeighbours(true) });
  assertEquals(count(page, /<img src="data:image/g), 70);
  assertStringIncludes(page, "held-out images");
  assertStringIncludes(page, "40 of 60");
  assertEquals(count(page, /class="same"/g), 40);
  assertEquals(count(page, /class="other"/g), 20);
  assertStringIncludes(page, 'title="&lt;bank&gt;/3-2.jpg"');
  assertStringIncludes(page, "0.97");
});

Deno.test("without labels nothing is marked", async () => {
  const page = await renderPretrainReport({ ...exampleRun(20), neighbours: exampleNeighbours(false) });
  assertStringIncludes(page, "training images, chosen at random");
  assertEquals(count(page, /class="(same|other)"/g), 0);
});

Deno.test("spread is drawn, said in a sentence, and warned of when features collapse", async () => {
  const { metrics, ...rest } = exampleRun(20);
  const page = await renderPretrainReport({ ...rest, metrics });
  assertStringIncludes(page, "up from 12.0 untrained");
  assertStringIncludes(page, "Effective rank over epochs, from 12.00 to 31.63.");
  assert(!page.includes('class="warning"'));
  const collapsed = metrics.map((line): MetricsLine =>
    isKnn(line) ? { ...line, spread: { ...line.spread!, meanCosine: 0.999 } } : line
  );
  const warned = await renderPretrainReport({ ...rest, metrics: collapsed });
  assertEquals(count(warned, /class="warning"/g), 1);
  assertStringIncludes(warned, "The features have collapsed");
});

Deno.test("kNN below raw pixels is warned of", async () => {
  const { metrics, ...rest } = exampleRun(20);
  const poor = metrics.map((line): MetricsLine => isKnn(line) ? { ...line, knn: 0.15 } : line);
  assertStringIncludes(
    await renderPretrainReport({ ...rest, metrics: poor }),
    "15.0\u00a0%, below the 16.0\u00a0% of raw pixels",
  );
});

Deno.test("a run of an earlier version has no spread and no section of it", async () => {
  const { metrics, ...rest } = exampleRun(20);
  const old = metrics.map((line): MetricsLine => {
    if (!isKnn(line)) return line;
    const { spread: _, ...kept } = line;
    return kept;
  });
  const page = await renderPretrainReport({ ...rest, metrics: old });
  assert(!page.includes("Spread of the features") && !page.includes("Effective rank"));
});

Deno.test("a run of an earlier version has the measures that it took, and no word on the others", async () => {
  const { metrics, ...rest } = exampleRun(20);
  const old = metrics.map((line): MetricsLine => {
    if (!isKnn(line)) return line;
    const { agreement: _, spread, ...kept } = line;
    const { collapsedShare: _collapsed, uniformity: _uniformity, ...measured } = spread!;
    return { ...kept, spread: measured };
  });
  const page = await renderPretrainReport({ ...rest, metrics: old });
  assertStringIncludes(page, "Effective rank over epochs");
  for (const title of ["Uniformity", "Alignment", "alignment of two views", "Smallest subnet and teacher"]) {
    assert(!page.includes(title), title);
  }
});

Deno.test("whether training still gains is said, but not of collapsed features", async () => {
  const { metrics, ...rest } = exampleRun(20);
  assertStringIncludes(
    await renderPretrainReport({ ...rest, metrics }),
    "Training has flattened by these signals.",
  );
  const growing = metrics.map((line): MetricsLine =>
    isKnn(line) ? { ...line, spread: { ...line.spread!, effectiveRank: 12 + line.epoch } } : line
  );
  const page = await renderPretrainReport({ ...rest, metrics: growing });
  assertStringIncludes(
    page,
    "Training still gains by these signals. Between epochs 14 and 20 these improved: effective rank (26.0 to 32.0).",
  );
  const collapsed = growing.map((line): MetricsLine =>
    isKnn(line) ? { ...line, spread: { ...line.spread!, meanCosine: 0.999 } } : line
  );
  assert(!(await renderPretrainReport({ ...rest, metrics: collapsed })).includes("by these signals"));
});

Deno.test("what was not compared is left out with its reason", async () => {
  const { metrics, summary, ...rest } = exampleRun(20);
  const page = async (agreement: KnnMetrics["agreement"], architectures = 243) => {
    const lines = metrics.map((line): MetricsLine => {
      if (!isKnn(line)) return line;
      const { agreement: _, ...kept } = line;
      return { ...kept, ...(agreement && { agreement }) };
    });
    const space = { ...summary.space, architectures };
    return (await renderPretrainReport({ ...rest, metrics: lines, summary: { ...summary, space } }))
      .replace(/\s+/g, " ");
  };
  const one = await page({ images: 99, alignment: 0.25 }, 1);
  assertStringIncludes(one, "Of 99 training images: alignment of two views 0.250");
  assertStringIncludes(one, "left out (the network has one architecture)");
  assert(!one.includes("Smallest subnet and teacher"));
  assertStringIncludes(
    await page({ images: 99, alignment: 0.25 }),
    "left out (there is no momentum encoder)",
  );
  const plain = await page(undefined);
  assertStringIncludes(plain, "alignment of two views left out (views of an image are not augmented)");
  assert(!plain.includes("training images: alignment"));
  const broken = await page({ images: 99, alignment: null, smallest: null });
  assertStringIncludes(broken, "alignment of two views not measurable (features that are not finite");
});

Deno.test("features that were not finite at the last evaluation are told in words", async () => {
  const { metrics, ...rest } = exampleRun(20);
  const broken = (from: number) =>
    metrics.map((line): MetricsLine => isKnn(line) && line.epoch >= from ? { ...line, spread: null } : line);
  const last = await renderPretrainReport({ ...rest, metrics: broken(20) });
  assertStringIncludes(last, "At the last evaluation, after epoch 20, nothing could be measured");
  assert(!last.includes("by these signals"));
  const all = await renderPretrainReport({ ...rest, metrics: broken(0) });
  assertStringIncludes(all, "features that are not finite, or fewer than two images");
  assert(!all.includes("Effective rank over epochs"));
});

Deno.test("the loss of guessing is a line in both pictures, with the sentence on the queue that fills", async () => {
  const page = await renderPretrainReport(exampleRun(20));
  assertEquals(count(page, /guessing: ln\(queue \+ 1\) = 6\.24/g), 2);
  assertStringIncludes(page, "rises at first: the queue of 512 keys");
  const { summary: { queue: _, ...summary }, ...rest } = exampleRun(20);
  assert(!(await renderPretrainReport({ ...rest, summary })).includes("guessing"));
});

Deno.test("every picture comes in a wide and a narrow size", async () => {
  const page = await renderPretrainReport(exampleRun(20));
  const charts = count(page, /<svg /g);
  assertEquals([count(page, /class="for-wide"/g), count(page, /class="for-narrow"/g)], [
    charts / 2,
    charts / 2,
  ]);
  assertEquals(count(page, /viewBox="0 0 360 /g), charts / 2);
});

Deno.test("measured times are a picture for each size of batch, with quartiles as bars and in the table", async () => {
  const options = { space: exampleSpaces.demo, imageSize: 32, perGroup: 99, stages: ["projection"] };
  const timed = exampleSearch({ ...options, timed: true });
  const page = await renderSearchReport(timed);
  for (const title of ["Score over time, single images", "Score over time, batches of 64"]) {
    assertStringIncludes(page, title);
  }
  assertStringIncludes(page, "ms, batch 64");
  const [single, batch] = timed.groups[0].best.latency!;
  for (const { msPerImage, lowerQuartile } of [single, batch]) {
    assertStringIncludes(page, `${msPerImage.toPrecision(3)} (${lowerQuartile.toPrecision(3)}–`);
  }
  // Two pictures of two sizes, each with a bar for every architecture.
  const bars = [...page.matchAll(/class="bars" d="([^"]*)"/g)].map(([, path]) => count(path, /M/g));
  assertEquals(bars.reduce((sum, number) => sum + number), 4 * exampleSpaces.demo.size);
  assert(!(await renderSearchReport(exampleSearch(options))).includes("Score over time"));
});
