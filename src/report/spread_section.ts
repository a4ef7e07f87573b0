/** How features spread and agree, over a run: what it is watched by where there are no labels. */
import { immeasurable, spreadSentence } from "../evaluate/verdict.ts";
import type { AgreementMetrics, EvaluationMetrics, SpreadMetrics } from "../store/metrics.ts";
import {
  type ChartSizes,
  colors,
  halfSizes,
  line,
  type Point,
  renderLineCharts,
  wholeSizes,
} from "./charts.ts";
import { formatInteger, formatMeasure, formatPercent } from "../number_format.ts";
import { figure, type Html, html, type KeyFigure } from "./page.ts";

interface Measured {
  readonly epoch: number;
  readonly step: number;
  readonly spread: SpreadMetrics;
  readonly agreement: AgreementMetrics | undefined;
}

/** The evaluations that have a spread. */
export function measuredSpreads(evaluations: readonly EvaluationMetrics[]): Measured[] {
  return evaluations.flatMap(({ epoch, step, spread, agreement }) =>
    spread ? [{ epoch, step, spread, agreement }] : []
  );
}

/** The effective rank as a key figure. */
export function spreadFigure(measured: readonly Measured[]): KeyFigure[] {
  const last = measured.at(-1);
  if (last === undefined) return [];
  const { effectiveRank, dimension, images } = last.spread;
  const first = measured[0];
  const from = first.step === 0 && measured.length > 1
    ? `, from ${first.spread.effectiveRank.toFixed(1)} untrained`
    : "";
  return [{
    label: "Effective rank",
    value: effectiveRank.toFixed(1),
    note: `of ${formatInteger(Math.min(dimension, images))} directions${from}`,
  }];
}

/** What the section needs beside the evaluations. */
export interface SpreadContext {
  /** All of the run's evaluations: those whose spread could not be measured, too. */
  readonly evaluations: readonly EvaluationMetrics[];
  /** Whether training still gains, in a sentence; absent where nobody can tell. */
  readonly progress: string | undefined;
  /** How many architectures the network has. */
  readonly architectures: number;
}

interface Curve {
  readonly title: string;
  readonly axis: string;
  readonly color: string;
  readonly caption: string;
  readonly value: (line: Measured) => number | null | undefined;
  /** See `Axis.format`. */
  readonly format?: string;
}

const curves: readonly Curve[] = [
  {
    title: "Effective rank",
    axis: "effective rank",
    color: colors.accent,
    caption:
      "How many directions the features use: the exponential of the entropy of their singular values. It should stay far from 1.",
    value: ({ spread }) => spread.effectiveRank,
  },
  {
    title: "Mean cosine of two images",
    axis: "mean cosine of two images",
    color: colors.orange,
    caption: "1 would mean that all images look the same to the network.",
    value: ({ spread }) => spread.meanCosine,
  },
  {
    title: "Alignment of two views",
    axis: "mean squared distance",
    color: colors.blue,
    caption:
      "Between features, of length one, of two augmented views of a training image, the same views each time. Lower is " +
      "closer; 0 with a high mean cosine is a collapse.",
    value: ({ agreement }) => agreement?.alignment,
  },
  {
    title: "Uniformity",
    axis: "log of mean exp(−2 distance²)",
    color: colors.violet,
    caption:
      "How evenly features of length one cover the sphere. Lower is more even; 0 means a single point.",
    value: ({ spread }) => spread.uniformity,
  },
  {
    title: "Smallest subnet and teacher",
    axis: "mean cosine of projections",
    color: colors.accent,
    caption:
      "The smallest architecture against the momentum encoder at the largest, on the same training images, as a search " +
      "scores subnets. Higher is more alike.",
    value: ({ agreement }) => agreement?.smallest,
  },
  {
    title: "Dead or collapsed dimensions",
    axis: "share of the dimensions",
    color: colors.orange,
    caption:
      "The larger of two shares: dimensions that never change, and directions that carry less than a millionth of the " +
      "features' squared length.",
    value: ({ spread: { deadShare, collapsedShare = 0 } }) => Math.max(deadShare, collapsedShare),
    format: ".1%",
  },
];

