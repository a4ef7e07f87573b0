/** What reports of networks with a head for a dense task share: how losses and measures went, and pictures. */
import { formatPercent } from "../number_format.ts";
import type { StepMetrics } from "../store/metrics.ts";
import { colors, halfSizes, line, linePointLimit, type Point, renderLineCharts, stepAxis } from "./charts.ts";
import { figure, type Html, html } from "./page.ts";
import { smooth, smoothingRadius, thin } from "./series.ts";

/** What such a report is made from. */
export interface DenseReport<Metrics, Line> {
  readonly title: string;
  readonly version: string;
  readonly device: string;
  readonly head: string;
  readonly arch: string;
  readonly images: { readonly train: number; readonly test: number };
  readonly metrics: Metrics;
  readonly steps: readonly StepMetrics[];
  readonly evaluations: readonly Line[];
  readonly pictures: readonly DensePicture[];
  readonly settings: readonly (readonly [label: string, value: string])[];
}

/** A test image with the truth and the predictions drawn over it; `data:` addresses. */
export interface DensePicture {
  /** The image's file. */
  readonly name: string;
  readonly image: string;
  readonly truth: string;
  readonly prediction: string;
}

/** A share, or a dash where nothing counted. */
export function share(value: number | null): string {
  return value === null ? "–" : formatPercent(value);
}

/** The loss over steps. @param caption what it is the sum of */
export async function lossFigure(steps: readonly StepMetrics[], caption: string): Promise<Html | false> {
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
  return figure({ title: "Loss", chart, caption });
}

/**
 * At most two measures over steps, as shares; those that were not taken twice are left out.
 *
 * @param measures label and value of each
 */
export async function measureFigure<Line extends { readonly step: number }>(
  evaluations: readonly Line[],
  measures: readonly (readonly [label: string, value: (line: Line) => number | null | undefined])[],
): Promise<Html | false> {
  const series = measures.map(([label, value], at) => ({
    label,
    color: [colors.accent, colors.blue][at],
    points: evaluations.flatMap((one): Point[] => {
      const y = value(one);
      return typeof y === "number" ? [{ x: one.step, y }] : [];
    }),
  })).filter(({ points }) => points.length > 1);
  if (series.length === 0) return false;
  const [{ label, points: first }] = series;
  const chart = await renderLineCharts(halfSizes, () => ({
    description: `${label[0].toUpperCase()}${label.slice(1)} over steps, to ${share(first.at(-1)!.y)}.`,
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

/** Pictures three by three: image, truth, prediction. @param legend before them, where colours need one */
export function pictureSection(
  pictures: readonly DensePicture[],
  caption: string,
  legend: Html | false = false,
): Html | false {
  if (pictures.length === 0) return false;
  return html`<section>
    <h2>Test images</h2>
    ${legend}
    ${
    pictures.map(({ name, image, truth, prediction }) =>
      html`<div class="triple">${
        ([[image, "image"], [truth, "truth"], [prediction, "prediction"]] as const).map(([address, what]) =>
          html`<img src="${address}" alt="${name}: ${what}" title="${name}: ${what}">`
        )
      }</div>`
    )
  }
    <p class="caption">${caption}</p>
  </section>`;
}
