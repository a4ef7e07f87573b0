/** Charts of a loss's terms, where it is a weighted sum of several. */
import type { StepMetrics } from "../store/metrics.ts";
import { colors, renderLineChart } from "./charts.ts";
import { figure, type Html, html } from "./page.ts";
import { thin } from "./series.ts";

const titles: Readonly<Record<string, string>> = {
  moco: "Momentum contrast",
  distillation: "Distance to the teacher",
};
const units: Readonly<Record<string, string>> = { moco: "InfoNCE loss", distillation: "1 - cosine" };
const size = { width: 484, height: 260 };
const pointLimit = 1500;

/** A chart for each term, side by side; nothing where the loss has but one. */
export async function lossTermFigures(steps: readonly StepMetrics[]): Promise<Html | undefined> {
  const logged = steps.filter(({ lossTerms }) => lossTerms !== undefined);
  if (logged.length < 2) return undefined;
  const charts: Html[] = [];
  for (const name of Object.keys(logged[0].lossTerms!)) {
    const { points } = thin(
      logged.map(({ step, lossTerms }) => ({ x: step, y: lossTerms![name] })),
      pointLimit,
    );
    const title = titles[name] ?? name;
    const chart = await renderLineChart({
      ...size,
      description: `${title} over training steps, from ${points[0].y.toFixed(3)} to ${
        points.at(-1)!.y.toFixed(3)
      }.`,
      x: { title: "step", format: ",d", zero: true, tickMinStep: 1 },
      y: { title: units[name] ?? "loss", zero: false },
      lines: [{ points, color: colors.accent, width: 2, opacity: 1, dots: false }],
    });
    charts.push(figure({ title, chart, caption: "Mean over all architectures, without its weight." }));
  }
  return html`<div class="pair">${charts}</div>`;
}
