/** The report of a comparison: what each size is worth by each way of pretraining. */
import type { TopLevelSpec } from "vega-lite";
import { formatDuration } from "../duration.ts";
import { formatInteger, formatPercent, formatPoints, formatShort } from "../number_format.ts";
import type { ComparedMethod } from "../studies/compare/summary.ts";
import {
  type ChartSize,
  colors,
  framed,
  renderBoth,
  renderChart,
  shortLabels,
  wholeSizes,
} from "./charts.ts";
import { factList, figure, type Html, html, keyFigures, renderPage, table } from "./page.ts";

/** What the report is made from. */
export interface CompareReport {
  /** The page's title, e.g. the folder. */
  readonly title: string;
  /** The version of Scion. */
  readonly version: string;
  /** The adapter, as it names itself. */
  readonly device: string;
  /** Path of the comparison's file. */
  readonly config: string;
  readonly methods: readonly ComparedMethod[];
}

const sizes = { wide: { ...wholeSizes.wide, height: 360 }, narrow: wholeSizes.narrow };

const palette = [colors.blue, colors.accent, colors.orange, colors.muted];

/** Renders the report as one self-contained HTML page. */
export async function renderCompareReport(report: CompareReport): Promise<string> {
  const { methods, title, version, device, config } = report;
  return renderPage({
    title,
    kicker: "Scion comparison report",
    lede:
      `${methods.length} ways of pretraining, judged by kNN at the same sizes, on the same images, after as many epochs.`,
    body: html`
      ${keyFigures(figures(methods))}
      ${await sizesFigure(methods)}
      <section><h2>All sizes</h2>${methodTable(methods)}</section>
      <section><h2>How it was measured</h2>${factList([
        ["Comparison", config],
        ["Device", device],
        ["Seeds", formatInteger(methods[0].cells[0].knn.length)],
      ])}</section>
    `,
    footer: `Written by Scion ${version}.`,
  });
}

/** The last method against the first, size by size. */
function figures(methods: readonly ComparedMethod[]) {
  const first = methods[0], last = methods[methods.length - 1];
  return first.cells.map(({ size, mean, macs }, at) => {
    const difference = last.cells[at].mean - mean;
    return {
      label: `${size}, ${formatShort(macs)} MACs`,
      value: methods.length > 1 ? `${formatPoints(difference)} points` : formatPercent(mean),
      note: methods.length > 1
        ? `${last.method} ${formatPercent(last.cells[at].mean)}, ${first.method} ${formatPercent(mean)}`
        : first.method,
    };
  });
}

async function sizesFigure(methods: readonly ComparedMethod[]): Promise<Html> {
  const points = methods.flatMap(({ method, cells }) =>
    cells.flatMap(({ size, macs, knn, mean }) =>
      knn.map((value) => ({ method, size, macs, knn: value, mean }))
    )
  );
  const scale = {
    domain: methods.map(({ method }) => method),
    range: methods.map((_, at) => palette[at % 4]),
  };
  const color = { field: "method", type: "nominal" as const, scale, legend: null };
  const spec = (size: ChartSize): TopLevelSpec => {
    const x = {
      field: "macs",
      type: "quantitative" as const,
      axis: {
        title: "MACs per image",
        tickCount: Math.round(size.width / 110),
        labelExpr: shortLabels,
        labelOverlap: true,
      },
    };
    const y = (field: string) => ({
      field,
      type: "quantitative" as const,
      scale: { zero: false, nice: true },
      axis: { title: "kNN accuracy", format: ".0%", tickCount: Math.round(size.height / 50) },
    });
    return {
      ...framed(size),
      data: { values: points },
      layer: [
        { mark: { type: "line", strokeWidth: 2 }, encoding: { x, y: y("mean"), color } },
        { mark: { type: "point", filled: true, size: 60 }, encoding: { x, y: y("knn"), color } },
      ],
    };
  };
  return figure({
    title: "kNN over MACs",
    chart: await renderBoth(
      sizes,
      (size) => renderChart(spec(size), "kNN accuracy of each size by each method."),
    ),
    legend: methods.map(({ method }, at) => ({ label: method, color: palette[at % 4] })),
    caption: "Each point is one seed, each line the mean over seeds.",
  });
}

function methodTable(methods: readonly ComparedMethod[]): Html {
  const [{ cells }] = methods;
  return table(
    "kNN accuracy: mean over seeds, and each seed",
    [
      { label: "Method", numeric: false },
      ...cells.map(({ size, macs }) => ({ label: `${size}, ${formatShort(macs)}`, numeric: true })),
      { label: "Time of a seed", numeric: true },
    ],
    methods.map(({ method, cells, seconds }) => [
      method,
      ...cells.map(({ mean, knn }) =>
        html`<strong>${formatPercent(mean)}</strong> (${
          knn.map((value) => (100 * value).toFixed(1)).join(", ")
        })`
      ),
      formatDuration(seconds),
    ]),
  );
}
