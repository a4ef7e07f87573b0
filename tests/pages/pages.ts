/**
 * Reports as a browser shows them: on a telephone, a tablet and a desk, light and dark. `deno task test:pages`; screenshots go
 * to the folder that is given after `--`.
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { renderCompareReport } from "../../src/report/compare_report.ts";
import { renderCorrelateReport } from "../../src/report/correlate_report.ts";
import { renderEvaluateReport } from "../../src/report/evaluate_report.ts";
import { renderDetectionReport } from "../../src/report/detection_report.ts";
import { renderSegmentationReport } from "../../src/report/segmentation_report.ts";
import { renderPretrainReport } from "../../src/report/pretrain_report.ts";
import { renderSearchReport } from "../../src/report/search_report.ts";
import { isKnn, isStep, type MetricsLine } from "../../src/store/metrics.ts";
import { exampleBaselines, exampleEvaluation, exampleFaultless } from "../report/example_evaluation.ts";
import { exampleNeighbours } from "../report/example_neighbours.ts";
import { exampleRun } from "../report/example_run.ts";
import { exampleSearch, exampleSpaces, withTies } from "../report/example_search.ts";
import { exampleDetection } from "../report/example_detection.ts";
import { exampleSegmentation } from "../report/example_segmentation.ts";
import { exampleComparison, exampleCorrelation } from "../report/example_studies.ts";
import { Chromium } from "./chromium.ts";

const inspection = await Deno.readTextFile(new URL("./inspect.js", import.meta.url));

/** A run without labels whose features collapse at its end. */
function unlabelled(): Parameters<typeof renderPretrainReport>[0] {
  const { metrics, ...rest } = exampleRun(40);
  const lines = metrics.map((line): MetricsLine => {
    if (!isKnn(line)) return line;
    const { step, epoch, spread, agreement } = line;
    return {
      ...{ step, epoch, agreement: { images: agreement!.images, alignment: agreement!.alignment } },
      spread: { ...spread!, ...epoch === 20 && { effectiveRank: 1.4, meanCosine: 0.996 } },
    };
  });
  return { ...rest, metrics: lines, neighbours: exampleNeighbours(false) };
}

/** A run that learns from a teacher beside momentum contrast. */
function taught(): Parameters<typeof renderPretrainReport>[0] {
  const { metrics, summary, ...rest } = exampleRun(160);
  const lines = metrics.map((line): MetricsLine =>
    isStep(line)
      ? { ...line, lossTerms: { moco: line.loss - 0.5, distillation: 0.5 / (1 + line.epoch) } }
      : line
  );
  return { ...rest, metrics: lines, summary: { ...summary, lossName: "weighted sum of the losses" } };
}

const { demo, published } = exampleSpaces;
const pages: Record<string, () => Promise<string>> = {
  pretrain: () => renderPretrainReport({ ...exampleRun(160), neighbours: exampleNeighbours(true) }),
  unlabelled: () => renderPretrainReport(unlabelled()),
  taught: () => renderPretrainReport(taught()),
  search: () =>
    renderSearchReport(exampleSearch({
      ...{ space: demo, imageSize: 32, perGroup: 99, stages: ["projection"], timed: true },
    })),
  stages: () =>
    renderSearchReport(exampleSearch({
      ...{ space: published, imageSize: 224, perGroup: 20, stages: ["c2", "c3", "c4", "c5"], timed: true },
    })),
  ties: () =>
    renderSearchReport(withTies(exampleSearch({
      ...{ space: published, imageSize: 224, perGroup: 20, stages: ["c4", "c5"], timed: true },
    }))),
  correlate: () => renderCorrelateReport(exampleCorrelation(1)),
  compare: () => renderCompareReport(exampleComparison()),
  evaluate: () =>
    renderEvaluateReport(exampleEvaluation({ networks: 50, classes: 10, test: 1000, mistakes: 24 })),
  "evaluate one network of 30 classes": () =>
    renderEvaluateReport(exampleEvaluation({ networks: 1, classes: 30, test: 3000, mistakes: 5, odd: true })),
  "evaluate 2 classes": () =>
    renderEvaluateReport(exampleEvaluation({ networks: 2, classes: 2, test: 400, mistakes: 2, odd: true })),
  "evaluate 200 classes": () =>
    renderEvaluateReport(
      exampleEvaluation({ networks: 4, classes: 200, test: 4000, mistakes: 24, odd: true }),
    ),
  "evaluate beside close baselines": () => renderEvaluateReport(exampleBaselines()),
  segmentation: () => renderSegmentationReport(exampleSegmentation()),
  detection: () => renderDetectionReport(exampleDetection()),
  "evaluate without mistakes": () => renderEvaluateReport(exampleFaultless()),
};

/** Each fault that the inspection must see. */
const faults = {
  "the page is 900 pixels wide": `<div style="width:900px;margin-left:-8px">a</div>`,
  "the contrast is": `<p style="color:#aaa">pale</p>`,
  "the label lies on":
    `<svg viewBox="0 0 300 200" width="300"><text x="9" y="50">one</text><text x="19" y="52">two</text>` +
    `<circle r="9" /></svg>`,
  "the label is cut off": `<svg viewBox="0 0 300 200" width="300"><text x="280" y="50">outside</text></svg>`,
  "the label has 6.0 pixels":
    `<svg viewBox="0 0 600 200" width="300"><text x="9" y="50" font-size="12">a</text></svg>`,
  "the chart has no marks": `<svg viewBox="0 0 300 200" width="300"></svg>`,
  "does not load": `<img alt="picture" src="data:image/png;base64,AAAA">`,
  "its place": `<p style="width:40px">incomprehensibilities</p>`,
};

const schemes = ["light", "dark"] as const;

const launched = await Chromium.launch();

Deno.test({
  name: launched
    ? "pages in a browser"
    : "pages in a browser: neither chromium nor google-chrome is installed",
  ignore: launched === undefined,
  fn: (test) => inspectPages(test, launched!),
});

async function inspectPages(test: Deno.TestContext, launched: Chromium): Promise<void> {
  await using browser = launched;
  const folder = await Deno.makeTempDir();
  const visit = async (markup: string, view: Parameters<Chromium["visit"]>[1]) => {
    await Deno.writeTextFile(`${folder}/page.html`, markup);
    await browser.visit(`file://${folder}/page.html`, view);
    return [...browser.complaints, ...await browser.evaluate<string[]>(inspection)];
  };
  for (const [fault, body] of Object.entries(faults)) {
    await test.step(`the inspection sees: ${fault}`, async () => {
      const page = `<!doctype html><meta charset="utf-8"><body>${body}`;
      assertStringIncludes((await visit(page, { width: 400, scheme: "light" })).join("\n"), fault);
    });
  }
  for (const [name, render] of Object.entries(pages)) {
    const markup = await render();
    for (const width of [400, 768, 1400]) {
      for (const scheme of schemes) {
        await test.step(`${name}, ${width} pixels, ${scheme}`, async () => {
          assertEquals(await visit(markup, { width, scheme }), []);
          const [screenshots] = Deno.args;
          if (screenshots === undefined) return;
          await Deno.writeFile(`${screenshots}/${name}-${width}-${scheme}.png`, await browser.screenshot());
        });
      }
    }
  }
  await Deno.remove(folder, { recursive: true });
}
