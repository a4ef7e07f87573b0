/** The report of a detector: how its losses and its precision went, COCO's numbers, and what it finds in images. */
import type { CocoMetrics } from "../evaluate/coco.ts";
import { formatInteger } from "../number_format.ts";
import type { ObjectMetrics } from "../store/metrics.ts";
import { type DenseReport, lossFigure, measureFigure, pictureSection, share } from "./dense_parts.ts";
import { lossTermFigures } from "./loss_terms.ts";
import { factList, type Html, html, keyFigures, renderPage, table } from "./page.ts";

/** What the report is made from. */
export interface DetectionReport
  extends DenseReport<{ readonly boxes: CocoMetrics; readonly masks?: CocoMetrics }, ObjectMetrics> {
  readonly task: string;
  /** Ids are those of the measures by category. */
  readonly classes: readonly { readonly id: number; readonly name: string }[];
}

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
      <div class="pair">${await lossFigure(
        report.steps,
        "The sum of the losses below.",
      )}${await measureFigure(report.evaluations, [
        ["box AP", ({ boxAP }) => boxAP],
        ["mask AP", ({ maskAP }) => maskAP],
      ])}</div>
      ${await lossTermFigures(report.steps, "A part of the loss.") ?? false} ${numberTable(
        report,
      )} ${classTable(report)} ${pictureSection(
        report.pictures,
        "The image, its true objects, and those detected with a score of 0.5 or more.",
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

/** Of a single class the numbers are said already. */
function classTable({ classes, metrics: { boxes, masks } }: DetectionReport): Html | false {
  if (classes.length < 2) return false;
  const of = ({ perCategory }: CocoMetrics) => new Map(perCategory.map((one) => [one.categoryId, one]));
  const [box, mask] = [of(boxes), masks && of(masks)];
  const rows = classes.map(({ id, name }) => ({ name, box: box.get(id), mask: mask?.get(id) }))
    .sort((a, b) => (b.box?.AP ?? -1) - (a.box?.AP ?? -1));
  return html`<section><h2>By class</h2>${
    table(
      "By class, the best first",
      [
        { label: "Class", numeric: false },
        ...["Box AP", "AP50", "AP75", ...mask ? ["Mask AP"] : []].map((label) => ({ label, numeric: true })),
      ],
      rows.map(({ name, box, mask: own }) => [
        name,
        ...[box?.AP, box?.AP50, box?.AP75, ...mask ? [own?.AP] : []].map((value) => share(value ?? null)),
      ]),
    )
  }</section>`;
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
