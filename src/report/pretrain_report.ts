/**
 * The report of a pretraining run: what was trained, how far it came, and the curves.
 */

import { formatDuration } from "../duration.ts";
import { median } from "../median.ts";
import { progressSentence } from "../evaluate/progress.ts";
import { qualityWarnings } from "../evaluate/verdict.ts";
import type { NeighbourSheet } from "../pretrain/neighbours.ts";
import {
  isEvaluation,
  isKnn,
  isStep,
  type KnnMetrics,
  type MetricsLine,
  type StepMetrics,
} from "../store/metrics.ts";
import {
  type ChartSize,
  colors,
  halfSizes,
  type Level,
  line,
  linePointLimit,
  type Point,
  renderLineCharts,
  stepAxis,
  wholeSizes,
} from "./charts.ts";
import { fillingNote, guessing, lossTermFigures } from "./loss_terms.ts";
import { neighbourSection } from "./neighbour_section.ts";
import { measuredSpreads, spreadFigure, spreadSection } from "./spread_section.ts";
import { formatInteger, formatMeasure, formatPercent, formatPoints, formatShort } from "../number_format.ts";
import { factList, figure, type Html, html, type KeyFigure, keyFigures, renderPage, table } from "./page.ts";
import { smooth, smoothingRadius, thin } from "./series.ts";

/** An architecture's id and cost; `macs` at the run's image size. */
export interface ArchitectureCost {
  readonly arch: string;
  readonly macs: number;
  readonly params: number;
}

/** What the metrics do not tell about a run. */
export interface PretrainSummary {
  /** The page's title, e.g. the run folder's name. */
  readonly title: string;
  /** The version of Scion. */
  readonly version: string;
  /** The adapter, as it names itself. */
  readonly device: string;
  /** The data specification, e.g. `synthetic:2048`, the number of images trained on, and their classes if known. */
  readonly data: { readonly spec: string; readonly images: number; readonly classes?: number };
  /** Height and width of the images that the network sees. */
  readonly imageSize: number;
  readonly space: {
    readonly architectures: number;
    readonly smallest: ArchitectureCost;
    readonly largest: ArchitectureCost;
  };
  /** What the loss is; default InfoNCE. */
  readonly lossName?: string;
  /** Steps and epochs done. */
  readonly steps: number;
  readonly epochs: number;
  /** Wall time of the training, evaluations included. */
  readonly seconds: number;
  /** Keys in the queue, where the loss is InfoNCE over them: guessing has the loss ln(queue + 1). */
  readonly queue?: number;
  /** Further settings worth reading, in the order in which they are listed. */
  readonly settings: readonly (readonly [label: string, value: string])[];
}

/** What {@linkcode renderPretrainReport} needs; `config` is the resolved configuration, printed as it is. */
export interface PretrainReport {
  readonly config: object;
  readonly metrics: readonly MetricsLine[];
  /** Images with their nearest, where they were looked for. */
  readonly neighbours?: NeighbourSheet;
  readonly summary: PretrainSummary;
}

/**
 * Renders the report as one self-contained HTML page: no scripts, nothing loaded. A run of no steps, without labels
 * or with a single architecture leaves out what it has not measured and says so.
 */
export async function renderPretrainReport(
  { config, metrics, neighbours, summary }: PretrainReport,
): Promise<string> {
  const knn = metrics.filter(isKnn);
  const steps = metrics.filter(isStep);
  const evaluations = metrics.filter(isEvaluation);
  const spreads = measuredSpreads(evaluations);
  const warnings = qualityWarnings(metrics).map((text) => html`<p class="warning">${text}</p>`);
  const body = html`
    ${keyFigures([...pretrainFigures(steps, knn, summary), ...spreadFigure(spreads)])}
    ${warnings.length > 0 && html`<section>${warnings}</section>`}
    ${neighbours && neighbours.rows.length > 0 && neighbourSection(neighbours)}
    ${await lossFigure(steps, summary)}
    ${await lossTermFigures(steps, "Mean over all architectures, without its weight.", summary.queue)}
    ${await knnFigure(knn, summary)}
    ${await spreadSection(spreads, {
      evaluations,
      progress: progressSentence(metrics),
      architectures: summary.space.architectures,
    })}
    ${steps.length > 1 &&
      html`<div class="pair">${await throughputFigure(steps)}${await rateFigure(steps)}</div>`}
    <section><h2>What was trained</h2>${factList(facts(summary))}</section>
    ${knn.length > 0 && knnTable(knn)}
    <details>
      <summary>Configuration</summary>
      <pre>${JSON.stringify(config, null, 2)}</pre>
    </details>
  `;
  return renderPage({
    title: summary.title,
    kicker: "Scion pretraining report",
    lede: lede(summary),
    body,
    footer: `Written by Scion ${summary.version}.`,
  });
}

