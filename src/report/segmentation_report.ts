/** The report of a segmentation: how its loss and its measure went, what it is worth by class, and what it makes of images. */
import type { SegmentationMetrics } from "../evaluate/segmentation.ts";
import { formatInteger, formatShort } from "../number_format.ts";
import type { PixelMetrics } from "../store/metrics.ts";
import { type DenseReport, lossFigure, measureFigure, pictureSection, share } from "./dense_parts.ts";
import { lossTermFigures } from "./loss_terms.ts";
import { factList, type Html, html, keyFigures, renderPage, table } from "./page.ts";

/** What the report is made from. */
export interface SegmentationReport extends DenseReport<SegmentationMetrics, PixelMetrics> {
  readonly classes: readonly { readonly name: string; readonly colour: readonly [number, number, number] }[];
}

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
      <div class="pair">${await lossFigure(
        report.steps,
        "Of the pixels, and of the auxiliary classifier with its weight.",
      )}${await measureFigure(report.evaluations, [
        ["mean IoU", ({ mIoU }) => mIoU],
        ["pixels right", ({ pixelAccuracy }) => pixelAccuracy],
      ])}</div>
      ${await lossTermFigures(report.steps, "A part of the loss, without its weight.") ?? false} ${classTable(
        report,
      )} ${pictureSection(
        report.pictures,
        "The image, its true classes, and those predicted. Pixels that do not count are left clear.",
        classLegend(report),
      )}
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

function classLegend({ classes }: SegmentationReport): Html {
  return html`<ul class="legend">${
    classes.map(({ name, colour }) =>
      html`<li><span class="swatch dot" style="color:rgb(${colour.join()})"></span>${name}</li>`
    )
  }</ul>`;
}
