/** A comparison's rows as a table: methods down, sizes across. */
import type { ComparedRow } from "./compare.ts";

/** What one method makes of one size. */
export interface ComparedCell {
  readonly size: string;
  readonly macs: number;
  /** kNN accuracy by seed. */
  readonly knn: readonly number[];
  readonly mean: number;
}

/** One method. */
export interface ComparedMethod {
  readonly method: string;
  readonly cells: readonly ComparedCell[];
  /** Of pretraining all its sizes under one seed; the mean over seeds. */
  readonly seconds: number;
}

/** Summarises rows in the order in which methods and sizes come. */
export function summarise(rows: readonly ComparedRow[]): ComparedMethod[] {
  return [...Map.groupBy(rows, ({ method }) => method)].map(([method, own]) => {
    const runs = new Map(own.map(({ run, seconds }) => [run, seconds]));
    const seeds = new Set(own.map(({ seed }) => seed)).size;
    return {
      method,
      cells: [...Map.groupBy(own, ({ size }) => size)].map(([size, ofSize]) => ({
        size,
        macs: ofSize[0].macs,
        knn: ofSize.map(({ knn }) => knn),
        mean: ofSize.reduce((sum, { knn }) => sum + knn, 0) / ofSize.length,
      })),
      seconds: [...runs.values()].reduce((sum, seconds) => sum + seconds, 0) / seeds,
    };
  });
}
