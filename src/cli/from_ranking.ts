/** Architectures that flags choose from a ranking. */
import { join } from "@std/path";
import { UsageError } from "../errors.ts";
import { type Budgets, chooseRanked, type RankedChoice } from "../extract/ranked_choice.ts";
import { commandLine } from "../shell.ts";
import { formatQuantity } from "./format.ts";
import type { Logger } from "./logger.ts";
import type { RunCheckpoint } from "./run_checkpoint.ts";
import { rankingPath } from "./search_files.ts";

/**
 * Ids of architectures out of the ranking at a path, or the run's own.
 *
 * @throws {UsageError} where there is no ranking, or nothing within the budgets
 * @throws {DataError} for a file that is none
 */
export async function chooseFromRanking(
  { run, from, choice, budgets }: {
    readonly run: string;
    readonly from: string | undefined;
    readonly choice: RankedChoice;
    readonly budgets: Budgets;
  },
  { step }: RunCheckpoint,
  logger: Logger,
): Promise<string[]> {
  const { readRanking } = await import("../extract/ranking_file.ts");
  const path = from ?? rankingPath(join(run, "search"));
  if (from === undefined && !await Deno.stat(path).then(() => true, () => false)) {
    throw new UsageError(
      `There is no ranking to choose from: ${path} does not exist. Make it (${
        commandLine("search", { run })
      }), or give another one with --from.`,
    );
  }
  const ranking = await readRanking(path);
  if (ranking.step !== undefined && ranking.step !== step) {
    logger.warn(
      `${path} ranks the weights of step ${ranking.step}, the checkpoint has those of step ${step}: what was ` +
        "best there need not be so here. Search again, or choose the checkpoint with --checkpoint.",
    );
  }
  const chosen = chooseRanked(ranking, choice, budgets);
  if (choice.kind === "best") {
    const [{ arch, macs, params, score, tiedWithBest }] = chosen;
    logger.info(
      `${arch} ${
        ranking.prefer === undefined || !tiedWithBest
          ? "has the highest score"
          : `is the cheapest (${ranking.prefer}) of those that cannot be told from the highest score`
      } of those ranked in ${path}${
        ranking.timed || Object.keys(budgets).length > 0 ? ", within the budget" : ""
      }: ${score.toFixed(4)}, ${formatQuantity(macs)} MACs, ${formatQuantity(params)} parameters`,
    );
  }
  return chosen.map(({ arch }) => arch);
}
