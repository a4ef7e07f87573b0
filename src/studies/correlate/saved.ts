/** What a correlation has reached, between its parts: a JSON file beside its results. */
import { z } from "zod";
import { DataError } from "../../errors.ts";
import { writeFileAtomically } from "../../store/atomic_file.ts";
import { type Protocol, protocols } from "../judge.ts";

const settings = z.record(z.string(), z.string());
const shape = z.strictObject({
  settings,
  scores: z.record(z.string(), z.record(z.string(), z.number())),
  right: z.partialRecord(z.enum(protocols), z.array(z.record(z.string(), z.string().regex(/^[01]+$/)))),
  zeroCost: z.record(z.string(), z.record(z.string(), z.number())).default({}),
});

/** Results that are there already. */
export interface SavedCorrelation {
  /** What decides about the results, in words. */
  readonly settings: Readonly<Record<string, string>>;
  /** By the name of the score, then by architecture. */
  readonly scores: Record<string, Record<string, number>>;
  /** By protocol, for each seed, by architecture, whether each test image was classified right. */
  readonly right: Partial<Record<Protocol, Record<string, Uint8Array>[]>>;
  /** Zero-cost scores, by architecture, then by the name of the score. */
  readonly zeroCost: Record<string, Record<string, number>>;
}

/**
 * Reads what an interrupted correlation reached; undefined where there is none.
 *
 * @throws {DataError} for a file that is none
 */
export async function readSavedCorrelation(path: string): Promise<SavedCorrelation | undefined> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  let parsed;
  try {
    parsed = shape.parse(JSON.parse(text));
  } catch (error) {
    throw new DataError(`${path} is damaged: it is no saved correlation. Remove it, and begin anew.`, {
      cause: error,
    });
  }
  return {
    ...parsed,
    right: mapBits(parsed.right, (bits) => Uint8Array.from(bits, Number)),
  };
}

/** Keeps what was reached. */
export async function saveCorrelation(path: string, saved: SavedCorrelation): Promise<void> {
  const right = mapBits(saved.right, (bits) => bits.join(""));
  await writeFileAtomically(path, JSON.stringify({ ...saved, right }) + "\n");
}

function mapBits<From, To>(
  right: Partial<Record<Protocol, readonly Record<string, From>[]>>,
  to: (bits: From) => To,
): Partial<Record<Protocol, Record<string, To>[]>> {
  const mapSeed = (seed: Record<string, From>) =>
    Object.fromEntries(Object.entries(seed).map(([arch, bits]) => [arch, to(bits)]));
  return Object.fromEntries(
    Object.entries(right).map(([protocol, seeds]) => [protocol, seeds.map(mapSeed)]),
  );
}
