/** The report of a detector: how its losses and its precision went, COCO's numbers, and what it finds in images. */
import type { CocoMetrics } from "../evaluate/coco.ts";
import { formatInteger, formatPercent } from "../number_format.ts";
import type { ObjectMetrics, StepMetrics } from "../store/metrics.ts";
import { colors, halfSizes, line, linePointLimit, type Point, renderLineCharts, stepAxis } from "./charts.ts";
import { lossTermFigures } from "./loss_terms.ts";
import { factList, figure, type Html, html, keyFigures, renderPage, table } from "./page.ts";
import { smooth, smoothingRadius, thin } from "./series.ts";

/** A test image with its true and its detected objects drawn over it; `data:` addresses. */
export interface DetectionPicture {
  /** The image's file. */
  readonly name: string;
  readonly image: string;
  readonly truth: string;
  readonly prediction: string;
}

/** What the report is made from. */
export interface DetectionReport {
  readonly title: string;
  readonly version: string;
  readonly device: string;
  readonly task: string;
  readonly head: string;
  readonly arch: string;
  readonly images: { readonly train: number; readonly test: number };
  readonly metrics: { readonly boxes: CocoMetrics; readonly masks?: CocoMetrics };
  readonly steps: readonly StepMetrics[];
  readonly evaluations: readonly ObjectMetrics[];
  readonly pictures: readonly DetectionPicture[];
  readonly settings: readonly (readonly [label: string, value: string])[];
}

const share = (value: number | null) => value === null ? "–" : formatPercent(value);

/** Renders the report as one self-contained HTML page: no scripts, nothing loaded. */
export async function renderDetectionReport(report: DetectionReport): Promise<string> {
  const { title, version, device, task, head, arch, images, metrics: { boxes, masks }, settings } = report;
  return renderPage({
    title,
    kicker: `Scion ${task} report`,
    lede: `${arch} with the head ${head}: ${formatInteger(images.train)} images with objects to learn from, ${
      formatInteger(images.test)
    } others to be tested on.`,
    body: html`
      ${keyFigures([
        {
          label: "Box AP",
          value: share(boxes.AP),
          note: `AP50 ${share(boxes.AP50)}, AP75 ${share(boxes.AP75)}`,
        },
        ...masks
          ? [{
            label: "Mask AP",
            value: share(masks.AP),
            note: `AP50 ${share(masks.AP50)}, AP75 ${share(masks.AP75)}`,
          }]
          : [],
      ])}
      <div class="pair">${await lossFigure(report.steps)}${await measureFigure(report.evaluations)}</div>
      ${await lossTermFigures(report.steps, undefined) ?? false} ${numberTable(report)} ${pictureSection(
        report,
      )}
      <section><h2>How it was measured</h2>${factList([
        ["Device", device],
        ["Resolution", "boxes and masks are brought to the photos' own size"],
        ["AP", "COCO's average precision: mean over IoU thresholds .50 to .95, recalls and classes"],
        ...settings,
      ])}</section>
    `,
    footer: `Written by Scion ${version}.`,
  });
}

async function lossFigure(steps: readonly StepMetrics[]): Promise<Html | false> {
  if (steps.length < 2) return false;
  const points = steps.map(({ step, loss }): Point => ({ x: step, y: loss }));
  const chart = await renderLineCharts(halfSizes, (size) => {
    const { points: thinned } = thin(points, linePointLimit(size));
    const radius = smoothingRadius(thinned.length);
    return {
      description: `Loss over steps, from ${points[0].y.toFixed(2)} to ${points.at(-1)!.y.toFixed(2)}.`,
      x: stepAxis,
      y: { title: "loss", zero: true },
      lines: radius === 0
        ? [line(thinned, colors.ink, 2)]
        : [line(thinned, colors.ink, 0.8, 0.4), line(smooth(thinned, radius), colors.ink, 2.2)],
    };
  });
  return figure({ title: "Loss", chart, caption: "The sum of the losses below." });
}

async function measureFigure(evaluations: readonly ObjectMetrics[]): Promise<Html | false> {
  const series = ([["box AP", colors.accent, "boxAP"], ["mask AP", colors.blue, "maskAP"]] as const).flatMap(
    ([label, color, name]) => {
      const points = evaluations.flatMap((one): Point[] => {
        const y = one[name];
        return typeof y === "number" ? [{ x: one.step, y }] : [];
      });
      return points.length < 2 ? [] : [{ label, color, points }];
    },
  );
  if (series.length === 0) return false;
  const chart = await renderLineCharts(halfSizes, () => ({
    description: `Average precision over steps; boxes to ${share(series[0].points.at(-1)!.y)}.`,
    x: stepAxis,
    y: { title: "on the test images", zero: true, format: ".0%" },
    lines: series.map(({ points, color }) => ({ points, color, width: 2, opacity: 1, dots: true })),
  }));
  return figure({
    title: "On the test images",
    chart,
    legend: series,
    caption: "Of those images nothing is learnt.",
  });
}

const rows = [
  ["AP", "AP", "IoU .50 to .95"],
  ["AP50", "AP50", "IoU .50"],
  ["AP75", "AP75", "IoU .75"],
  ["APsmall", "AP, small", "area below 32²"],
  ["APmedium", "AP, medium", "32² to 96²"],
  ["APlarge", "AP, large", "above 96²"],
  ["AR1", "AR, 1 an image", "recall, all areas"],
  ["AR10", "AR, 10 an image", "recall, all areas"],
  ["AR100", "AR, 100 an image", "recall, all areas"],
  ["ARsmall", "AR, small", "100 an image"],
  ["ARmedium", "AR, medium", "100 an image"],
  ["ARlarge", "AR, large", "100 an image"],
] as const;

function numberTable({ metrics: { boxes, masks } }: DetectionReport): Html {
  return html`<section><h2>COCO's numbers</h2>${
    table(
      "COCO's twelve numbers on the test images",
      [
        { label: "Measure", numeric: false },
        { label: "Of", numeric: false },
        { label: "Boxes", numeric: true },
        ...masks ? [{ label: "Masks", numeric: true }] : [],
      ],
      rows.map(([name, label, of]) => [
        label,
        of,
        share(boxes[name]),
        ...masks ? [share(masks[name])] : [],
      ]),
    )
  }</section>`;
}

function pictureSection({ pictures }: DetectionReport): Html | false {
  if (pictures.length === 0) return false;
  return html`<section>
    <h2>Test images</h2>
    ${
    pictures.map(({ name, image, truth, prediction }) =>
      html`<div class="triple">${
        ([[image, "image"], [truth, "truth"], [prediction, "prediction"]] as const).map(([address, what]) =>
          html`<img src="${address}" alt="${name}: ${what}" title="${name}: ${what}">`
        )
      }</div>`
    )
  }
    <p class="caption">The image, its true objects, and those detected with a score of 0.5 or more.</p>
  </section>`;
}
