/**
 * Numbers for people, alike in reports and on the terminal: thousands set apart by a narrow space, units by a space,
 * three digits of what was measured or is large.
 */

const noBreakSpace = "\u00a0";
const narrowNoBreakSpace = "\u202f";

/** An integer with its thousands set apart: `85 293`. */
export function formatInteger(value: number): string {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, narrowNoBreakSpace);
}

/**
 * A large number, such as MACs or parameters, to three digits: `4.1 M`, `15.5 G`.
 *
 * @param zeros whether zeros at the end of a fraction are kept, as columns of numbers want it: `4.10 M`
 * @param significant digits in place of three
 */
export function formatShort(
  value: number,
  zeros: "dropped" | "kept" = "dropped",
  significant = 3,
): string {
  const units = ["", "k", "M", "G", "T", "P"];
  let digits = Number(value.toPrecision(significant)), unit = 0;
  while (Math.abs(digits) >= 1000 && unit < units.length - 1) {
    digits = Number((digits / 1000).toPrecision(significant));
    unit++;
  }
  if (unit === 0) return String(digits);
  return `${zeros === "kept" ? digits.toPrecision(significant) : digits}${noBreakSpace}${units[unit]}`;
}

/** A range of large numbers, the unit written once where both share it: `4–5 G`, `800 k–1 M`. */
export function formatRange(from: number, to: number): string {
  const [low, lowUnit] = formatShort(from).split(noBreakSpace);
  const [, highUnit] = formatShort(to).split(noBreakSpace);
  return `${lowUnit === highUnit || from === 0 ? low : formatShort(from)}–${formatShort(to)}`;
}

/** A share, 0 to 1, in percent with one decimal: `46.1 %`. */
export function formatPercent(share: number): string {
  return `${(share * 100).toFixed(1)}${noBreakSpace}%`;
}

/** The two ends of an interval of shares, in percent: `44.9–47.2 %`. */
export function formatPercentRange([low, high]: readonly [low: number, high: number]): string {
  return `${(low * 100).toFixed(1)}–${formatPercent(high)}`;
}

/** The difference of two shares in percentage points, signed: `+20.4`, `−3.0`. */
export function formatPoints(difference: number): string {
  const points = (Math.abs(difference) * 100).toFixed(1);
  return Number(points) === 0 ? points : (difference < 0 ? "−" : "+") + points;
}

/** What was measured, to three digits or as a whole number, without its unit: `0.752`, `1.00`, `12.5`, `1 250`. */
export function formatMeasure(value: number): string {
  if (value >= 99.95) return formatInteger(value);
  return value >= 0.01 ? value.toPrecision(3) : String(Number(value.toFixed(4)));
}

/** Several measurements: their median, and quartiles in brackets: `0.752 (0.741–0.760)`. */
export function formatQuartiles(median: number, lower: number, upper: number): string {
  return `${formatMeasure(median)} (${formatMeasure(lower)}–${formatMeasure(upper)})`;
}

/** A coefficient of correlation: `0.83`, `−0.12`; a dash where there is none. */
export function formatCorrelation(value: number): string {
  return Number.isNaN(value) ? "–" : value.toFixed(2).replace("-", "−");
}

/** The two ends of an interval of correlations: `0.71 to 0.90`. */
export function formatInterval([low, high]: readonly [low: number, high: number]): string {
  return `${formatCorrelation(low)} to ${formatCorrelation(high)}`;
}

/** A text with ordinary spaces, as terminals and the eyes of `grep` want it. */
export function withPlainSpaces(text: string): string {
  return text.replace(/[\u00a0\u202f]/g, " ");
}
