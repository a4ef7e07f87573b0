/** The report of a correlation: whether scores without labels order subnets as labels do. */
import {
  formatCorrelation,
  formatInteger,
  formatInterval,
  formatPercent,
  formatRange,
  formatShort,
} from "../number_format.ts";
import {
  type Analysis,
  type Correlation,
  type EvaluatedSubnet,
  results,
} from "../studies/correlate/analysis.ts";
import {
  type CorrelateProtocol,
  isDense,
  protocolWords,
  resultName,
} from "../studies/correlate/protocols.ts";
import { weighted } from "../studies/correlate/strata.ts";
import { accuracyAxes } from "./accuracy_axes.ts";
import { colors, halfSizes, type Placement, renderBoth, renderChart } from "./charts.ts";
import { factList, figure, type Html, html, keyFigures, renderPage, table } from "./page.ts";

/** What the report is made from. */
export interface CorrelateReport extends Analysis {
  /** The page's title, e.g. the folder. */
  readonly title: string;
  /** The version of Scion. */
  readonly version: string;
  /** The adapter, as it names itself. */
  readonly device: string;
  /** Path of the run folder. */
  readonly run: string;
  /** Ascending in MACs. */
  readonly subnets: readonly EvaluatedSubnet[];
  readonly protocol: CorrelateProtocol;
  /** Labelled images that they are tested on. */
  readonly testImages: number;
  readonly settings: readonly (readonly [label: string, value: string])[];
}

const names: Readonly<Record<string, string>> = {
  macs: "MACs",
  params: "parameters",
  lastWidth: "last width",
  naswot: "NASWOT",
  synflow: "SynFlow",
};

const sizes = {
  wide: { ...halfSizes.wide, height: 320 },
  narrow: { ...halfSizes.narrow, height: 280 },
};

/** Renders the report as one self-contained HTML page. */
export async function renderCorrelateReport(report: CorrelateReport): Promise<string> {
  const [main] = report.correlations;
  const charts = [
    await accuracyFigure(report, main.metric, ({ scores }) => scores[main.metric], false),
    await accuracyFigure(report, "MACs per image", ({ macs }) => macs, true),
  ];
  return renderPage({
    title: report.title,
    kicker: "Scion correlation report",
    lede:
      `${
        formatInteger(report.subnets.length)
      } subnets of ${report.run}, scored without labels and then judged by ` +
      `${protocolWords[report.protocol].name} on ${
        formatInteger(report.testImages)
      } labelled images: does the score order them as the labels do?`,
    body: html`
      ${keyFigures(mainFigures(report, main))}
      <section>
        <p>${verdict(report, main)}</p>
      </section>
      <div class="pair">${charts}</div>
      <section><h2>Scores and their rivals</h2>${predictorTable(report)}</section>
      <section><h2>How it was measured</h2>${factList([
        ["Run", report.run],
        ["Device", report.device],
        ["Intervals", `95 % of ${formatInteger(1000)} bootstrap draws of subnets and images together`],
        ...report.settings,
      ])}</section>
      <details><summary>The subnets</summary>${subnetTable(report)}</details>
    `,
    footer: `Written by Scion ${report.version}.`,
  });
}

function mainFigures(report: CorrelateReport, main: Correlation) {
  const found = results(report.subnets, 0);
  const best = Math.max(...found), worst = formatPercent(Math.min(...found));
  const macs = report.correlations.find(({ metric }) => metric === "macs")!;
  return [
    {
      label: `Spearman of ${main.metric}`,
      value: formatCorrelation(main.spearman),
      note: formatInterval(main.interval),
    },
    {
      label: "Spearman of MACs",
      value: formatCorrelation(macs.spearman),
      note: formatInterval(macs.interval),
    },
    report.ceiling
      ? {
        label: "Two seeds agree to",
        value: formatCorrelation(report.ceiling.spearman),
        note: formatInterval(report.ceiling.interval),
      }
      : {
        label: isDense(report.protocol)
          ? `${capitalised(resultName(report.protocol))} of the best subnet`
          : `Accuracy of the best subnet, ${resultName(report.protocol)}`,
        value: formatPercent(best),
        note: isDense(report.protocol)
          ? `the worst has ${worst}`
          : `standard error ${
            formatPercent(Math.sqrt(best * (1 - best) / report.testImages))
          }; the worst has ${worst}`,
      },
    {
      label: "Regret",
      value: formatPercent(main.regret),
      note: `what its first choice lacks of the best, ${formatPercent(best)}`,
    },
  ];
}

/** What may be said: a score is called better than a rival only where the whole interval of the difference is above 0. */
function verdict({ ceiling }: CorrelateReport, { metric, over }: Correlation): string {
  const rivals = Object.entries(over!);
  const named = (chosen: typeof rivals) => chosen.map(([name]) => names[name]).join(", ");
  const better = rivals.filter(([, [low]]) => low > 0);
  const worse = rivals.filter(([, [, high]]) => high < 0);
  const open = rivals.filter((one) => !better.includes(one) && !worse.includes(one));
  return [
    better.length > 0 && `The score ${metric} predicts clearly better than ${named(better)}.`,
    worse.length > 0 && `It predicts worse than ${named(worse)}.`,
    open.length > 0 &&
    `Whether ${metric} predicts better than ${named(open)} cannot be told from these subnets.`,
    ceiling
      ? "The agreement of two seeds bounds what any score can reach."
      : "A second seed (--seeds 2) would show how much of what is missing is noise.",
  ].filter(Boolean).join(" ");
}

