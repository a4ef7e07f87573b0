/**
 * The chart of scores over MACs: the evaluated architectures, the frontier, and the best of each group. Hovering over
 * a point shows its architecture, without a script.
 */

import type { TopLevelSpec } from "vega-lite";
import { colors, type Placement, renderChart } from "./charts.ts";
import { type CrowdPoint, thinCrowds } from "./crowds.ts";
import { figure, formatCount, formatInteger, type Html, html } from "./page.ts";
import type { ScoreFormat } from "./scores.ts";
import type { SearchCandidate, SearchReport } from "./search_data.ts";

/** More points than this are thinned before they are drawn; the frontier and the best of each group are not counted. */
const pointLimit = 2000;

/** More groups than this get no line at each bound, since those would only hide the points. */
const boundLimit = 32;

const size = { width: 1016, height: 440 };

/** Renders the chart with its title, legend and caption. `ascending` is the candidates' frontier. */
export async function scoreFigure(
  report: SearchReport,
  ascending: readonly SearchCandidate[],
  format: ScoreFormat,
): Promise<Html> {
  const { candidates, groups, stages } = report;
  const bests = groups.map(({ best }) => best);
  const singled = new Set([...ascending, ...bests].map(({ arch }) => arch));
  const others = candidates.filter(({ arch }) => !singled.has(arch));
  const points = thinCrowds(others, size, pointLimit);
  const thinned = points.length < others.length;
  const top = ascending.at(-1)!;

  const overlay = ({ x, y }: Placement) => {
    const circle = (candidate: SearchCandidate, radius: number, count: number) =>
      html`
        <circle cx="${x(candidate.macs).toFixed(1)}" cy="${y(candidate.score).toFixed(1)}" r="${radius}">
          <title>${describe(candidate, stages, format, count)}</title>
        </circle>
      `;
    return html`
      <g class="points" fill="${colors.blue}">${byOpacity(points, thinned).map(([opacity, members]) =>
        html`<g fill-opacity="${opacity}">${
          members.map(({ candidate, count }) => circle(candidate, 3, count))
        }</g>`
      )}</g>
      <path d="${frontierPath(ascending, { x, y }, size.width - 8)}" fill="none" stroke="${colors
        .accent}" ${html`stroke-width="2" stroke-linejoin="round" pointer-events="none"`} />
      <g class="points" fill="${colors.accent}">${ascending.map((candidate) => circle(candidate, 3.5, 1))}</g>
      <g class="rings" fill="none" stroke="${colors.orange}" stroke-width="2">${bests.map((candidate) =>
        circle(candidate, 7, 1)
      )}</g>
    `;
  };
  const chart = await renderChart(
    scoreSpec(report),
    `Score over MACs of ${formatInteger(candidates.length)} architectures. The frontier rises from ${
      format(ascending[0].score)
    } at ${formatCount(ascending[0].macs)} to ${format(top.score)} at ${formatCount(top.macs)}.`,
    overlay,
  );
  return figure({
    title: "Score over MACs",
    chart,
    legend: [
      {
        label: thinned ? "architectures, darker where more lie" : "architecture",
        color: colors.blue,
        shape: "dot",
      },
      { label: "frontier: the best score up to these MACs", color: colors.accent },
      { label: "best of its group", color: colors.orange, shape: "ring" },
    ],
    caption: [
      "The score is the similarity to the largest architecture, not an accuracy.",
      "Hover over a point to read its architecture.",
      thinned &&
      `Of ${formatInteger(candidates.length)} architectures ${
          formatInteger(points.length + singled.size)
        } are drawn: where many lie on one another, one stands for them. ` +
        "The frontier and the best of each group are complete.",
    ].filter(Boolean).join(" "),
  });
}

/** The axes, with the bounds of the groups; the marks are laid over them. */
function scoreSpec({ candidates, groups }: SearchReport): TopLevelSpec {
  const bounds = [...new Set(groups.flatMap(({ from, to }) => [from, to]))];
  const scores = candidates.map(({ score }) => score);
  const [low, high] = [scores.reduce((a, b) => Math.min(a, b)), scores.reduce((a, b) => Math.max(a, b))];
  return {
    ...size,
    padding: { left: 0, right: 8, top: 4, bottom: 4 },
    autosize: { type: "fit", contains: "padding" },
    data: { values: [] },
    mark: "point",
    encoding: {
      x: {
        field: "macs",
        type: "quantitative",
        scale: { domain: [bounds[0], bounds.at(-1)!], nice: false, zero: false },
        axis: {
          title: "MACs per image",
          grid: groups.length <= boundLimit,
          values: groups.length <= boundLimit ? bounds : undefined,
          // SI prefixes as in the page's texts: set apart from the number.
          labelExpr: "replace(format(datum.value, '.3~s'), /([a-zA-Z])$/, '\u00a0$1')",
          labelOverlap: true,
        },
      },
      y: {
        field: "score",
        type: "quantitative",
        scale: { domain: [low, high], nice: true, zero: false },
        axis: { title: "score", tickCount: Math.round(size.height / 50) },
      },
    },
  };
}

/** A stair from one point to the next, and on to the right edge of the picture. */
function frontierPath(ascending: readonly SearchCandidate[], { x, y }: Placement, right: number): string {
  const [first, ...rest] = ascending.map(({ macs, score }) => [x(macs).toFixed(1), y(score).toFixed(1)]);
  return `M${first.join(",")}${rest.map(([x, y]) => `H${x}V${y}`).join("")}H${right}`;
}

/** Points in classes of opacity: one for all or, once thinned, one per fourfold number of members. */
function byOpacity(points: readonly CrowdPoint[], thinned: boolean): [number, CrowdPoint[]][] {
  const classes = [0.3, 0.5, 0.7, 0.9];
  const groups = Map.groupBy(
    points,
    ({ count }) => thinned ? classes[Math.min(classes.length - 1, Math.floor(Math.log2(count) / 2))] : 0.55,
  );
  return [...groups].sort(([a], [b]) => a - b);
}

function describe(
  { arch, macs, params, score, scorePerStage, msPerImage }: SearchCandidate,
  stages: readonly string[],
  format: ScoreFormat,
  count: number,
): string {
  return [
    arch,
    `score ${format(score)}`,
    stages.length > 1 && stages.map((stage, index) => `${stage} ${format(scorePerStage[index])}`).join(" · "),
    `${formatCount(macs)} MACs · ${formatCount(params)} parameters`,
    msPerImage !== undefined && `${Number(msPerImage.toPrecision(3))} ms per image`,
    count > 1 && `stands for ${formatInteger(count)} architectures here`,
  ].filter(Boolean).join("\n");
}