function lede({ data, space, imageSize, epochs, steps }: PretrainSummary): string {
  const network = space.architectures === 1
    ? `One network of ${formatShort(space.largest.macs)} MACs`
    : `An elastic network of ${formatInteger(space.architectures)} architectures, ` +
      `${formatShort(space.smallest.macs)} to ${formatShort(space.largest.macs)} MACs`;
  const images = `${formatInteger(data.images)} images at ${imageSize} × ${imageSize} pixels`;
  if (steps === 0) return `${network}, initialised and not trained yet. Its data: ${images}.`;
  const duration = `${formatInteger(epochs)} ${epochs === 1 ? "epoch" : "epochs"}`;
  return `${network}, pretrained without labels for ${duration} on ${images}.`;
}

function pretrainFigures(
  steps: readonly StepMetrics[],
  knn: readonly KnnMetrics[],
  summary: PretrainSummary,
): KeyFigure[] {
  const figures: KeyFigure[] = [];
  const firstKnn = knn.at(0), lastKnn = knn.at(-1), lastStep = steps.at(-1);
  if (firstKnn !== undefined && lastKnn !== undefined) {
    const gain = `${formatPoints(lastKnn.knn - firstKnn.knn)} points over untrained`;
    const note = firstKnn.step === 0 && knn.length > 1 ? gain : `epoch ${lastKnn.epoch}`;
    figures.push({ label: "kNN accuracy", value: formatPercent(lastKnn.knn), note });
  }
  if (lastStep !== undefined) {
    figures.push({
      label: "Loss, last logged",
      value: lastStep.loss.toFixed(3),
      note: `${steps[0].loss.toFixed(3)} at step ${formatInteger(steps[0].step)}`,
    });
  }
  const speed = median(steps.map((line) => line.imagesPerSecond));
  if (steps.length > 0) {
    figures.push({
      label: "Images per second",
      value: formatMeasure(speed),
      note: "median of the logged steps",
    });
  }
  figures.push({
    label: "Time",
    value: formatDuration(summary.seconds),
    note: `${formatInteger(summary.steps)} ${summary.steps === 1 ? "step" : "steps"}`,
  });
  return figures;
}

async function lossFigure(steps: readonly StepMetrics[], summary: PretrainSummary): Promise<Html> {
  const title = "Loss";
  if (steps.length < 2) {
    return absent(title, "Fewer than two steps were logged, so there is no curve to draw.");
  }
  const candidates = [
    { label: "all passes", color: colors.ink, value: (line: StepMetrics) => line.loss },
    { label: "largest architecture", color: colors.accent, value: (line: StepMetrics) => line.lossMax },
    { label: "smallest architecture", color: colors.orange, value: (line: StepMetrics) => line.lossMin },
    { label: "random architectures", color: colors.blue, value: (line: StepMetrics) => line.lossRandom },
  ];
  // With a single architecture its loss is the loss, and a second line would only cover the first.
  const single = steps.every((line) => line.lossMin === undefined && line.lossRandom === undefined);
  const series = (single ? candidates.slice(0, 1) : candidates)
    .map(({ value, ...rest }) => ({ ...rest, points: pointsOf(steps, value) }))
    .filter(({ points }) => points.length > 0);
  const drawn = (size: ChartSize) => {
    const thinned = series.map(({ points, color }) => ({ color, ...thin(points, linePointLimit(size)) }));
    const radius = smoothingRadius(thinned[0].points.length);
    const lines = radius === 0 ? thinned.map(({ points, color }) => line(points, color, 2)) : [
      ...thinned.map(({ points, color }) => line(points, color, 0.8, 0.4)),
      ...thinned.map(({ points, color }) => line(smooth(points, radius), color, 2.2)),
    ];
    return { lines, group: thinned[0].group, radius };
  };
  // A sum of several losses has no such level.
  const queue = steps[0].lossTerms === undefined ? summary.queue : undefined;
  const chart = await renderLineCharts(wholeSizes, (size) => ({
    description: `Loss over training steps: ${
      series.map(({ label, points }) =>
        `${label} from ${points[0].y.toFixed(2)} to ${points.at(-1)!.y.toFixed(2)}`
      ).join(", ")
    }.`,
    x: stepAxis,
    y: { title: summary.lossName ?? "InfoNCE loss", zero: false },
    lines: drawn(size).lines,
    levels: queue === undefined ? [] : [guessing(queue)],
  }));
  const { group, radius } = drawn(wholeSizes.wide);
  const caption = smoothingNote(group, radius) + (queue === undefined ? "" : ` ${fillingNote(queue)}`);
  return figure({ title, chart, legend: series, caption });
}

/** What one point of a thinned series is. */
function pointNote(group: number): string {
  return group === 1 ? "every logged step" : `means of ${group} logged steps`;
}

function smoothingNote(group: number, radius: number): string {
  if (radius === 0) return `The lines join ${pointNote(group)}, unsmoothed.`;
  const window = `their centred mean over ${2 * radius + 1} points`;
  return `Thin lines: ${pointNote(group)}. Thick lines: ${window}.`;
}

const knnSizes = { wide: { ...wholeSizes.wide, height: 320 }, narrow: wholeSizes.narrow };

