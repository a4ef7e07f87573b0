/** What each choice of the search space contributes: scores by stem width, and by width and depth of each stage. */

import { parseArchitecture } from "../elastic/resnet_architecture.ts";
import { quantile } from "../quantile.ts";
import { colors, renderChart } from "./charts.ts";
import { type Html, html } from "./page.ts";
import { formatDifference, scoreDomain, type ScoreFormat } from "./scores.ts";
import type { SearchCandidate } from "./search_data.ts";

/** The scores of the candidates that share one choice. */
export interface ChoiceScores {
  /** The width or depth chosen. */
  readonly choice: number;
  readonly count: number;
  readonly mean: number;
  /** Bounds of the middle half of the scores. */
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
}

/** A dimension of the search space, with its choices in ascending order. */
export interface Dimension {
  readonly name: string;
  readonly choices: readonly ChoiceScores[];
}

/** More choices than this take two places of the row. */
const narrowChoices = 6;

/** The scores by choice of every dimension in which the candidates differ: the stem, then widths, then depths. */
export function scoresByChoice(candidates: readonly SearchCandidate[]): Dimension[] {
  const parsed = candidates.map(({ arch, score }) => ({ ...parseArchitecture(arch), score }));
  const stages = parsed[0].widths.map((_, stage) => stage);
  const dimensions = [
    { name: "Stem width", choice: ({ stem }: typeof parsed[0]) => stem },
    ...stages.map((stage) => ({
      name: `Width, stage ${stage + 1}`,
      choice: ({ widths }: typeof parsed[0]) => widths[stage],
    })),
    ...stages.map((stage) => ({
      name: `Depth, stage ${stage + 1}`,
      choice: ({ depths }: typeof parsed[0]) => depths[stage],
    })),
  ];
  return dimensions.map(({ name, choice }) => ({
    name,
    choices: [...Map.groupBy(parsed, choice)]
      .sort(([a], [b]) => a - b)
      .map(([value, members]) => summarise(value, members.map(({ score }) => score))),
  })).filter(({ choices }) => choices.length > 1);
}

function summarise(choice: number, scores: readonly number[]): ChoiceScores {
  const sorted = Float64Array.from(scores).sort();
  return {
    choice,
    count: sorted.length,
    mean: sorted.reduce((sum, score) => sum + score, 0) / sorted.length,
    lowerQuartile: quantile(sorted, 0.25),
    upperQuartile: quantile(sorted, 0.75),
  };
}

/** The section of small charts, one per dimension, all with the same range of scores. */
export async function choiceSection(dimensions: readonly Dimension[], format: ScoreFormat): Promise<Html> {
  const all = dimensions.flatMap(({ choices }) => choices);
  const low = Math.min(...all.map(({ mean, lowerQuartile }) => Math.min(mean, lowerQuartile)));
  const high = Math.max(...all.map(({ mean, upperQuartile }) => Math.max(mean, upperQuartile)));
  const panels = await Promise.all(dimensions.map(async ({ name, choices }) => {
    const gain = formatDifference(choices.at(-1)!.mean - choices[0].mean, format);
    const long = choices.length > narrowChoices;
    const chart = await choiceChart({ name, choices }, scoreDomain(low, high), long ? 392 : 184, format);
    return html`
      <div class="${long ? "panel long" : "panel"}">
        <h3>${name} <span class="gain">${gain}</span></h3>
        ${chart}
      </div>
    `;
  }));
  return html`
    <section>
      <h2>What each choice contributes</h2>
      <div class="panels">${panels}</div>
      <p class="caption">
        Dots: mean score of the evaluated architectures with that choice, whatever their other choices. Bars: the
        middle half of their scores. The signed number is the mean of the largest choice less that of the smallest; where
        it is small, MACs can be saved at little loss.
      </p>
    </section>
  `;
}

async function choiceChart(
  { name, choices }: Dimension,
  domain: [number, number],
  width: number,
  format: ScoreFormat,
): Promise<Html> {
  const x = {
    field: "choice",
    type: "ordinal" as const,
    axis: {
      title: null,
      labelAngle: 0,

      ticks: false,
      labelOverlap: choices.length > narrowChoices,
      labelFontSize: 12,
    },
  };
  const y = (field: string) => ({
    field,
    type: "quantitative" as const,
    scale: { domain, nice: true, zero: false },
    axis: { title: null, tickCount: 4, labelFontSize: 12 },
  });
  return await renderChart(
    {
      width,
      height: 150,
      padding: { left: 0, right: 2, top: 8, bottom: 2 },
      autosize: { type: "fit", contains: "padding" },
      data: { values: [...choices] },
      layer: [
        {
          mark: { type: "rule", color: colors.accent, strokeWidth: 7, strokeCap: "butt", opacity: 0.28 },
          encoding: { x, y: y("lowerQuartile"), y2: { field: "upperQuartile" } },
        },
        {
          mark: { type: "line", color: colors.accent, strokeWidth: 1.5 },
          encoding: { x, y: y("mean") },
        },
        {
          mark: { type: "point", filled: true, color: colors.accent, size: 42, opacity: 1 },
          encoding: { x, y: y("mean") },
        },
      ],
    },
    `${name}: mean score ${choices.map(({ choice, mean }) => `${format(mean)} for ${choice}`).join(", ")}.`,
  );
}