/** The section: sentences on what the measures mean, and their curves. */
export async function spreadSection(
  measured: readonly Measured[],
  { evaluations, progress, architectures }: SpreadContext,
): Promise<Html | false> {
  const last = evaluations.findLast(({ spread }) => spread !== undefined);
  if (last === undefined) return false;
  const unknown = last.spread === null &&
    html`
      <p
        class="verdict">At the last evaluation, after epoch ${formatInteger(
          last.epoch,
        )}, nothing could be measured: ${immeasurable}.</p>
    `;
  return html`
    <section class="spread">
      <h2>Spread of the features</h2>
      ${unknown}
      ${sentences(measured, progress)}
      ${agreementNote(measured, architectures)}
    </section>
    ${await drawnCurves(measured)}
  `;
}

function sentences(measured: readonly Measured[], progress: string | undefined): Html | false {
  const last = measured.at(-1);
  if (last === undefined) return false;
  const untrained = measured[0].step === 0 ? measured[0].spread : undefined;
  const { images, dimension, effectiveRank, meanCosine, deadShare, collapsedShare, uniformity } = last.spread;
  const further = collapsedShare === undefined || uniformity === undefined
    ? ""
    : `, directions that hardly matter ${formatPercent(collapsedShare)}, uniformity ${signed(uniformity)}`;
  return html`
    <p class="verdict">${spreadSentence(last.spread, untrained)}</p>
    ${progress !== undefined && html`<p class="verdict">${progress}</p>`}
    <p class="caption">
      Of ${formatInteger(images)} images and ${formatInteger(dimension)} features each: effective rank
      ${effectiveRank.toFixed(1)}, mean cosine of two images ${meanCosine.toFixed(
        3,
      )}, dimensions that never change
      ${formatPercent(deadShare)}${further}.
    </p>
  `;
}

/** What was compared with what, and why something was not. */
function agreementNote(measured: readonly Measured[], architectures: number): Html | false {
  const last = measured.at(-1);
  // A run of an earlier version, which did not look.
  if (last?.spread.uniformity === undefined) return false;
  const { images, alignment, smallest } = last.agreement ?? {};
  const told = (value: number | null | undefined, reason: string) =>
    typeof value === "number"
      ? formatMeasure(value)
      : value === null
      ? `not measurable (${immeasurable})`
      : `left out (${reason})`;
  const reason = architectures === 1 ? "the network has one architecture" : "there is no momentum encoder";
  return html`
    <p class="caption">
      ${images !== undefined && `Of ${formatInteger(images)} training images: `}alignment of two views
      ${told(
        alignment,
        "views of an image are not augmented",
      )}, likeness of the smallest subnet to the teacher
      ${told(smallest, reason)}.
    </p>
  `;
}

/** In pairs; the last of an odd number takes the whole width. */
async function drawnCurves(measured: readonly Measured[]): Promise<Html[]> {
  const drawn = curves.flatMap((curve) => {
    const points = measured.flatMap((line) => {
      const y = curve.value(line);
      return typeof y === "number" ? [{ x: line.epoch, y }] : [];
    });
    // A share that is always 0 is told in words.
    const nothing = curve === curves.at(-1) && points.every(({ y }) => y === 0);
    return points.length < 2 || nothing ? [] : [{ curve, points }];
  });
  const rows: Html[] = [];
  for (let at = 0; at < drawn.length; at += 2) {
    const row = drawn.slice(at, at + 2);
    const figures: Html[] = [];
    for (const one of row) figures.push(await drawnCurve(one, row.length === 2 ? halfSizes : loneSizes));
    rows.push(row.length === 2 ? html`<div class="pair">${figures}</div>` : figures[0]);
  }
  return rows;
}

const loneSizes = { wide: { ...wholeSizes.wide, height: 260 }, narrow: halfSizes.narrow };

async function drawnCurve(
  { curve: { title, axis, color, caption, format }, points }: { curve: Curve; points: Point[] },
  sizes: ChartSizes,
): Promise<Html> {
  const [from, to] = [points[0].y, points.at(-1)!.y].map((value) => value.toFixed(2));
  const chart = await renderLineCharts(sizes, () => ({
    description: `${title} over epochs, from ${from} to ${to}.`,
    x: { title: "epochs done", format: ",d", zero: false, tickMinStep: 1 },
    y: { title: axis, zero: true, ...(format !== undefined && { format }) },
    lines: [{ ...line(points, color, 2.2), dots: points.length <= 60 }],
  }));
  return figure({ title, chart, caption });
}

function signed(value: number): string {
  return value.toFixed(2).replace("-", "−");
}
