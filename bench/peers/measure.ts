/** Checking and timing one row. */
import { GpuError } from "../../src/errors.ts";
import { median } from "../../src/median.ts";
import type { Contender, PreparedRow, Results } from "./contender.ts";
import type { Row } from "./rows.ts";

/** What came out for one row. Times and ratios are null where a library could not do the row. */
export interface RowTimes {
  /** Median milliseconds of one repetition, in the order of the contenders. */
  readonly milliseconds: (number | null)[];
  /** Rounds that the medians are of. */
  readonly rounds: number;
  /** Why a library has no time. */
  readonly notes: string[];
}

/** Largest relative error between results that count as equal. */
const tolerance = 1e-3;

/**
 * The same for what a whole network's parameters move by. Among its millions of activations a few lie so close to the
 * edge of ReLU that rounding decides; each shifts the gradients of the layers before it by some tenths of a per cent.
 */
const movementTolerance = 2e-2;

/** A measurement lasts at least so long: the wait at its end costs about 11 ms under Deno, for everybody. */
const measurementMilliseconds = 150;

const mostRepetitions = 256;

/** A row gets fewer rounds when they would take longer than this. */
const rowMilliseconds = 20_000;

/** A library that needs longer than this for one repetition is measured once. */
const slowMilliseconds = 6_000;

/** |actual - expected| / |expected|, Euclidean; infinite for results that are not numbers. */
function relativeError(actual: Float32Array, expected: Float32Array): number {
  let difference = 0;
  let scale = 0;
  for (let at = 0; at < expected.length; at++) {
    difference += (actual[at] - expected[at]) ** 2;
    scale += expected[at] ** 2;
  }
  return Number.isNaN(difference) ? Infinity : Math.sqrt(difference / (scale || 1));
}

function compare(row: Row, contender: Contender, results: Results, expected: Results): void {
  for (const [name, values] of expected) {
    const other = results.get(name);
    const error = other?.length === values.length ? relativeError(other, values) : Infinity;
    const allowed = row.kind === "training" && name !== "loss" ? movementTolerance : tolerance;
    if (error <= allowed) continue;
    throw new GpuError(
      `${row.name}: '${name}' of ${contender.name} differs from Scion's: relative error ` +
        `${
          error.toExponential(1)
        }; at most ${allowed} is allowed. One of the two is wrong, so their times mean nothing.`,
    );
  }
}

async function run({ repeat, finish }: PreparedRow, repetitions: number): Promise<number> {
  const started = performance.now();
  for (let repetition = 0; repetition < repetitions; repetition++) await repeat();
  await finish();
  return performance.now() - started;
}

/** A library with the row's work prepared. */
interface Ready {
  readonly index: number;
  readonly work: PreparedRow;
  readonly repetitions: number;
  /** Milliseconds that a measurement will last. */
  readonly expected: number;
  /** Milliseconds of a repetition in each measurement. */
  readonly times: number[];
}

/** Prepares a row, runs it once and compares. Returns the reason where the library cannot do it. */
async function prepare(
  row: Row,
  contender: Contender,
  expected?: Results,
): Promise<{ work: PreparedRow; results: Results } | string> {
  let work: PreparedRow;
  let results: Results;
  try {
    work = await contender.prepare(row);
    results = await work.results();
  } catch (error) {
    // Without a reference it is our own failure.
    if (!expected) throw error;
    return error instanceof Error ? error.message.split("\n")[0] : String(error);
  }
  if (expected) compare(row, contender, results, expected);
  return { work, results };
}

/** Finds the least number of repetitions that last long enough, warming up on the way. */
async function warmUp(index: number, work: PreparedRow): Promise<Ready> {
  const first = await run(work, 1);
  if (first > slowMilliseconds) return { index, work, repetitions: 1, expected: 0, times: [first] };
  let repetitions = 1;
  let milliseconds = first;
  while (milliseconds < measurementMilliseconds && repetitions < mostRepetitions) {
    repetitions *= 4;
    milliseconds = await run(work, repetitions);
  }
  const wanted = Math.ceil(repetitions * measurementMilliseconds / milliseconds);
  const chosen = Math.max(1, Math.min(wanted, mostRepetitions));
  return { index, work, repetitions: chosen, expected: milliseconds * chosen / repetitions, times: [] };
}

/**
 * Measures a row on all contenders in turn, round by round, so that a change of the machine's speed meets all.
 *
 * @param contenders the first is the reference of the values
 * @throws {GpuError} when results differ
 */
export async function measureRow(
  row: Row,
  contenders: readonly Contender[],
  wantedRounds: number,
): Promise<RowTimes> {
  const ready: Ready[] = [];
  const notes: string[] = [];
  let expected: Results | undefined;
  for (const [index, contender] of contenders.entries()) {
    const outcome = await prepare(row, contender, expected);
    if (typeof outcome === "string") {
      notes.push(`${contender.name} cannot do this: ${outcome}`);
      continue;
    }
    expected ??= outcome.results;
    const warm = await warmUp(index, outcome.work);
    if (warm.times.length > 0) notes.push(`${contender.name} is slow here and was measured once`);
    ready.push(warm);
  }
  const measured = ready.filter(({ times }) => times.length === 0);
  const roundMilliseconds = measured.reduce((sum, one) => sum + one.expected, 0);
  const rounds = Math.max(1, Math.min(wantedRounds, Math.floor(rowMilliseconds / roundMilliseconds)));
  for (let round = 0; round < rounds; round++) {
    for (const { work, repetitions, times } of measured) {
      times.push(await run(work, repetitions) / repetitions);
    }
  }
  const milliseconds: (number | null)[] = contenders.map(() => null);
  for (const { index, work, times } of ready) {
    milliseconds[index] = median(times);
    work.release();
  }
  return { milliseconds, rounds, notes };
}
