import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { renderDetectionReport } from "../../src/report/detection_report.ts";
import { exampleDetection } from "./example_detection.ts";

const words = (page: string) => page.replace(/<[^>]*>/g, " ").replace(/[\s\u00a0\u202f]+/g, " ");

Deno.test("key figures, COCO's twelve numbers of boxes and masks, and pictures in threes", async () => {
  const page = await renderDetectionReport(exampleDetection());
  const text = words(page);
  for (
    const part of ["Box AP 32.3 % AP50 52.3 %", "Mask AP 29.8 %", "180 images with objects", "51 others"]
  ) {
    assertStringIncludes(text, part);
  }
  const rows = [...page.matchAll(/<tr>\s*<td class="text">(.*?)<\/tr>/gs)].map(([row]) => words(row).trim());
  assertEquals(rows.length, 14);
  assertEquals(rows[0], "AP IoU .50 to .95 32.3 % 29.8 %");
  assertEquals(rows[5], "AP, large above 96² – –");
  assertEquals(rows.slice(12), [
    "large cells 42.3 % 62.3 % 37.3 % 39.8 %",
    "small cells 32.3 % 52.3 % 27.3 % 29.8 %",
  ]);
  assertEquals([...page.matchAll(/<div class="triple">/g)].length, 2);
  assert(
    page.includes("Loss over steps") && page.includes("Masks of regions over training steps") &&
      page.includes("Box AP over steps, to 32.3"),
  );
});

Deno.test("boxes alone have no masks; what was not measured leaves no chart, no picture and no number", async () => {
  const { metrics, steps } = exampleDetection();
  const page = await renderDetectionReport(exampleDetection({
    ...{ metrics: { boxes: metrics.boxes }, steps: steps.slice(0, 1), evaluations: [], pictures: [] },
  }));
  const text = words(page);
  assert(
    !page.includes("<svg") && !page.includes("<img") &&
      !/Masks?\b/.test(text.split("How it was measured")[0]),
  );
  assert(!/NaN|undefined|null|Infinity/.test(text), text);
});

Deno.test("names of any kind are escaped", async () => {
  const bad = `<b>"x"&'y'</b>`;
  const example = exampleDetection();
  const page = await renderDetectionReport({
    ...example,
    ...{ title: bad, device: bad, head: bad, arch: bad, task: bad, settings: [[bad, bad]] },
    pictures: example.pictures.map((one) => ({ ...one, name: bad })),
    classes: example.classes.map((one) => ({ ...one, name: bad })),
  });
  assert(!page.includes("<b>"));
});
