/** Charts of a loss's terms, where it is a weighted sum of several. */
import type { StepMetrics } from "../store/metrics.ts";
import { formatInteger } from "../number_format.ts";
import { colors, halfSizes, type Level, line, linePointLimit, renderLineCharts, stepAxis } from "./charts.ts";
import { figure, type Html, html } from "./page.ts";
import { thin } from "./series.ts";

const titles: Readonly<Record<string, string>> = {
  moco: "Momentum contrast",
  distillation: "Distance to the teacher",
  pixels: "Classes of pixels",
  auxiliary: "Auxiliary classifier",
  objectness: "Objectness of anchors",
  proposals: "Boxes of proposals",
  classes: "Classes of regions",
  boxes: "Boxes of regions",
  masks: "Masks of regions",
};
const units: Readonly<Record<string, string>> = { moco: "InfoNCE loss", distillation: "1 - cosine" };

/** The loss of momentum contrast whose network tells nothing apart. */
export function guessing(queue: number): Level {
  const loss = Math.log(queue + 1);
  return { y: loss, label: `guessing: ln(queue + 1) = ${loss.toFixed(2)}`, side: "above" };
}

/** Why the loss of momentum contrast rises before it falls. */
export function fillingNote(queue: number): string {
  return `MoCo's loss rises at first: the queue of ${
    formatInteger(queue)
  } keys begins with random ones, which are ` +
    "easy to tell from an image's own, and fills with keys of real images. Only after that does a falling loss mean " +
    "learning.";
}

/**
 * A chart for each term, side by side; nothing where the loss has but one.
 *
 * @param caption below each
 * @param queue keys of momentum contrast, where they are known
 */
export async function lossTermFigures(
  steps: readonly StepMetrics[],
  caption: string,
  queue?: number,
): Promise<Html | undefined> {
  const logged = steps.filter(({ lossTerms }) => lossTerms !== undefined);
  if (logged.length < 2) return undefined;
  const charts: Html[] = [];
  for (const name of Object.keys(logged[0].lossTerms!)) {
    const all = logged.map(({ step, lossTerms }) => ({ x: step, y: lossTerms![name] }));
    const title = titles[name] ?? name;
    const keys = name === "moco" ? queue : undefined;
    const chart = await renderLineCharts(halfSizes, (size) => ({
      description: `${title} over training steps, from ${all[0].y.toFixed(3)} to ${
        all.at(-1)!.y.toFixed(3)
      }.`,
      x: stepAxis,
      y: { title: units[name] ?? "loss", zero: false },
      lines: [line(thin(all, linePointLimit(size)).points, colors.accent, 2)],
      levels: keys === undefined ? [] : [guessing(keys)],
    }));
    charts.push(
      figure({ title, chart, caption: keys === undefined ? caption : `${caption} ${fillingNote(keys)}` }),
    );
  }
  return html`<div class="pair">${charts}</div>`;
}
