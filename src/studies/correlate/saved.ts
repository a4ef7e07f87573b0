/** What a correlation has reached, between its parts: a JSON file beside its results. */
import { z } from "zod";
import { DataError } from "../../errors.ts";
import { writeFileAtomically } from "../../store/atomic_file.ts";
import type { Outcome } from "./outcome.ts";
import { type CorrelateProtocol, correlateProtocols } from "./protocols.ts";

const counts = z.array(z.number());
const outcome = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("right"), right: z.string().regex(/^[01]+$/) }),
  z.strictObject({ kind: z.literal("pixels"), classes: z.number(), counts: z.array(counts) }),
  z.strictObject({
    kind: z.literal("objects"),
    matches: z.array(z.array(
      z.strictObject({
        scores: counts,
        outcomes: z.array(z.string().regex(/^[rwi]*$/)),
        objects: z.number(),
      }),
    )),
  }),
]);
const settings = z.record(z.string(), z.string());
const shape = z.strictObject({
  settings,
  scores: z.record(z.string(), z.record(z.string(), z.number())),
  outcomes: z.partialRecord(z.enum(correlateProtocols), z.array(z.record(z.string(), outcome))),
  zeroCost: z.record(z.string(), z.record(z.string(), z.number())).default({}),
});

/** Results that are there already. */
export interface SavedCorrelation {
  /** What decides about the results, in words. */
  readonly settings: Readonly<Record<string, string>>;
  /** By the name of the score, then by architecture. */
  readonly scores: Record<string, Record<string, number>>;
  /** By protocol, for each seed, by architecture, what became of each test image. */
  readonly outcomes: Partial<Record<CorrelateProtocol, Record<string, Outcome>[]>>;
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
  try {
    return shape.parse(JSON.parse(text));
  } catch (error) {
    throw new DataError(`${path} is damaged: it is no saved correlation. Remove it, and begin anew.`, {
      cause: error,
    });
  }
}

/** Keeps what was reached. */
export async function saveCorrelation(path: string, saved: SavedCorrelation): Promise<void> {
  await writeFileAtomically(path, JSON.stringify(saved) + "\n");
}
