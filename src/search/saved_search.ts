/** What an interrupted search leaves in its folder: sums of scores, how far they go, and which search they belong to. */
import { z } from "zod";
import { DataError } from "../errors.ts";
import { readFull } from "../store/read_full.ts";
import { openSafetensors, writeSafetensors } from "../store/safetensors.ts";

/** What decides about scores, by name, in words that can be shown. */
export type SearchSettings = Readonly<Record<string, string>>;

/** How far a search came. */
export interface SavedSearch {
  readonly settings: SearchSettings;
  /** Rounds that are complete. */
  readonly round: number;
  /** The first slot of the next round that is missing. */
  readonly slot: number;
  /** Time spent so far. */
  readonly seconds: number;
  /** [slots, components]. */
  readonly sums: Float64Array<ArrayBuffer>;
}

const whole = z.int().min(0);
const stateSchema = z.object({
  settings: z.record(z.string(), z.string()),
  round: whole,
  slot: whole,
  seconds: z.number().min(0),
});

/** Writes the file, atomically. */
export async function saveSearch(path: string, { sums, ...state }: SavedSearch): Promise<void> {
  const tensor = { dtype: "F64", shape: [sums.length], data: sums } as const;
  await writeSafetensors(path, [["sums", tensor]], { search: JSON.stringify(state) });
}

/**
 * Reads the file.
 *
 * @throws {DataError} when it is not what {@linkcode saveSearch} writes
 */
export async function readSavedSearch(path: string): Promise<SavedSearch> {
  using file = await openSafetensors(path);
  const { data } = await file.readExpected("sums", "F64", [null]);
  if (file.checksum === undefined) {
    throw new DataError(`${path} has no checksum. Remove it, and search without --resume.`);
  }
  try {
    const state = stateSchema.parse(JSON.parse(file.metadata.search ?? "null"));
    return { ...state, sums: data as Float64Array<ArrayBuffer> };
  } catch (error) {
    throw new DataError(`${path} is no interrupted search. Remove it, and search without --resume.`, {
      cause: error,
    });
  }
}

/** How far a search can come: rounds, scores of a round, and sums of a score. */
export interface SearchExtent {
  readonly rounds: number;
  readonly slots: number;
  readonly components: number;
}

/**
 * Refuses a search that is not where this one can be: it would leave scores out, or add to them twice.
 *
 * @param path the saved search's file, for messages
 * @throws {DataError} naming what is wrong
 */
export function expectPosition(
  { round, slot, sums }: SavedSearch,
  { rounds, slots, components }: SearchExtent,
  path: string,
): void {
  const refuse = (what: string): never => {
    throw new DataError(
      `${path} is no state of this search: ${what}. Remove it, and search without --resume.`,
    );
  };
  if (sums.length !== slots * components) {
    refuse(`it has ${sums.length} sums, this search ${slots} scores of ${components}`);
  }
  if (round > rounds || (round === rounds && slot > 0)) {
    refuse(`it is in round ${round}, score ${slot}, of ${rounds} rounds`);
  }
  if (slot > slots) refuse(`it is at score ${slot} of ${slots}`);
  if (round === 0 && sums.subarray(slot * components).some((sum) => sum !== 0)) {
    refuse(`it has sums of scores from ${slot} on, which it did not come to`);
  }
}

/** The first setting in which two searches differ. */
export function differingSetting(
  saved: SearchSettings,
  wanted: SearchSettings,
): { name: string; saved: string; wanted: string } | undefined {
  for (const name of new Set([...Object.keys(wanted), ...Object.keys(saved)])) {
    const [one, other] = [saved[name] ?? "none", wanted[name] ?? "none"];
    if (one !== other) return { name, saved: one, wanted: other };
  }
}

const pieces = 16;
const pieceBytes = 2 ** 16;

/**
 * Tells versions of a large file apart without reading all of it: its length, and a digest of pieces from start to end.
 * Every step of training changes every weight, so pieces are enough.
 *
 * @throws {DataError} when the file cannot be read
 */
export async function fileFingerprint(path: string): Promise<string> {
  try {
    using file = await Deno.open(path);
    const { size } = await file.stat();
    const sample = new Uint8Array(pieces * pieceBytes);
    for (let piece = 0; piece < pieces; piece++) {
      await file.seek(Math.floor(piece * Math.max(0, size - pieceBytes) / (pieces - 1)), Deno.SeekMode.Start);
      await readFull(file, sample.subarray(piece * pieceBytes, (piece + 1) * pieceBytes));
    }
    return `${size} bytes, ${await digest(sample)}`;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new DataError(`Cannot read ${path}: ${error.message}.`, { cause: error });
  }
}

/** The first 16 hexadecimal digits of a SHA-256. */
export async function digest(data: Uint8Array<ArrayBuffer> | string): Promise<string> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return hash.subarray(0, 8).toHex();
}
