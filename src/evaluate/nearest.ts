/** The rows of a matrix that are most alike another's, on the host. */
import type { FeatureMatrix } from "./features.ts";

/** A row and its cosine similarity. */
export interface NearRow {
  readonly row: number;
  readonly cosine: number;
}

/**
 * The rows of `bank` with the greatest cosine to a row of `queries`, greatest first, of equals the first; in double
 * precision. A row of zeros has the cosine 0 with all.
 *
 * @param count how many, at most
 */
export function nearestRows(
  queries: FeatureMatrix,
  query: number,
  bank: FeatureMatrix,
  count: number,
): NearRow[] {
  const { dimension } = bank;
  const own = queries.values.subarray(query * dimension, (query + 1) * dimension);
  const norm = Math.sqrt(own.reduce((sum, value) => sum + value * value, 0));
  const similarities = Array.from({ length: bank.rows }, (_, row): NearRow => {
    let product = 0, square = 0;
    for (let at = 0; at < dimension; at++) {
      const value = bank.values[row * dimension + at];
      product += own[at] * value;
      square += value * value;
    }
    const lengths = norm * Math.sqrt(square);
    return { row, cosine: lengths === 0 ? 0 : product / lengths };
  });
  return similarities.sort((a, b) => b.cosine - a.cosine || a.row - b.row).slice(0, count);
}
