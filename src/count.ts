/** Whole numbers in messages. */
import { formatInteger, withPlainSpaces } from "./number_format.ts";

/** A whole number in groups of three digits: 85 293. */
export function formatCount(value: number): string {
  return withPlainSpaces(formatInteger(value));
}

/** `1 step`, `85 293 steps`. */
export function counted(value: number, unit: string): string {
  return `${formatCount(value)} ${unit}${value === 1 ? "" : "s"}`;
}
