/**
 * Charts as SVG, drawn when the report is written: Vega-Lite specifications compiled and rendered without a browser
 * or a canvas. Colours are the page's CSS variables, which resolve where the SVG is embedded.
 */

import type { Config, TopLevelSpec } from "vega-lite";
import { type Html, html, trustedHtml } from "./page.ts";

/** The series colours, by CSS variable of src/report/page.ts. */
export const colors = {
  ink: "var(--ink)",
  muted: "var(--muted)",
  accent: "var(--accent)",
  orange: "var(--orange)",
  blue: "var(--blue)",
  violet: "var(--violet)",
} as const;

/** A point of a series. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** One line of a chart. */
export interface Line {
  readonly points: readonly Point[];
  readonly color: string;
  /** Line width in pixels. */
  readonly width: number;
  /** 0 to 1. */
  readonly opacity: number;
  /** Whether each point gets a dot, for series of few points. */
  readonly dots: boolean;
}

/** A horizontal level to compare with, labelled at its right end. */
export interface Level {
  readonly y: number;
  readonly label: string;
  /** On which side of the level its label stands. */
  readonly side: "above" | "below";
}

/** An axis: title, number format, and whether it starts at zero. */
export interface Axis {
  readonly title: string;
  /** A d3 number format; by default as many decimals as tell the ticks apart. */
  readonly format?: string;
  readonly zero: boolean;
  /** The least distance between two ticks, e.g. 1 for counts. */
  readonly tickMinStep?: number;
}

/** Size of a whole picture in CSS pixels. */
export interface ChartSize {
  readonly width: number;
  readonly height: number;
}

/** A picture for wide screens and one for narrow ones, each legible at its size: the page shows one of them. */
export interface ChartSizes {
  readonly wide: ChartSize;
  readonly narrow: ChartSize;
}

/** A chart over the whole width of the page, and one over half of it. The narrow one fits a screen of 400 pixels. */
export const wholeSizes: ChartSizes = {
  wide: { width: 1016, height: 390 },
  narrow: { width: 360, height: 300 },
};
export const halfSizes: ChartSizes = {
  wide: { width: 484, height: 260 },
  narrow: { width: 360, height: 230 },
};

/** The size of a Vega-Lite specification: charts side by side keep one frame whatever the width of their labels. */
export function framed({ width, height }: ChartSize) {
  return {
    width,
    height,
    padding: { left: 0, right: 8, top: 4, bottom: 4 },
    autosize: { type: "fit" as const, contains: "padding" as const },
  };
}

/** Labels of large numbers on an axis, with SI prefixes as in the page's texts: set apart from the number. */
export const shortLabels = "replace(format(datum.value, '.3~s'), /([a-zA-Z])$/, '\u00a0$1')";

/** The axis of training steps. */
export const stepAxis: Axis = { title: "step", format: ",d", zero: true, tickMinStep: 1 };

/** More points than this are averaged in groups before a line joins them: 1500 over the page's width. */
export function linePointLimit({ width }: ChartSize): number {
  return Math.round(1500 * width / wholeSizes.wide.width);
}

/** A chart of lines over a common quantity. */
export interface LineChart extends ChartSize {
  /** What a screen reader says in place of the picture. */
  readonly description: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
  readonly levels?: readonly Level[];
}

const fontFamily = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

const theme: Config = {
  background: undefined,
  font: fontFamily,
  // The page describes the figure; a label for every tick would only be noise to a screen reader.
  aria: false,
  locale: {
    number: { decimal: ".", thousands: "\u202f", grouping: [3], currency: ["", ""], percent: "\u00a0%" },
  },
  view: { stroke: null },
  axis: {
    labelColor: colors.muted,
    labelFontSize: 13,
    labelPadding: 8,
    titleColor: colors.muted,
    titleFontSize: 13,
    titleFontWeight: "normal",
    gridColor: "var(--hairline)",
    domainColor: "var(--hairline)",
    tickColor: "var(--hairline)",
  },
  axisX: { grid: false, tickSize: 5, titlePadding: 10, labelFlush: false },
  axisY: {
    domain: false,
    ticks: false,
    // The title lies flat above the axis, where it is read without turning one's head.
    titleAngle: 0,
    titleAlign: "left",
    titleAnchor: "end",
    titleBaseline: "bottom",
    titleX: 0,
    titleY: -10,
  },
};

/** Where a value of each axis lies in the picture, in its pixels. */
export interface Placement {
  x(value: number): number;
  y(value: number): number;
}