async function accuracyFigure(
  report: CorrelateReport,
  title: string,
  quantity: (subnet: EvaluatedSubnet) => number,
  isCount: boolean,
): Promise<Html> {
  const found = results(report.subnets, 0);
  const { protocol } = report;
  const name = resultName(protocol);
  const [yTitle, what] = isDense(protocol)
    ? [name, capitalised(name)]
    : [`${name}, accuracy`, `Accuracy, ${name},`];
  const widths = [...new Set(report.subnets.map(({ lastWidth }) => lastWidth))].sort((a, b) => a - b);
  // A telephone has nothing to hover with.
  const marks = ({ x, y }: Placement, hovered: boolean) =>
    html`<g class="points" fill="${colors.blue}">${
      report.subnets.map((subnet, at) =>
        html`
          <circle cx="${x(quantity(subnet)).toFixed(1)}" cy="${y(found[at]).toFixed(1)}" r="4"
            fill-opacity="${shade(widths, subnet.lastWidth)}">
            ${hovered && html`<title>${describeSubnet(subnet, found[at], name)}</title>`}
          </circle>
        `
      )
    }</g>`;
  const chart = await renderBoth(sizes, (size) =>
    renderChart(
      accuracyAxes({
        ...{
          size,
          x: report.subnets.map(quantity),
          y: found,
          xTitle: title,
          yTitle,
          isCount,
        },
      }),
      `${what} over ${title} of ${formatInteger(report.subnets.length)} subnets.`,
      (placement) => marks(placement, size === sizes.wide),
    ));
  return figure({
    title: isDense(protocol) ? `${capitalised(name)} over ${title}` : `Accuracy over ${title}, ${name}`,
    chart,
    caption: `Each point is a subnet, darker with a wider last stage (${
      widths.map(formatInteger).join(", ")
    } channels).`,
  });
}

function describeSubnet({ arch, macs }: EvaluatedSubnet, accuracy: number, name: string): string {
  return [arch, `${name} ${formatPercent(accuracy)}`, `${formatShort(macs)} MACs`].join("\n");
}

function capitalised(text: string): string {
  return text[0].toUpperCase() + text.slice(1);
}

/** Darker for wider. */
function shade(widths: readonly number[], width: number): string {
  return (0.3 + 0.65 * (widths.indexOf(width) + 1) / widths.length).toFixed(2);
}

function predictorTable({ correlations }: CorrelateReport): Html {
  const { strata } = correlations[0].withinWidths;
  const predictors = table(
    "How well scores and rivals predict",
    [
      { label: "Predictor", numeric: false },
      { label: "Spearman", numeric: true },
      { label: "95 %", numeric: true },
      { label: "Within groups", numeric: true },
      { label: "Of one width", numeric: true },
      { label: "Kendall", numeric: true },
      { label: "Pearson", numeric: true },
      { label: "Top tenth", numeric: true },
      { label: "Regret", numeric: true },
    ],
    correlations.map((one) => [
      names[one.metric] ?? one.metric,
      html`<strong>${formatCorrelation(one.spearman)}</strong>`,
      formatInterval(one.interval),
      formatCorrelation(weighted(one.withinGroups)),
      `${formatCorrelation(one.withinWidths.spearman)} (${formatInterval(one.withinWidths.interval)})`,
      formatCorrelation(one.kendall),
      formatCorrelation(one.pearson),
      formatPercent(one.precisionTop10),
      formatPercent(one.regret),
    ]),
  );
  const few = "There are none here: fewer than four subnets have about the same MACs and the same last width";
  return html`
    ${predictors}
    <p
      class="caption">Of one width: mean over subnets of one range of MACs and one width of the last stage, of which there
      are four or more, with its interval. ${strata.length === 0
        ? few
        : strata.map(({ from, to, lastWidth, subnets }) =>
          `${formatRange(from, to)} MACs, ${formatInteger(lastWidth)} channels: ${subnets}`
        ).join("; ")}.</p>
  `;
}

function subnetTable(report: CorrelateReport): Html {
  const name = resultName(report.protocol);
  const seeds = report.subnets[0].worth.length;
  const bySeed = Array.from({ length: seeds }, (_, seed) => results(report.subnets, seed));
  const scores = Object.keys(report.subnets[0].scores);
  const zeroCost = Object.keys(report.subnets[0].zeroCost);
  return table(
    "All subnets, cheapest first",
    [
      { label: "Architecture", numeric: false },
      { label: "MACs", numeric: true },
      { label: "Parameters", numeric: true },
      ...bySeed.map((_, seed) => ({ label: seeds > 1 ? `${name}, seed ${seed + 1}` : name, numeric: true })),
      ...scores.map((label) => ({ label, numeric: true })),
      ...zeroCost.map((name) => ({ label: names[name] ?? name, numeric: true })),
    ],
    report.subnets.map((subnet, at) => [
      html`<code>${subnet.arch}</code>`,
      formatShort(subnet.macs, "kept"),
      formatShort(subnet.params, "kept"),
      ...bySeed.map((one) => formatPercent(one[at])),
      ...scores.map((name) => subnet.scores[name].toFixed(4)),
      ...zeroCost.map((name) => subnet.zeroCost[name].toFixed(2).replace("-", "−")),
    ]),
  );
}
