/** From logits to classes. */
import type { FeatureMatrix } from "../evaluate/features.ts";

/** The class with the largest logit of a row, and its probability by softmax. */
export function classOfRow(
  { dimension, values }: FeatureMatrix,
  row: number,
): { label: number; probability: number } {
  const logits = values.subarray(row * dimension, (row + 1) * dimension);
  const most = logits.reduce((a, b) => Math.max(a, b));
  const label = logits.indexOf(most);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - most), 0);
  return { label, probability: 1 / sum };
}
