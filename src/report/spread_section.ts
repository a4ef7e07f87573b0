/** How far the features spread, over a run: what it is watched by where there are no labels. */
import { spreadSentence } from "../evaluate/verdict.ts";
import type { EvaluationMetrics, SpreadMetrics } from "../store/metrics.ts";
import { colors, halfSizes, line, renderLineCharts } from "./charts.ts";
import { formatInteger, formatPercent } from "../number_format.ts";
import { figure, type Html, html, type KeyFigure } from "./page.ts";

interface Measured {
  readonly epoch: number;
  readonly step: number;
  readonly spread: SpreadMetrics;
}

/** The evaluations that have a spread. */
export function measuredSpreads(evaluations: readonly EvaluationMetrics[]): Measured[] {
  return evaluations.flatMap(({ epoch, step, spread }) => spread ? [{ epoch, step, spread }] : []);
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

/** The section: a sentence on what the spread means, and its curves. */
export async function spreadSection(measured: readonly Measured[]): Promise<Html | false> {
  const last = measured.at(-1);
  if (last === undefined) return false;
  const untrained = measured[0].step === 0 ? measured[0].spread : undefined;
  const { images, dimension, effectiveRank, meanCosine, deadShare } = last.spread;
  const axis = { title: "epochs done", format: ",d", zero: false, tickMinStep: 1 };
  const curve = async (
    title: string,
    value: (spread: SpreadMetrics) => number,
    color: string,
    caption: string,
    format?: string,
  ) => {
    const points = measured.map(({ epoch, spread }) => ({ x: epoch, y: value(spread) }));
    const [from, to] = [points[0].y, points.at(-1)!.y].map((value) => value.toFixed(2));
    const chart = await renderLineCharts(halfSizes, () => ({
      description: `${title} over epochs, from ${from} to ${to}.`,
      x: axis,
      y: { title: title.toLowerCase(), zero: true, ...(format !== undefined && { format }) },
      lines: [{ ...line(points, color, 2.2), dots: points.length <= 60 }],
    }));
    return figure({ title, chart, caption });
  };
  const curves = measured.length > 1 && html`<div class="pair">${await curve(
    "Effective rank",
    (spread) => spread.effectiveRank,
    colors.accent,
    "How many directions the features use: the exponential of the entropy of their singular values. It should stay far from 1.",
  )}${await curve(
    "Mean cosine of two images",
    (spread) => spread.meanCosine,
    colors.orange,
    "1 would mean that all images look the same to the network.",
  )}</div>`;
  return html`
    <section class="spread">
      <h2>Spread of the features</h2>
      <p class="verdict">${spreadSentence(
        last.spread,
        untrained,
      )}</p>
      <p class="caption">
        Of ${formatInteger(images)} images and ${formatInteger(dimension)} features each: effective rank
        ${effectiveRank.toFixed(1)}, mean cosine of two images ${meanCosine.toFixed(
          3,
        )}, dimensions that never change
        ${formatPercent(deadShare)}.
      </p>
    </section>
    ${curves}
  `;
}