async function knnFigure(knn: readonly KnnMetrics[], { data }: PretrainSummary): Promise<Html> {
  const title = "kNN accuracy on held-out images";
  if (knn.length === 0) return absent(title, "Not measured: the data have no labels, or evaluation was off.");
  if (knn.length === 1) {
    return absent(title, "Measured once, so there is no curve to draw; see the table below.");
  }
  const levels: Level[] = [];
  const pixels = knn[0].knnPixels;
  if (pixels !== undefined) {
    levels.push({ y: pixels, label: `raw pixels ${formatPercent(pixels)}`, side: "above" });
  }
  if (data.classes !== undefined) {
    const chance = 1 / data.classes;
    levels.push({ y: chance, label: `chance ${formatPercent(chance)}`, side: "below" });
  }
  const points = knn.map(({ epoch, knn }) => ({ x: epoch, y: knn }));
  const chart = await renderLineCharts(knnSizes, () => ({
    description: `kNN accuracy over epochs, from ${formatPercent(knn[0].knn)} to ${
      formatPercent(knn.at(-1)!.knn)
    }.`,
    x: { title: "epochs done", format: ",d", zero: false, tickMinStep: 1 },
    y: { title: "accuracy", format: ".0%", zero: true },
    lines: [{ ...line(points, colors.accent, 2.2), dots: knn.length <= 60 }],
    levels,
  }));
  const caption = `${formatInteger(knn[0].images)} held-out images, compared with ${
    formatInteger(knn[0].bank)
  } others by the network's features. Labels are used for this measurement only, never for training.`;
  return figure({ title, chart, caption });
}

async function throughputFigure(steps: readonly StepMetrics[]): Promise<Html> {
  const all = pointsOf(steps, (step) => step.imagesPerSecond);
  const middle = formatMeasure(median(all.map(({ y }) => y)));
  const chart = await renderLineCharts(halfSizes, (size) => ({
    description: `Images per second over training steps, median ${middle}.`,
    x: stepAxis,
    y: { title: "images per second", zero: true },
    lines: [line(thin(all, linePointLimit(size)).points, colors.blue, 1.5)],
  }));
  const { group } = thin(all, linePointLimit(halfSizes.wide));
  return figure({ title: "Throughput", chart, caption: `Line: ${pointNote(group)}, unsmoothed.` });
}

async function rateFigure(steps: readonly StepMetrics[]): Promise<Html> {
  const all = pointsOf(steps, ({ lr }) => lr);
  const chart = await renderLineCharts(halfSizes, (size) => ({
    description: `Learning rate over training steps, from ${all[0].y} to ${all.at(-1)!.y}.`,
    x: stepAxis,
    y: { title: "learning rate", zero: true },
    lines: [line(thin(all, linePointLimit(size)).points, colors.violet, 2)],
  }));
  const { group } = thin(all, linePointLimit(halfSizes.wide));
  return figure({ title: "Learning rate", chart, caption: `Line: ${pointNote(group)}.` });
}

function facts({ data, space, imageSize, device, settings }: PretrainSummary): [string, string][] {
  const cost = ({ arch, macs, params }: ArchitectureCost) =>
    `${arch}: ${formatShort(macs)}\u00a0MACs, ${formatShort(params)}\u00a0parameters`;
  const architectures: [string, string][] = space.architectures === 1
    ? [["Architecture", cost(space.largest)]]
    : [
      ["Search space", `${formatInteger(space.architectures)} architectures`],
      ["Largest", cost(space.largest)],
      ["Smallest", cost(space.smallest)],
    ];
  const classes = data.classes === undefined ? "" : `, ${formatInteger(data.classes)} classes`;
  return [
    ...architectures,
    ["Data", data.spec],
    ["Images", `${formatInteger(data.images)}${classes}`],
    ["Image size", `${imageSize} × ${imageSize}`],
    ["Device", device],
    ...settings.map(([label, value]): [string, string] => [label, value]),
  ];
}

function knnTable(knn: readonly KnnMetrics[]): Html {
  const columns = ["Epochs", "Steps", "kNN accuracy", "Change, points", "Images", "Bank"];
  const rows = knn.map((line, index) => [
    formatInteger(line.epoch),
    formatInteger(line.step),
    formatPercent(line.knn),
    index === 0 ? "" : formatPoints(line.knn - knn[index - 1].knn),
    formatInteger(line.images),
    formatInteger(line.bank),
  ]);
  const lines = table(
    "kNN accuracy by epoch",
    columns.map((label) => ({ label, numeric: true })),
    rows,
  );
  if (rows.length <= 30) return html`<section><h2>kNN by epoch</h2>${lines}</section>`;
  return html`<details><summary>kNN by epoch</summary>${lines}</details>`;
}

function absent(title: string, reason: string): Html {
  return html`
    <section>
      <h2>${title}</h2>
      <p class="absent">${reason}</p>
    </section>
  `;
}

function pointsOf(
  steps: readonly StepMetrics[],
  value: (line: StepMetrics) => number | undefined,
): Point[] {
  return steps.flatMap((line) => {
    const y = value(line);
    return y === undefined ? [] : [{ x: line.step, y }];
  });
}