/**
 * Renders a Vega-Lite specification in the reports' style.
 *
 * @param description what a screen reader says in place of the picture
 * @param overlay SVG elements to draw on top, for marks that need what Vega does not write, such as a `title`; for
 *   specifications with quantitative scales `x` and `y`
 * @returns an `svg` element that fills the width it is given, up to its own
 */
export async function renderChart(
  spec: TopLevelSpec,
  description: string,
  overlay?: (placement: Placement) => Html,
): Promise<Html> {
  // Loaded here because no other command needs these large packages.
  const [{ parse, View }, { compile }] = await Promise.all([import("vega"), import("vega-lite")]);
  const view = new View(parse(compile({ ...spec, config: theme }).spec), { renderer: "none" });
  try {
    const svg = await view.toSVG();
    const [left, top] = view.origin();
    const padding = view.padding() as { left: number; top: number };
    const marks = overlay?.({
      x: (value) => left + padding.left + view.scale("x")(value),
      y: (value) => top + padding.top + view.scale("y")(value),
    });
    // Vega's root element has a fixed size; ours takes the width it is given, and has a description.
    const [, width, height, content] = svg.match(
      /^<svg[^>]* width="([^"]+)" height="([^"]+)"[^>]*>(.*)<\/svg>$/s,
    )!;
    return html`
      <svg role="img" aria-label="${description}" viewBox="0 0 ${width} ${height}"
        style="max-width:${width}px">${trustedHtml(content)}${marks}</svg>
    `;
  } finally {
    view.finalize();
  }
}

/** Renders a picture for wide screens and one for narrow ones. */
export async function renderBoth(
  { wide, narrow }: ChartSizes,
  render: (size: ChartSize) => Promise<Html>,
): Promise<Html> {
  return html`
    <div class="for-wide">${await render(wide)}</div>
    <div class="for-narrow">${await render(narrow)}</div>
  `;
}

/** Renders a chart of lines in both sizes; a narrow one may draw fewer points. */
export async function renderLineCharts(
  sizes: ChartSizes,
  chart: (size: ChartSize) => Omit<LineChart, keyof ChartSize>,
): Promise<Html> {
  return await renderBoth(sizes, (size) => renderLineChart({ ...chart(size), ...size }));
}

/** A line without dots. */
export function line(points: readonly Point[], color: string, width: number, opacity = 1): Line {
  return { points, color, width, opacity, dots: false };
}

/** Renders a chart of lines, in the order given, the last on top. */
export async function renderLineChart(chart: LineChart): Promise<Html> {
  return await renderChart(lineChartSpec(chart), chart.description);
}

/** The Vega-Lite specification of a chart of lines. */
export function lineChartSpec({ width, height, x, y, lines, levels = [] }: LineChart): TopLevelSpec {
  const axis = ({ title, format, tickMinStep }: Axis, tickCount: number) => ({
    ...{ title, format, tickCount, tickMinStep },
  });
  const position = {
    x: {
      field: "x",
      type: "quantitative" as const,
      scale: { nice: false, zero: x.zero },
      axis: axis(x, Math.round(width / 110)),
    },
    y: {
      field: "y",
      type: "quantitative" as const,
      scale: { nice: true, zero: y.zero },
      axis: axis(y, Math.round(height / 50)),
    },
  };
  return {
    ...framed({ width, height }),
    layer: [
      ...levels.map(({ y }) => ({
        data: { values: [{ y }] },
        mark: { type: "rule" as const, color: colors.muted, strokeDash: [3, 4] },
        encoding: { y: position.y },
      })),
      ...lines.map(({ points, color, width, opacity, dots }) => ({
        data: { values: [...points] },
        mark: {
          type: "line" as const,
          color,
          strokeWidth: width,
          opacity,
          strokeJoin: "round" as const,
          strokeCap: "round" as const,
          interpolate: "linear" as const,
          point: dots && { filled: true, size: 36, color, opacity: 1 },
        },
        encoding: { x: position.x, y: position.y, order: { field: "x" } },
      })),
      ...levels.map(({ y, label, side }) => ({
        data: { values: [{ y, label }] },
        mark: {
          type: "text" as const,
          color: colors.muted,
          fontSize: 13,
          align: "right" as const,
          baseline: side === "above" ? "bottom" as const : "top" as const,
          dy: side === "above" ? -4 : 5,
        },
        encoding: { x: { value: "width" as const }, y: position.y, text: { field: "label" } },
      })),
    ],
  };
}
