/** Charts of scores over measured times: one for single images, one for the search's batch. */

import { formatInteger, formatMeasure, formatQuartiles } from "../number_format.ts";
import { frontier } from "../search/frontier.ts";
import type { Latency } from "../search/latency.ts";
import {
  type ChartSize,
  colors,
  framed,
  halfSizes,
  type Placement,
  renderBoth,
  renderChart,
} from "./charts.ts";
import { thinCrowds } from "./crowds.ts";
import { figure, type Html, html } from "./page.ts";
import { pointLimit } from "./score_chart.ts";
import { scoreDomain, type ScoreFormat } from "./scores.ts";
import type { SearchCandidate, SearchReport } from "./search_data.ts";

const sizes = {
  wide: { ...halfSizes.wide, height: 320 },
  narrow: { ...halfSizes.narrow, height: 280 },
};

/** A candidate with its time for batches of one size. */
interface Timed {
  readonly candidate: SearchCandidate;
  readonly time: Latency;
}

/** How a batch is called in titles: `single images` or `batches of 64`. */
function batchName(batch: number): string {
  return batch === 1 ? "single images" : `batches of ${formatInteger(batch)}`;
}

/** Renders a chart for each size of batch that was measured; nothing where none was. */
export async function timeSection(report: SearchReport, format: ScoreFormat): Promise<Html | false> {
  const measured = report.candidates.filter(({ latency }) => latency !== undefined);
  if (measured.length < 2) return false;
  const batches = measured[0].latency!.length;
  const charts = await Promise.all(Array.from({ length: batches }, (_, index) =>
    timeFigure(
      measured.map((candidate) => ({ candidate, time: candidate.latency![index] })),
      format,
    )));
  return html`<div class="pair">${charts}</div>`;
}

async function timeFigure(
  timed: readonly Timed[],
  format: ScoreFormat,
): Promise<Html> {
  const times = new Map(timed.map(({ candidate, time }) => [candidate, time]));
  const cost = (candidate: SearchCandidate) => times.get(candidate)!.msPerImage;
  const candidates = timed.map(({ candidate }) => candidate);
  const ascending = frontier(candidates, cost);
  const singled = new Set(ascending);
  const thinned = (candidates: readonly SearchCandidate[], size: ChartSize) =>
    thinCrowds(candidates, size, pointLimit(size) / 2, cost).map(({ candidate }) => candidate);
  const others = thinned(candidates.filter((candidate) => !singled.has(candidate)), sizes.wide);
  const fewer = thinned(others, sizes.narrow);
  const { batch, rounds } = timed[0].time;
  const [first, last] = [ascending[0], ascending.at(-1)!];
  const describe = (candidate: SearchCandidate) => {
    const { msPerImage, lowerQuartile, upperQuartile } = times.get(candidate)!;
    return `${candidate.arch}: score ${format(candidate.score)}, ${
      formatQuartiles(msPerImage, lowerQuartile, upperQuartile)
    } ms`;
  };
  const chart = await renderBoth(sizes, (size) =>
    renderChart(
      timeSpec(timed, size),
      `Score over milliseconds an image of ${formatInteger(timed.length)} architectures, for ${
        batchName(batch)
      }. The ` +
        `frontier rises from ${format(first.score)} at ${formatMeasure(cost(first))} ms to ${
          format(last.score)
        } at ` +
        `${formatMeasure(cost(last))} ms.`,
      (placement) =>
        timeMarks(
          { others: size === sizes.wide ? others : fewer, ascending, times },
          size === sizes.wide && describe,
          placement,
        ),
    ));
  return figure({
    title: `Score over time, ${batchName(batch)}`,
    chart,
    caption:
      `Points: medians of ${rounds} rounds in which the architectures took turns; bars: their quartiles, the noise ` +
      "of this machine. Line: the best score up to this time." +
      (others.length + ascending.length < timed.length
        ? " Where many lie on one another, one stands for them."
        : ""),
  });
}

/** The axes; the marks are laid over them. */
function timeSpec(timed: readonly Timed[], size: ChartSize) {
  const extent = (values: readonly number[]) =>
    [
      values.reduce((a, b) => Math.min(a, b)),
      values.reduce((a, b) => Math.max(a, b)),
    ] as const;
  const [fastest, slowest] = extent(timed.flatMap(({ time: { lowerQuartile, upperQuartile } }) => [
    lowerQuartile,
    upperQuartile,
  ]));
  const margin = 0.04 * (slowest - fastest) || 0.1 * slowest;
  return {
    ...framed(size),
    data: { values: [] },
    mark: "point" as const,
    encoding: {
      x: {
        field: "time",
        type: "quantitative" as const,
        scale: { domain: [fastest - margin, slowest + margin], nice: false, zero: false },
        axis: { title: "milliseconds per image", tickCount: Math.round(size.width / 90) },
      },
      y: {
        field: "score",
        type: "quantitative" as const,
        scale: {
          domain: scoreDomain(...extent(timed.map(({ candidate }) => candidate.score))),
          nice: true,
          zero: false,
        },
        axis: { title: "score", tickCount: Math.round(size.height / 50) },
      },
    },
  };
}

/**
 * Bars of quartiles, the stair of the frontier, and the points.
 *
 * @param describe what hovering shows, where there is anything to hover with
 */
function timeMarks(
  { others, ascending, times }: {
    others: readonly SearchCandidate[];
    ascending: readonly SearchCandidate[];
    times: ReadonlyMap<SearchCandidate, Latency>;
  },
  describe: false | ((candidate: SearchCandidate) => string),
  { x, y }: Placement,
): Html {
  const at = (candidate: SearchCandidate) => [
    x(times.get(candidate)!.msPerImage).toFixed(1),
    y(candidate.score).toFixed(1),
  ];
  const bar = (candidate: SearchCandidate) => {
    const { lowerQuartile, upperQuartile } = times.get(candidate)!;
    return `M${x(lowerQuartile).toFixed(1)},${y(candidate.score).toFixed(1)}H${x(upperQuartile).toFixed(1)}`;
  };
  const dot = (candidate: SearchCandidate) => {
    const [cx, cy] = at(candidate);
    return html`
      <circle cx="${cx}" cy="${cy}" r="4">
        ${describe && html`<title>${describe(candidate)}</title>`}
      </circle>
    `;
  };
  const [first, ...rest] = ascending.map(at);
  const stair = `M${first}${rest.map(([cx, cy]) => `H${cx}V${cy}`).join("")}`;
  return html`
    <path class="bars" d="${others.map(bar).join("")}" stroke="${colors.blue}" />
    <path class="bars" d="${ascending.map(bar).join("")}" stroke="${colors.accent}" />
    <path class="frontier" d="${stair}" stroke="${colors.accent}" />
    <g class="points" fill="${colors.blue}" fill-opacity="0.6">${others.map(dot)}</g>
    <g class="points" fill="${colors.accent}">${ascending.map(dot)}</g>
  `;
}
