import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { renderSegmentationReport } from "../../src/report/segmentation_report.ts";
import { exampleSegmentation } from "./example_segmentation.ts";

const words = (page: string) => page.replace(/<[^>]*>/g, " ").replace(/[\s\u00a0\u202f]+/g, " ");

Deno.test("key figures, the table of classes, the best first, and pictures in threes", async () => {
  const page = await renderSegmentationReport(exampleSegmentation());
  const text = words(page);
  for (
    const part of [
      "Mean IoU 43.9 % over classes",
      "Pixels right 87.2 %",
      "Pixels 8.81 M 123 456 ignored",
      "180 labelled images",
      "51 others",
      "Optimizer.learningRate 0.01",
      "one confusion matrix over the whole set",
    ]
  ) assertStringIncludes(text, part);
  const rows = [...page.matchAll(/<tr>\s*<td class="text">(.*?)<\/tr>/gs)].map(([row]) => words(row).trim());
  assertEquals(rows.map((row) => row.split(/ (?=[\d–])/)[0]), [
    ...[
      "sky",
      "road",
      "a class with a rather long name &amp; a sign",
      "traffic light",
      "person",
      "never there",
    ],
  ]);
  assertEquals(rows[0], "sky 91.2 % 95.8 % 4 000 000");
  assertEquals(rows[5], "never there – – 0");
  const triples = [...page.matchAll(/<div class="triple">(.*?)<\/div>/gs)].map(([triple]) => triple);
  assertEquals(triples.length, 2);
  assertEquals([...triples[1].matchAll(/alt="([^"]*)"/g)].map(([, alt]) => alt), [
    ...["road/two.jpg: image", "road/two.jpg: truth", "road/two.jpg: prediction"],
  ]);
  assert(page.includes("Auxiliary classifier over training steps"));
  assert(page.includes("Loss over steps") && page.includes("Mean IoU over steps, to 43.9"));
});

Deno.test("names of any kind are escaped", async () => {
  const bad = `<b>"x"&'y'</b>`, escaped = "&lt;b&gt;&quot;x&quot;&amp;&#39;y&#39;&lt;/b&gt;";
  const example = exampleSegmentation();
  const page = await renderSegmentationReport({
    ...example,
    ...{ title: bad, device: bad, head: bad, arch: bad },
    classes: example.classes.map((one) => ({ ...one, name: bad })),
    pictures: example.pictures.map((one) => ({ ...one, name: bad })),
    settings: [[bad, bad]],
  });
  assert(!page.includes("<b>"));
  // Twice in the head's lines, in the lede, in six rows and six entries of the legend, in six pictures twice, in facts.
  assert(page.split(escaped).length - 1 >= 2 + 2 + 12 + 12 + 3);
});

Deno.test("what was not measured leaves no chart, no picture and no number", async () => {
  const example = exampleSegmentation();
  const { metrics } = example;
  const nothing = { iou: null, accuracy: null, pixels: 0, predicted: 0 };
  const page = await renderSegmentationReport({
    ...example,
    ...{ steps: example.steps.slice(0, 1), evaluations: [], pictures: [] },
    metrics: {
      ...metrics,
      ...{ mIoU: null, pixelAccuracy: null, pixels: 0, perClass: metrics.perClass.map(() => nothing) },
    },
  });
  const text = words(page);
  assert(!page.includes("<svg") && !page.includes("<img") && !text.includes("Test images"));
  assertStringIncludes(text, "Mean IoU –");
  assert(!/NaN|undefined|null|Infinity/.test(text), text);
});
