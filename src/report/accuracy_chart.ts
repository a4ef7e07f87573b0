/** The chart of accuracy over MACs: networks with their intervals, and baselines as levels. */
import { formatInteger, formatPercent, formatPercentRange, formatShort } from "../number_format.ts";
import { accuracyAxes, roomyDomain } from "./accuracy_axes.ts";
import { colors, type Placement, renderBoth, renderChart, wholeSizes } from "./charts.ts";
import { type EvaluatedNetwork, type EvaluateReport, reaches } from "./evaluate_data.ts";
import { figure, type Html, html } from "./page.ts";

const sizes = { wide: { ...wholeSizes.wide, height: 400 }, narrow: wholeSizes.narrow };

/** Height of a line of labels, and width of a letter, in the pictures' pixels. */
const lineHeight = 20;
const letterWidth = 7.5;

/** Renders the chart with its legend and caption. `ordered` is best first. */
export async function accuracyFigure(
  ordered: readonly EvaluatedNetwork[],
  baselines: EvaluateReport["baselines"],
): Promise<Html> {
  const [best] = ordered;
  const y = [...ordered.flatMap(({ interval }) => interval), ...baselines.map(({ accuracy }) => accuracy)];
  const x = ordered.map(({ macs }) => macs);
  const chart = await renderBoth(sizes, (size) =>
    renderChart(
      accuracyAxes({ size, x, y, xTitle: "MACs per image", yTitle: "accuracy", isCount: true }),
      `Accuracy over MACs of ${formatInteger(ordered.length)} networks. The best has ${
        formatPercent(best.accuracy)
      } at ${formatShort(best.macs)} MACs.`,
      (placement) =>
        html`${levels(baselines, placement, { macs: roomyDomain(x), height: size.height })}${
          networks(ordered, placement, size === sizes.wide)
        }`,
    ));
  return figure({
    title: "Accuracy over MACs",
    chart,
    legend: [
      { label: "networks", color: colors.blue, shape: "dot" },
      { label: "best, and those indistinguishable from it", color: colors.accent, shape: "dot" },
      { label: "best", color: colors.orange, shape: "ring" },
    ],
    caption: "Bars: 95 % intervals over the test images." +
      (baselines.length > 0 ? " Dotted lines: baselines." : "") +
      " On a wide screen, hover over a point to read its architecture.",
  });
}

/** Dotted lines with labels at their right ends, moved apart where lines are close. */
function levels(
  baselines: EvaluateReport["baselines"],
  { x, y }: Placement,
  { macs, height }: { macs: readonly [low: number, high: number]; height: number },
): Html {
  const [left, right] = macs.map(x);
  // Beside the name stands its accuracy.
  const letters = Math.floor((right - left) / letterWidth) - 8;
  // From the bottom up, each label stands above its line, or above the label below it; from the top down, none leaves.
  const ascending = baselines.toSorted((a, b) => a.accuracy - b.accuracy);
  const places: number[] = [];
  for (const { accuracy } of ascending) {
    places.push(Math.min(y(accuracy) - 5, (places.at(-1) ?? height) - lineHeight));
  }
  places.forEach((place, index) => places[index] = Math.max(place, lineHeight * (places.length - index)));
  const drawn = ascending.map(({ name, accuracy }, index) => {
    const at = y(accuracy);
    const short = name.length > letters ? `${name.slice(0, letters - 1)}…` : name;
    return html`
      <path class="level" d="M${left.toFixed(1)},${at.toFixed(1)}H${right.toFixed(1)}" />
      <text x="${right.toFixed(1)}" y="${places[index].toFixed(1)}">${short} ${formatPercent(accuracy)}</text>
    `;
  });
  return html`<g class="levels">${drawn}</g>`;
}

/** Bars and points, the best last. */
function networks(
  ordered: readonly EvaluatedNetwork[],
  { x, y }: Placement,
  hovered: boolean,
): Html {
  const [best] = ordered;
  const groups = [
    { color: colors.blue, members: ordered.filter((one) => !reaches(one, best)) },
    { color: colors.accent, members: ordered.filter((one) => reaches(one, best)).reverse() },
  ];
  const place = ({ macs, accuracy }: EvaluatedNetwork) => [x(macs).toFixed(1), y(accuracy).toFixed(1)];
  const bar = ({ macs, interval: [low, high] }: EvaluatedNetwork) =>
    `M${x(macs).toFixed(1)},${y(low).toFixed(1)}V${y(high).toFixed(1)}`;
  const dot = (one: EvaluatedNetwork) => {
    const [cx, cy] = place(one);
    return html`
      <circle cx="${cx}" cy="${cy}" r="4">
        ${hovered && html`<title>${describe(one)}</title>`}
      </circle>
    `;
  };
  const [cx, cy] = place(best);
  return html`
    ${groups.map(({ color, members }) =>
      html`
        <path class="bars" d="${members.map(bar).join("")}" stroke="${color}" />
        <g class="points" fill="${color}">${members.map(dot)}</g>
      `
    )}
    <g class="rings" stroke="${colors.orange}">
      <circle cx="${cx}" cy="${cy}" r="7" />
    </g>
  `;
}

/** What hovering over a point shows, a line a fact. */
function describe({ network, arch, macs, params, accuracy, interval }: EvaluatedNetwork): string {
  return [
    network,
    arch,
    `accuracy ${formatPercent(accuracy)} (${formatPercentRange(interval)})`,
    `${formatShort(macs)} MACs · ${formatShort(params)} parameters`,
  ].join("\n");
}
