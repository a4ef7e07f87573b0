/** What an interrupted search leaves in its folder: sums of scores, how far they go, and which search they belong to. */
import { z } from "zod";
import { DataError, UsageError } from "../errors.ts";
import { openSafetensors, writeSafetensors } from "../store/safetensors.ts";
import type { CollectedSums } from "./sums.ts";

/** What decides about scores, by name, in words that can be shown. */
export type SearchSettings = Readonly<Record<string, string>>;

/** How far a search came. */
export interface SavedSearch extends CollectedSums {
  readonly settings: SearchSettings;
  /** Rounds that are complete. */
  readonly round: number;
  /** The first slot of the next round that is missing. */
  readonly slot: number;
  /** Time spent so far. */
  readonly seconds: number;
}

const whole = z.int().min(0);
const stateSchema = z.object({
  settings: z.record(z.string(), z.string()),
  round: whole,
  slot: whole,
  seconds: z.number().min(0),
});

/** Writes the file, atomically. */
export async function saveSearch(
  path: string,
  { sums, imageSums, ...state }: SavedSearch,
): Promise<void> {
  await writeSums(path, { sums, imageSums }, { search: JSON.stringify(state) });
}

/** Writes what was collected of scores, atomically. */
export async function writeSums(
  path: string,
  { sums, imageSums }: CollectedSums,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  await writeSafetensors(path, [
    ["sums", { dtype: "F64", shape: [sums.length], data: sums }],
    ["imageSums", { dtype: "F32", shape: [imageSums.length], data: imageSums }],
  ], metadata);
}

/**
 * Reads what {@linkcode writeSums} wrote.
 *
 * @throws {DataError} for another file, and for one that is damaged
 */
export async function readSums(
  path: string,
): Promise<CollectedSums & { readonly metadata: Readonly<Record<string, string>> }> {
  using file = await openSafetensors(path);
  const sums = (await file.readExpected("sums", "F64", [null])).data as Float64Array<ArrayBuffer>;
  const imageSums = (await file.readExpected("imageSums", "F32", [null])).data as Float32Array<ArrayBuffer>;
  if (file.checksum === undefined) {
    throw new DataError(`${path} has no checksum. Remove it, and begin again.`);
  }
  return { sums, imageSums, metadata: file.metadata };
}

/**
 * Reads the file.
 *
 * @throws {DataError} when it is not what {@linkcode saveSearch} writes
 */
export async function readSavedSearch(path: string): Promise<SavedSearch> {
  const { sums, imageSums, metadata } = await readSums(path);
  try {
    const state = stateSchema.parse(JSON.parse(metadata.search ?? "null"));
    return { ...state, sums, imageSums };
  } catch (error) {
    throw new DataError(`${path} is no interrupted search. Remove it, and begin again.`, {
      cause: error,
    });
  }
}

/** How far a search can come: rounds, scores of a round, sums of a score, and numbers of its images. */
export interface SearchExtent {
  readonly rounds: number;
  readonly slots: number;
  readonly components: number;
  readonly imageValues: number;
}

/** A search that goes on differs from the one that was interrupted. */
export class OtherSearchError extends UsageError {
  constructor(readonly setting: string, readonly saved: string, readonly wanted: string) {
    super(`the interrupted search has another ${setting} (${saved}) than this one (${wanted})`);
  }
}

/** Refuses to go on with a search in which something that decides about scores was different. */
export function expectSame(saved: SearchSettings, wanted: SearchSettings): void {
  const difference = differingSetting(saved, wanted);
  if (difference) throw new OtherSearchError(difference.name, difference.saved, difference.wanted);
}

/**
 * Refuses a search that is not where this one can be: it would leave scores out, or add to them twice.
 * @throws {DataError} naming what is wrong
 */
export function expectPosition(
  { round, slot, sums, imageSums }: SavedSearch,
  { rounds, slots, components, imageValues }: SearchExtent,
): void {
  const refuse = (what: string): never => {
    throw new DataError(`the interrupted search is no state of this one: ${what}`);
  };
  if (sums.length !== slots * components) {
    refuse(`it has ${sums.length} sums, this search ${slots} scores of ${components}`);
  }
  if (imageSums.length !== slots * imageValues) {
    refuse(`it has ${imageSums.length} numbers of images, this search ${slots} scores of ${imageValues}`);
  }
  if (round > rounds || (round === rounds && slot > 0)) {
    refuse(`it is in round ${round}, score ${slot}, of ${rounds} rounds`);
  }
  if (slot > slots) refuse(`it is at score ${slot} of ${slots}`);
  const nonzero = (values: Float64Array | Float32Array) => values.some((value) => value !== 0);
  if (
    round === 0 &&
    (nonzero(sums.subarray(slot * components)) || nonzero(imageSums.subarray(slot * imageValues)))
  ) {
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
