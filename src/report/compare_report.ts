/** The report of a comparison: what each size is worth by each way of pretraining. */
import type { TopLevelSpec } from "vega-lite";
import { formatDuration } from "../duration.ts";
import { formatInteger, formatPercent, formatPoints, formatShort } from "../number_format.ts";
import type { ComparedMethod, CurvePoint, Difference } from "../studies/compare/summary.ts";
import { type Protocol, protocolNames, protocols } from "../studies/judge.ts";
import { type ChartSize, framed, halfSizes, renderBoth, renderChart, shortLabels } from "./charts.ts";
import { methodColor } from "./compare_colors.ts";
import { curveSection } from "./curve_section.ts";
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
  /** Along pretraining; empty where only the ends were judged. */
  readonly curve: readonly CurvePoint[];
}

const sizes = { wide: { ...halfSizes.wide, height: 320 }, narrow: halfSizes.narrow };

/** Renders the report as one self-contained HTML page. */
export async function renderCompareReport(report: CompareReport): Promise<string> {
  const { methods, curve, title, version, device, config } = report;
  const charts = await Promise.all(protocols.map((protocol) => sizesFigure(methods, protocol)));
  return renderPage({
    title,
    kicker: "Scion comparison report",
    lede:
      `${methods.length} ways of pretraining, judged by kNN and a linear probe at the same sizes, on the same ` +
      "features and images, after as many epochs.",
    body: html`
      ${keyFigures(figures(methods))}
      <div class="pair">${charts}</div>
      ${methods.length > 1 && differenceSection(methods)}
      <section><h2>All sizes</h2>${methodTable(methods)}</section>
      ${curve.length > 0 && await curveSection(methods, curve)}
      <section><h2>How it was measured</h2>${factList([
        ["Comparison", config],
        ["Device", device],
        ["Seeds", formatInteger(methods[0].cells[0].accuracy.knn.values.length)],
      ])}</section>
    `,
    footer: `Written by Scion ${version}.`,
  });
}

/** The last method against the first, size by size, by the linear probe. */
function figures(methods: readonly ComparedMethod[]) {
  const first = methods[0], last = methods[methods.length - 1];
  return first.cells.map(({ size, accuracy, macs }, at) => {
    const { accuracy: own, difference } = last.cells[at];
    return {
      label: `${size}, ${formatShort(macs)} MACs`,
      value: difference
        ? `${formatPoints(difference.linear.mean)} points`
        : formatPercent(accuracy.linear.mean),
      note: difference
        ? `linear probe: ${last.method} ${formatPercent(own.linear.mean)}, ${first.method} ${
          formatPercent(accuracy.linear.mean)
        }`
        : `linear probe, ${first.method}`,
    };
  });
}

async function sizesFigure(methods: readonly ComparedMethod[], protocol: Protocol): Promise<Html> {
  const points = methods.flatMap(({ method, cells }) =>
    cells.flatMap(({ size, macs, accuracy: { [protocol]: { values, mean } } }) =>
      values.map((value) => ({ method, size, macs, value, mean }))
    )
  );
  const name = protocolNames[protocol];
  const scale = {
    domain: methods.map(({ method }) => method),
    range: methods.map((_, at) => methodColor(at)),
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
      axis: { title: `${name}, accuracy`, format: ".0%", tickCount: Math.round(size.height / 50) },
    });
    return {
      ...framed(size),
      data: { values: points },
      layer: [
        { mark: { type: "line", strokeWidth: 2 }, encoding: { x, y: y("mean"), color } },
        { mark: { type: "point", filled: true, size: 60 }, encoding: { x, y: y("value"), color } },
      ],
    };
  };
  return figure({
    title: `Accuracy over MACs, ${name}`,
    chart: await renderBoth(
      sizes,
      (size) => renderChart(spec(size), `Accuracy of each size by each method: ${name}.`),
    ),
    legend: methods.map(({ method }, at) => ({ label: method, color: methodColor(at) })),
    caption: "Each point is one seed, each line the mean over seeds.",
  });
}

function methodTable(methods: readonly ComparedMethod[]): Html {
  const [{ cells }] = methods;
  return table(
    "Accuracy: mean over seeds, each seed, and their standard deviation",
    [
      { label: "Size", numeric: false },
      { label: "Method", numeric: false },
      ...protocols.map((protocol) => ({ label: protocolNames[protocol], numeric: true })),
      { label: "Time of a seed", numeric: true },
    ],
    cells.flatMap(({ size, macs }, at) =>
      methods.map(({ method, cells, seconds, runs }) => [
        `${size}, ${formatShort(macs)}`,
        method,
        ...protocols.map((protocol) => {
          const { mean, values, deviation } = cells[at].accuracy[protocol];
          return html`<strong>${formatPercent(mean)}</strong> (${
            values.map((value) => (100 * value).toFixed(1)).join(", ")
          }${deviation !== null && `; ${(100 * deviation).toFixed(1)}`})`;
        }),
        runs > 1 ? `${formatDuration(seconds)}, ${runs} runs` : formatDuration(seconds),
      ])
    ),
  );
}

function differenceSection(methods: readonly ComparedMethod[]): Html {
  const [first, ...others] = methods;
  return html`<section><h2>What differs from ${first.method}</h2>${
    table(
      `Accuracy less that of ${first.method}, in percentage points`,
      [
        { label: "Size", numeric: false },
        { label: "Method", numeric: false },
        ...protocols.map((protocol) => ({ label: protocolNames[protocol], numeric: true })),
      ],
      first.cells.flatMap(({ size, macs }, at) =>
        others.map(({ method, cells }) => [
          `${size}, ${formatShort(macs)}`,
          method,
          ...protocols.map((protocol) => differenceCell(cells[at].difference![protocol])),
        ])
      ),
    )
  }<p class="caption">Behind ±: the standard error over test images, from the differences image by image, of the networks
    as they are. In brackets: each seed. A difference below two standard errors, or one that changes its sign from seed to
    seed, is noise.</p></section>`;
}

function differenceCell({ mean, standardError, values }: Difference): Html {
  const clear = Math.abs(mean) > 2 * standardError && values.every((value) => value * mean > 0);
  const text = `${formatPoints(mean)} ± ${(100 * standardError).toFixed(1)}`;
  return html`${clear ? html`<strong>${text}</strong>` : text} (${values.map(formatPoints).join(", ")})`;
}
