/** Numbers, durations and tables for people; numbers are set as in the reports. */
import { counted, formatCount } from "../count.ts";

export { counted, formatCount };

const units: readonly [number, string][] = [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " k"]];

/** A count with its SI prefix: 4087136256 with 4 digits becomes `4.0871 G`. */
export function formatQuantity(value: number, digits: number): string {
  const [scale, unit] = units.find(([size]) => value >= size) ?? [1, ""];
  return (value / scale).toFixed(scale === 1 ? 0 : digits) + unit;
}

/** A round quantity without superfluous zeros: 1500000 becomes `1.5 M`. */
export function formatRoundQuantity(value: number): string {
  const [scale, unit] = units.find(([size]) => value >= size) ?? [1, ""];
  return Number((value / scale).toPrecision(6)) + unit;
}

/** A number with about three significant digits and no exponent. */
export function formatRate(value: number): string {
  return value < 100 ? value.toFixed(value < 10 ? 2 : 1) : formatCount(value);
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
