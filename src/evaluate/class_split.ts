/** Divisions of labelled rows that keep every class. */
import { DataError } from "../errors.ts";
import { purpose, Random } from "../random.ts";

/** Rows of each class, in their order. */
export function rowsByClass(
  labels: Int32Array,
  rows: Iterable<number> = labels.keys(),
): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const row of rows) {
    const own = found.get(labels[row]);
    if (own) own.push(row);
    else found.set(labels[row], [row]);
  }
  return found;
}

/** How many rows each class has. */
export function classSizes(labels: Int32Array, rows: Iterable<number>): Map<number, number> {
  return new Map([...rowsByClass(labels, rows)].map(([label, own]) => [label, own.length]));
}

/** Rows of each class that {@linkcode balancedSubset} takes at least: one to train on, one to choose settings by. */
export const leastLabels = 2;

/**
 * As many rows of every class: the part of all rows, divided by the number of classes, at least
 * {@linkcode leastLabels}. A class that has fewer gives all.
 *
 * @param labels class of every row of the set
 * @param rows those to choose from
 * @param fraction above 0, at most 1; 1 takes all rows, balanced or not
 * @param seed of the choice
 * @returns ascending
 */
export function balancedSubset(
  labels: Int32Array,
  rows: Uint32Array,
  fraction: number,
  seed: number,
): Uint32Array<ArrayBuffer> {
  if (fraction === 1) return rows.slice();
  const classes = rowsByClass(labels, rows);
  const each = Math.max(leastLabels, Math.round(fraction * rows.length / classes.size));
  const chosen: number[] = [];
  for (const [label, own] of classes) {
    const order = new Random(seed, purpose.labelledSubset, label).permutation(own.length);
    for (const at of order.subarray(0, each)) chosen.push(own[at]);
  }
  return Uint32Array.from(chosen).sort();
}

/**
 * Each class divided by the same part, at least one row on either side; the order of rows is kept.
 *
 * @param validation part of each class that settings are chosen on, 0 to 1
 * @throws {DataError} for fewer than two classes, or a class of a single row
 */
export function splitByClass(
  labels: Int32Array,
  { validation, seed }: { readonly validation: number; readonly seed: number },
): { fitting: Uint32Array<ArrayBuffer>; validating: Uint32Array<ArrayBuffer> } {
  const byClass = rowsByClass(labels);
  if (byClass.size < 2) {
    throw new DataError(`A classifier needs images of at least 2 classes; these have ${byClass.size}.`);
  }
  const validating: number[] = [];
  for (const [label, rows] of byClass) {
    if (rows.length < 2) {
      throw new DataError(
        `Class ${label} has a single image to train on; a classifier needs two of each class, one of them to choose ` +
          "its settings with.",
      );
    }
    const count = Math.min(rows.length - 1, Math.max(1, Math.round(validation * rows.length)));
    const order = new Random(seed, purpose.validation, label).permutation(rows.length);
    for (const at of order.subarray(0, count)) validating.push(rows[at]);
  }
  const held = new Set(validating);
  return {
    fitting: Uint32Array.from(labels.keys().filter((row) => !held.has(row))),
    validating: Uint32Array.from(validating).sort(),
  };
}
