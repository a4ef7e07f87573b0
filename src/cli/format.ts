/** Numbers, durations and tables for people. */
import { counted, formatCount } from "../count.ts";
import {
  formatMeasure,
  formatPercent,
  formatQuartiles,
  formatShort,
  withPlainSpaces,
} from "../number_format.ts";
import type { Latency } from "../search/latency.ts";

export { counted, formatCount };

/** A count with its SI prefix: 4087136256 becomes `4.09 G`. */
export function formatQuantity(value: number, significant = 3): string {
  return withPlainSpaces(formatShort(value, "kept", significant));
}

/** A round quantity without superfluous zeros: 1500000 becomes `1.5 M`. */
export function formatRoundQuantity(value: number): string {
  return withPlainSpaces(formatShort(value, "dropped", 6));
}

/** What was measured, to three digits or as a whole number: 0.752, 12.5, 1 250. */
export function formatRate(value: number): string {
  return withPlainSpaces(formatMeasure(value));
}

/** A share, 0 to 1, in percent: 46.1 %. */
export function formatShare(share: number): string {
  return withPlainSpaces(formatPercent(share));
}

/** A share, or "none" where nothing counted. */
export function formatShareOrNone(share: number | null): string {
  return share === null ? "none" : formatShare(share);
}

/** The median of a time with its quartiles; nothing where it was not measured. */
export function formatTime(time: Latency | undefined): string {
  return time === undefined
    ? ""
    : withPlainSpaces(formatQuartiles(time.msPerImage, time.lowerQuartile, time.upperQuartile));
}

/**
 * Rows as aligned lines.
 *
 * @param rows cells of equal number in each row
 * @param alignment `l` or `r` for each column
 */
export function formatTable(rows: readonly (readonly string[])[], alignment: string): string {
  const widths = [...alignment].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row.map((cell, column) =>
      alignment[column] === "r" ? cell.padStart(widths[column]) : cell.padEnd(widths[column])
    )
      .join("  ").trimEnd()
  ).join("\n");
}
