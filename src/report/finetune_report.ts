/** The report of a segmentation: how its loss and its measure went, what it is worth by class, and what it makes of images. */
import type { SegmentationMetrics } from "../evaluate/segmentation.ts";
import { formatInteger, formatPercent, formatShort } from "../number_format.ts";
import type { PixelMetrics, StepMetrics } from "../store/metrics.ts";
import { colors, halfSizes, line, linePointLimit, type Point, renderLineCharts, stepAxis } from "./charts.ts";
import { factList, figure, type Html, html, keyFigures, renderPage, table } from "./page.ts";
import { smooth, smoothingRadius, thin } from "./series.ts";

/** A test image with its true and its predicted classes drawn over it. */
export interface SegmentationPicture {
  /** The image's file. */
  readonly name: string;
  /** `data:` addresses of three pictures side by side: image, truth, prediction. */
  readonly image: string;
  readonly truth: string;
  readonly prediction: string;
}

/** What the report is made from. */
export interface SegmentationReport {
  readonly title: string;
  readonly version: string;
  readonly device: string;
  readonly head: string;
  readonly arch: string;
  readonly classes: readonly { readonly name: string; readonly colour: readonly [number, number, number] }[];
  readonly images: { readonly train: number; readonly test: number };
  readonly metrics: SegmentationMetrics;
  readonly steps: readonly StepMetrics[];
  readonly evaluations: readonly PixelMetrics[];
  readonly pictures: readonly SegmentationPicture[];
  readonly settings: readonly (readonly [label: string, value: string])[];
}

const share = (value: number | null) => value === null ? "–" : formatPercent(value);

/** Renders the report as one self-contained HTML page: no scripts, nothing loaded. */
export async function renderSegmentationReport(report: SegmentationReport): Promise<string> {
  const { title, version, device, head, arch, images, metrics, settings } = report;
  return renderPage({
    title,
    kicker: "Scion segmentation report",
    lede: `${arch} with the head ${head}: ${formatInteger(images.train)} labelled images to learn from, ${
      formatInteger(images.test)
    } others to be tested on.`,
    body: html`
      ${keyFigures([
        { label: "Mean IoU", value: share(metrics.mIoU), note: "over classes, of all test images together" },
        { label: "Pixels right", value: share(metrics.pixelAccuracy), note: "of those that count" },
        {
          label: "Pixels",
          value: formatShort(metrics.pixels),
          note: `${formatInteger(metrics.ignored)} ignored`,
        },
      ])}
      <div class="pair">${await lossFigure(report.steps)}${await measureFigure(report.evaluations)}</div>
      ${classTable(report)} ${pictureSection(report)}
      <section><h2>How it was measured</h2>${factList([
        ["Device", device],
        ["Resolution", "predictions are interpolated to the labels' own size"],
        ["Mean IoU", "one confusion matrix over the whole set, never a mean over images"],
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
  return figure({
    title: "Loss",
    chart,
    caption: "Of the pixels, and of the auxiliary classifier with its weight.",
  });
}

async function measureFigure(evaluations: readonly PixelMetrics[]): Promise<Html | false> {
  const series = [
    { label: "mean IoU", color: colors.accent, value: ({ mIoU }: PixelMetrics) => mIoU },
    {
      label: "pixels right",
      color: colors.blue,
      value: ({ pixelAccuracy }: PixelMetrics) => pixelAccuracy,
    },
  ].map(({ value, ...rest }) => ({
    ...rest,
    points: evaluations.flatMap((one): Point[] => {
      const y = value(one);
      return y === null ? [] : [{ x: one.step, y }];
    }),
  }));
  if (series[0].points.length < 2) return false;
  const chart = await renderLineCharts(halfSizes, () => ({
    description: `Mean IoU over steps, to ${share(series[0].points.at(-1)!.y)}.`,
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

function classTable({ classes, metrics: { perClass } }: SegmentationReport): Html {
  const rows = classes.map(({ name }, at) => ({ name, ...perClass[at] }))
    .sort((a, b) => (b.iou ?? -1) - (a.iou ?? -1));
  return html`<section><h2>By class</h2>${
    table(
      "By class, the best first",
      [
        { label: "Class", numeric: false },
        { label: "IoU", numeric: true },
        { label: "Recognised", numeric: true },
        { label: "Pixels", numeric: true },
      ],
      rows.map((
        { name, iou, accuracy, pixels },
      ) => [name, share(iou), share(accuracy), formatInteger(pixels)]),
    )
  }</section>`;
}

function pictureSection({ pictures, classes }: SegmentationReport): Html | false {
  if (pictures.length === 0) return false;
  return html`<section>
    <h2>Test images</h2>
    <ul class="legend">${
    classes.map(({ name, colour }) =>
      html`<li><span class="swatch dot" style="color:rgb(${colour.join()})"></span>${name}</li>`
    )
  }</ul>
    ${
    pictures.map(({ name, image, truth, prediction }) =>
      html`<div class="triple">${
        ([[image, "image"], [truth, "truth"], [prediction, "prediction"]] as const).map(([address, what]) =>
          html`<img src="${address}" alt="${name}: ${what}" title="${name}: ${what}">`
        )
      }</div>`
    )
  }
    <p class="caption">The image, its true classes, and those predicted. Pixels that do not count are left clear.</p>
  </section>`;
}
