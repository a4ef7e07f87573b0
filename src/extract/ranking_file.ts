/** Reading the winners out of a ranking that `deno task search` wrote. */
import { z } from "zod";
import { DataError } from "../errors.ts";

const rankingSchema = z.object({
  step: z.int().min(0).optional(),
  groups: z.array(z.object({ best: z.object({ arch: z.string() }) })).min(1),
});

/** What a ranking found best. */
export interface BestPerGroup {
  /** Ids of the best architecture of each group of MACs, in the order of the groups. */
  readonly architectures: readonly string[];
  /** Steps of pretraining that the ranked weights had; undefined where the file does not say. */
  readonly step: number | undefined;
}

/**
 * Reads what a ranking found best.
 *
 * @param path `ranking.json`
 * @throws {DataError} when it cannot be read or is no ranking
 */
export async function readBestPerGroup(path: string): Promise<BestPerGroup> {
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
    const { groups, step } = result.data;
    return { architectures: groups.map(({ best }) => best.arch), step };
  }
  const [{ path: field, message }] = result.error.issues;
  throw new DataError(
    `${path} is no ranking: ${
      field.join(".") || "the file"
    } is not as "deno task search" writes it (${message}). ` +
      `Give the ranking.json of a search.`,
  );
}
