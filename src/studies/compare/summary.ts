/** A comparison's rows as a table: what each method makes of each size, and how it differs from the first one. */
import { DataError } from "../../errors.ts";
import { type Protocol, protocols } from "../judge.ts";
import type { ComparedRow, JudgedRow } from "./compare.ts";

/** An accuracy over seeds. */
export interface OverSeeds {
  /** By seed. */
  readonly values: readonly number[];
  readonly mean: number;
  /** Standard deviation over seeds; null for a single one. */
  readonly deviation: number | null;
}

/** An accuracy less that of the first method, the mean over seeds. */
export interface Difference {
  readonly mean: number;
  /**
   * Standard error over test images: of the mean of their paired differences, the networks being what they are. It says
   * nothing of other seeds.
   */
  readonly standardError: number;
  /** By seed. */
  readonly values: readonly number[];
}

/** What one method makes of one size, by protocol. */
export interface ComparedCell {
  readonly size: string;
  /** For one image. */
  readonly macs: number;
  readonly accuracy: Readonly<Record<Protocol, OverSeeds>>;
  /** Undefined for the first method. */
  readonly difference: Readonly<Record<Protocol, Difference>> | undefined;
}

/** One method. */
export interface ComparedMethod {
  readonly method: string;
  readonly cells: readonly ComparedCell[];
  /** Runs that all its sizes take under one seed. */
  readonly runs: number;
  /** Of pretraining all its sizes under one seed; the mean over seeds. */
  readonly seconds: number;
}

/** An accuracy of one size by one method after some epochs, the mean over seeds. */
export interface CurvePoint {
  readonly method: string;
  readonly size: string;
  readonly epoch: number;
  /** Of pretraining all sizes by this method until there. */
  readonly seconds: number;
  readonly accuracy: Readonly<Record<Protocol, number>>;
  /** Seeds that the mean is over. */
  readonly seeds: number;
}

/**
 * Summarises rows in the order in which methods and sizes come.
 *
 * @throws {DataError} for rows of other test images
 */
export function summarise(rows: readonly JudgedRow[]): ComparedMethod[] {
  const [first] = rows;
  return [...Map.groupBy(rows, ({ method }) => method)].map(([method, own]) => {
    const seeds = new Set(own.map(({ seed }) => seed)).size;
    const runs = new Set(own.map(({ run }) => run)).size / seeds;
    const cells = [...Map.groupBy(own, ({ size }) => size)].map(([size, ofSize]): ComparedCell => ({
      size,
      macs: ofSize[0].macs,
      accuracy: byProtocol((protocol) => overSeeds(ofSize.map((row) => row[protocol]))),
      difference: method === first.method ? undefined : byProtocol((protocol) =>
        difference(
          ofSize,
          rows.filter((row) => row.method === first.method && row.size === size),
          protocol,
        )
      ),
    }));
    return { method, cells, runs, seconds: secondsOfSeed(own) };
  });
}

/** Points of the curves, by method and size, the earliest first. */
export function summariseCurve(rows: readonly ComparedRow[]): CurvePoint[] {
  const key = ({ method, epoch }: ComparedRow) => JSON.stringify([method, epoch]);
  return [...Map.groupBy(rows, key).values()].flatMap((own) => {
    const seconds = secondsOfSeed(own);
    return [...Map.groupBy(own, ({ size }) => size)].map(([size, ofSize]): CurvePoint => ({
      method: own[0].method,
      size,
      epoch: own[0].epoch,
      seconds,
      accuracy: byProtocol((protocol) => mean(ofSize.map((row) => row[protocol]))),
      seeds: ofSize.length,
    }));
  }).sort((a, b) => a.epoch - b.epoch);
}

function byProtocol<T>(of: (protocol: Protocol) => T): Record<Protocol, T> {
  return Object.fromEntries(protocols.map((protocol) => [protocol, of(protocol)])) as Record<Protocol, T>;
}

/** Every run counts once: it is as long for one of its sizes as for all. */
function secondsOfSeed(rows: readonly ComparedRow[]): number {
  const runs = new Map(rows.map(({ run, seconds }) => [run, seconds]));
  const seeds = new Set(rows.map(({ seed }) => seed)).size;
  return [...runs.values()].reduce((sum, seconds) => sum + seconds, 0) / seeds;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of a sample; NaN for a single value. */
function deviation(values: ArrayLike<number> & Iterable<number>): number {
  const middle = mean([...values]);
  let squares = 0;
  for (const value of values) squares += (value - middle) ** 2;
  return Math.sqrt(squares / (values.length - 1));
}

function overSeeds(values: readonly number[]): OverSeeds {
  return { values, mean: mean(values), deviation: values.length < 2 ? null : deviation(values) };
}

/** Differences of the seeds that both have. */
function difference(rows: readonly JudgedRow[], first: readonly JudgedRow[], protocol: Protocol): Difference {
  const pairs = rows.flatMap((row) =>
    first.filter(({ seed }) => seed === row.seed).map((other) => [row, other] as const)
  );
  const images = pairs[0]?.[0].right[protocol].length ?? 0;
  const differences = new Float64Array(images);
  for (const pair of pairs) {
    const [own, other] = pair.map(({ right }) => right[protocol]);
    if (own.length !== images || other.length !== images) {
      throw new DataError(
        `${pair[0].run} and ${
          pair[1].run
        } classified other numbers of test images. Remove comparison.json to judge all ` +
          "runs again, on the same images.",
      );
    }
    for (let image = 0; image < images; image++) {
      differences[image] += (own[image] - other[image]) / pairs.length;
    }
  }
  const values = pairs.map(([row, other]) => row[protocol] - other[protocol]);
  return { mean: mean(values), standardError: deviation(differences) / Math.sqrt(images), values };
}
