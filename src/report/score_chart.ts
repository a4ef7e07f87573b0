/**
 * The chart of scores over MACs: the evaluated architectures, the frontier, and the best of each group. Hovering over
 * a point shows its architecture, without a script.
 */

import type { TopLevelSpec } from "vega-lite";
import {
  type ChartSize,
  type ChartSizes,
  colors,
  framed,
  type Placement,
  renderBoth,
  renderChart,
  shortLabels,
  wholeSizes,
} from "./charts.ts";
import { type CrowdPoint, thinCrowds } from "./crowds.ts";
import { formatInteger, formatQuartiles, formatShort } from "../number_format.ts";
import { figure, type Html, html } from "./page.ts";
import { formatEnds, scoreDomain, type ScoreFormat } from "./scores.ts";
import type { Latency } from "../search/latency.ts";
import type { SearchCandidate, SearchReport } from "./search_data.ts";

/**
 * More points than this, for the width of a picture, are thinned before they are drawn; the frontier and the best of each
 * group are not counted.
 */
export function pointLimit({ width }: ChartSize): number {
  return Math.round(2000 * width / sizes.wide.width);
}

/** More groups than this get no line at each bound, since those would only hide the points. */
const boundLimit = 32;

const sizes: ChartSizes = { wide: { ...wholeSizes.wide, height: 440 }, narrow: wholeSizes.narrow };

/** Renders the chart with its title, legend and caption. `ascending` is the candidates' frontier. */
export async function scoreFigure(
  report: SearchReport,
  ascending: readonly SearchCandidate[],
  format: ScoreFormat,
): Promise<Html> {
  const { candidates, groups } = report;
  const singled = new Set([...ascending, ...groups.map(({ best }) => best)].map(({ arch }) => arch));
  const others = candidates.filter(({ arch }) => !singled.has(arch));
  const points = thinCrowds(others, sizes.wide, pointLimit(sizes.wide));
  // Those of the small picture are some of the large one's.
  const fewer = thinCrowds(points.map(({ candidate }) => candidate), sizes.narrow, pointLimit(sizes.narrow));
  const thinned = points.length < others.length;
  const top = ascending.at(-1)!;
  const chart = await renderBoth(sizes, (size) =>
    renderChart(
      scoreSpec(report, size),
      `Score over MACs of ${formatInteger(candidates.length)} architectures. The frontier rises from ${
        format(ascending[0].score)
      } at ${formatShort(ascending[0].macs)} to ${format(top.score)} at ${formatShort(top.macs)}.`,
      (placement) =>
        scoreMarks(report, {
          ...{ points: size === sizes.wide ? points : fewer, ascending, placement },
          // A telephone has nothing to hover with.
          describe: size === sizes.wide &&
            ((candidate, count) => describeCandidate(candidate, report.stages, format, count)),
        }),
    ));
  return figure({
    title: "Score over MACs",
    chart,
    legend: [
      {
        label: thinned ? "architectures, darker where more lie" : "architectures",
        color: colors.blue,
        shape: "dot",
      },
      { label: "frontier: the best score up to these MACs", color: colors.accent },
      {
        label: groups.some(({ best }) => best.interval)
          ? "best of its group, with the interval of its score"
          : "best of its group",
        color: colors.orange,
        shape: "ring",
      },
    ],
    caption: [
      "The score is the similarity to the largest architecture, not an accuracy.",
      groups.some(({ best }) => best.interval) &&
      "Bars hold 95 % of the scores that resampled images give; two that overlap may still be told apart, since both move with the images.",
      "On a wide screen, hover over a point to read its architecture.",
      groups.length <= boundLimit && "Vertical lines bound the groups.",
      thinned &&
      `Of ${formatInteger(candidates.length)} architectures ${
          formatInteger(points.length + singled.size)
        } are drawn: where many lie on one another, one stands for them. ` +
        "The frontier and the best of each group are complete.",
    ].filter(Boolean).join(" "),
  });
}

/** The axes, with the bounds of the groups; the marks are laid over them. */
function scoreSpec({ candidates, groups }: SearchReport, size: ChartSize): TopLevelSpec {
  const bounds = [...new Set(groups.flatMap(({ from, to }) => [from, to]))];
  const scores = [
    ...candidates.map(({ score }) => score),
    ...groups.flatMap(({ best }) => best.interval ?? []),
  ];
  // Groups of which nothing keeps to a time budget have no bounds here.
  const costs = [...bounds, ...candidates.map(({ macs }) => macs)];
  const cheapest = costs.reduce((a, b) => Math.min(a, b)), dearest = costs.reduce((a, b) => Math.max(a, b));
  const low = scores.reduce((a, b) => Math.min(a, b)), high = scores.reduce((a, b) => Math.max(a, b));
  return {
    ...framed(size),
    data: { values: [] },
    mark: "point",
    encoding: {
      x: {
        field: "macs",
        type: "quantitative",
        scale: { domain: [cheapest, dearest], nice: false, zero: false },
        axis: {
          title: "MACs per image",
          grid: groups.length <= boundLimit,
          values: groups.length <= boundLimit ? bounds : undefined,
          labelExpr: shortLabels,
          labelOverlap: true,
        },
      },
      y: {
        field: "score",
        type: "quantitative",
        scale: { domain: scoreDomain(low, high), nice: true, zero: false },
        axis: { title: "score", tickCount: Math.round(size.height / 50) },
      },
    },
  };
}

