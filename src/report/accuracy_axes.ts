/** The axes of a chart of accuracy over what a network costs or scores; its marks are laid over them. */
import type { TopLevelSpec } from "vega-lite";
import { type ChartSize, framed, shortLabels } from "./charts.ts";

/** The size of the chart, the values that it must hold, and what its axes are called. */
export interface AccuracyAxes {
  readonly size: ChartSize;
  readonly x: readonly number[];
  /** 0 to 1. */
  readonly y: readonly number[];
  readonly xTitle: string;
  readonly yTitle: string;
  /** Whether `x` is a large number, such as MACs. */
  readonly isCount: boolean;
}

/** The ends of an axis for these values, with a little room around them. */
export function roomyDomain(values: readonly number[]): [low: number, high: number] {
  const low = Math.min(...values), high = Math.max(...values);
  const margin = 0.04 * (high - low || Math.abs(high) || 1);
  return [low - margin, high + margin];
}

/** The specification of the axes. */
export function accuracyAxes({ size, x, y, xTitle, yTitle, isCount }: AccuracyAxes): TopLevelSpec {
  const [lowest, highest] = roomyDomain(y);
  return {
    ...framed(size),
    data: { values: [] },
    mark: "point",
    encoding: {
      x: {
        field: "x",
        type: "quantitative",
        scale: { domain: roomyDomain(x), nice: false, zero: false },
        axis: {
          title: xTitle,
          tickCount: Math.round(size.width / 90),
          ...(isCount && { labelExpr: shortLabels }),
          labelOverlap: true,
        },
      },
      y: {
        field: "y",
        type: "quantitative",
        scale: { domain: [Math.max(0, lowest), Math.min(1, highest)], nice: true, zero: false },
        axis: { title: yTitle, format: ".0%", tickCount: Math.round(size.height / 50) },
      },
    },
  };
}
