/** Reading a ranking that `deno task search` wrote. */
import { z } from "zod";
import { DataError } from "../errors.ts";
import type { Scored } from "../search/frontier.ts";
import { type Costs, type Preference, preferences } from "../search/preference.ts";

const whole = z.int().min(0);

const rankingSchema = z.object({
  step: whole.optional(),
  prefer: z.enum(preferences).nullish(),
  latencyBudget: z.object({}).nullish(),
  groups: z.array(z.object({ from: z.number(), to: z.number() })).min(1),
  ranking: z.array(z.object({
    arch: z.string(),
    macs: whole,
    params: whole,
    score: z.number(),
    latency: z.array(z.object({ batch: whole, msPerImage: z.number() })).optional(),
    tiedWithBest: z.boolean().optional(),
    withinBudget: z.boolean().optional(),
  })).min(1),
});

/** An architecture of a ranking. */
export interface RankedArchitecture extends Scored, Costs {
  /** Whether its score cannot be told from the highest of its group. */
  readonly tiedWithBest?: boolean;
  /** Whether it keeps to the time budget of the search. */
  readonly withinBudget?: boolean;
}

/** What a search found. */
export interface RankingFile {
  readonly path: string;
  /** Half-open ranges of MACs, ascending. */
  readonly groups: readonly { readonly from: number; readonly to: number }[];
  /** All that were ranked. */
  readonly candidates: readonly RankedArchitecture[];
  /** What the search preferred among those that cannot be told apart; absent where the score alone decided. */
  readonly prefer?: Preference;
  /** Whether the search had a time budget, which then holds for what is chosen. */
  readonly timed?: boolean;
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
    const { groups, ranking, step, prefer, latencyBudget } = result.data;
    return {
      path,
      groups,
      candidates: ranking,
      step,
      prefer: prefer ?? undefined,
      timed: Boolean(latencyBudget),
    };
  }
  const [{ path: field, message }] = result.error.issues;
  throw new DataError(
    `${path} is no ranking: ${
      field.join(".") || "the file"
    } is not as "deno task search" writes it (${message}). ` +
      `Give the ranking.json of a search.`,
  );
}
