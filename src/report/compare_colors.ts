/** The colours of a comparison's methods, alike in all its charts. */
import { colors } from "./charts.ts";

const palette = [colors.blue, colors.accent, colors.orange, colors.violet, colors.muted, colors.ink];

/** The colour of a method by its place; after six they come again. */
export function methodColor(place: number): string {
  return palette[place % palette.length];
}