/** The points, the frontier and the rings, in this order. */
function scoreMarks(
  { groups }: SearchReport,
  { points, ascending, describe, placement: { x, y } }: {
    points: readonly CrowdPoint[];
    ascending: readonly SearchCandidate[];
    describe: false | ((candidate: SearchCandidate, count: number) => string);
    placement: Placement;
  },
): Html {
  const bests = groups.map(({ best }) => best);
  const onFrontier = new Set(ascending.map(({ arch }) => arch));
  const radius = points.length > 200 ? 3 : 4;
  const at = ({ macs, score }: SearchCandidate) => [x(macs).toFixed(1), y(score).toFixed(1)];
  const dot = (candidate: SearchCandidate, count = 1) => {
    const [cx, cy] = at(candidate);
    return html`
      <circle cx="${cx}" cy="${cy}" r="${radius}">
        ${describe && html`<title>${describe(candidate, count)}</title>`}
      </circle>
    `;
  };
  const crowds = byOpacity(points).map(([opacity, members]) =>
    html`<g fill-opacity="${opacity}">${members.map(({ candidate, count }) => dot(candidate, count))}</g>`
  );
  const rings = bests.map((candidate) => {
    const [cx, cy] = at(candidate);
    return html`
      <circle cx="${cx}" cy="${cy}" r="7" />
    `;
  });
  const bars = bests.flatMap(({ macs, interval }) =>
    interval ? `M${x(macs).toFixed(1)},${y(interval[0]).toFixed(1)}V${y(interval[1]).toFixed(1)}` : []
  );
  // A stair: what a budget buys stays the same until the next architecture on the frontier is affordable.
  const [first, ...rest] = ascending.map(at);
  const stair = `M${first}${rest.map(([cx, cy]) => `H${cx}V${cy}`).join("")}H${
    x(Math.max(groups.at(-1)!.to, ascending.at(-1)!.macs)).toFixed(1)
  }`;
  return html`
    <g class="points" fill="${colors.blue}">
      ${crowds}${bests.filter(({ arch }) => !onFrontier.has(arch)).map((candidate) => dot(candidate))}
    </g>
    ${bars.length > 0 && html`<path class="bars" d="${bars.join("")}" stroke="${colors.orange}" />`}
    <path class="frontier" d="${stair}" stroke="${colors.accent}" />
    <g class="points" fill="${colors.accent}">${ascending.map((candidate) => dot(candidate))}</g>
    <g class="rings" stroke="${colors.orange}">${rings}</g>
  `;
}

/** The median of a time with its quartiles. */
function formatTime({ msPerImage, lowerQuartile, upperQuartile }: Latency): string {
  return formatQuartiles(msPerImage, lowerQuartile, upperQuartile);
}

/** Points by opacity: crowds darker, in one class per fourfold number of members. */
function byOpacity(points: readonly CrowdPoint[]): [number, CrowdPoint[]][] {
  const crowded = points.some(({ count }) => count > 1);
  const classes = crowded ? [0.3, 0.5, 0.7, 0.9] : [0.6];
  const groups = Map.groupBy(
    points,
    ({ count }) => classes[Math.min(classes.length - 1, Math.floor(Math.log2(count) / 2))],
  );
  return [...groups].sort(([a], [b]) => a - b);
}

/** What hovering over a candidate's point shows, a line a fact. */
function describeCandidate(
  { arch, macs, params, score, interval, tiedWithBest, scorePerStage, latency = [] }: SearchCandidate,
  stages: readonly string[],
  format: ScoreFormat,
  count: number,
): string {
  return [
    arch,
    `score ${format(score)}${interval ? ` (${formatEnds(interval, format)})` : ""}`,
    tiedWithBest && "cannot be told from the highest score of its group",
    stages.length > 1 && stages.map((stage, index) => `${stage} ${format(scorePerStage[index])}`).join(" · "),
    `${formatShort(macs)} MACs · ${formatShort(params)} parameters`,
    ...latency.map((time) => `${formatTime(time)} ms per image in batches of ${time.batch}`),
    count > 1 && `stands for ${formatInteger(count)} architectures here`,
  ].filter(Boolean).join("\n");
}
