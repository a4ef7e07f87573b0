/** Reading a ranking that `deno task search` wrote. */
import { z } from "zod";
import { DataError } from "../errors.ts";
import type { Scored } from "../search/frontier.ts";

const whole = z.int().min(0);

const rankingSchema = z.object({
  step: whole.optional(),
  groups: z.array(z.object({ from: z.number(), to: z.number() })).min(1),
  ranking: z.array(z.object({ arch: z.string(), macs: whole, params: whole, score: z.number() })).min(1),
});

/** What a search found. */
export interface RankingFile {
  readonly path: string;
  /** Half-open ranges of MACs, ascending. */
  readonly groups: readonly { readonly from: number; readonly to: number }[];
  /** All that were ranked. */
  readonly candidates: readonly Scored[];
  /** Steps of pretraining that the ranked weights had; undefined where the file does not say. */
  readonly step: number | undefined;
}

/**
 * Reads a ranking.
 *
 * @param path `ranking.json`
 * @throws {DataError} when it cannot be read or is no ranking
 */
export async function readRanking(path: string): Promise<RankingFile> {
  let value: unknown;
  try {
    value = JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const reason = error instanceof Deno.errors.NotFound ? "there is no such file" : error.message;
    throw new DataError(`Cannot read ${path}: ${reason}. Give the ranking.json of a search.`, {
      cause: error,
    });
  }
  const result = rankingSchema.safeParse(value);
  if (result.success) {
    const { groups, ranking, step } = result.data;
    return { path, groups, candidates: ranking, step };
  }
  const [{ path: field, message }] = result.error.issues;
  throw new DataError(
    `${path} is no ranking: ${
      field.join(".") || "the file"
    } is not as "deno task search" writes it (${message}). ` +
      `Give the ranking.json of a search.`,
  );
}
