/** One shard of a search, from flags to its file. */
import { commandLine, shellWord } from "../shell.ts";
import { scoreShard } from "../search/shards.ts";
import { formatShard, type ShardOf } from "../search/split.ts";
import type { Context } from "./command.ts";
import type { Flags } from "./flags.ts";
import { shardOutput } from "./output_guard.ts";
import { blockEvaluations, type FinishedSearch } from "./search_files.ts";
import { searchFlags } from "./search_flags.ts";
import { warnOfNoIntervals } from "./search_run.ts";
import { type SearchOrder, withSearch } from "./search_session.ts";
import { shardFile, shardPath, writeShard } from "./search_shard_file.ts";
import { givenFlags, shardFolder } from "./search_shard_flags.ts";

/** How a shard ended. */
export interface ShardEnd {
  readonly images: number;
  /** Architectures that were scored; 0 when it was interrupted. */
  readonly evaluated: number;
  readonly seconds: number;
  readonly blockEvaluations: FinishedSearch["blockEvaluations"] | null;
  /** What it wrote; null when it was interrupted. */
  readonly file: string | null;
}

/** Scores a shard, and writes its file unless it is interrupted. */
export async function searchShard(order: SearchOrder, shard: ShardOf): Promise<ShardEnd> {
  return await withSearch(order, shardOutput, [shardFile], async (session) => {
    const { gpu, hooks, inputs, config: { space } } = session;
    const { out, flags, selection: { groupSize }, signal, logger } = order;
    const outcome = await session.resumable(async () =>
      await scoreShard(gpu, await session.request(), shard, { ...hooks, signal })
    );
    const { collected, work } = outcome;
    const seconds = Number(outcome.seconds.toFixed(2));
    const images = inputs.images.count;
    session.endProgress();
    if (!collected) {
      session.onInterrupted();
      return { images, seconds, evaluated: 0, blockEvaluations: null, file: null };
    }
    await session.onScored(outcome.seconds);
    if (outcome.imageBlocks === 0) warnOfNoIntervals(logger);
    const description = await session.describe({ ...outcome, groupSize });
    const blocks = blockEvaluations(description, work);
    const { shard: _, out: _1, resume: _2, profile: _3, ...given } = givenFlags(searchFlags, flags);
    await writeShard(out, collected, {
      ...{ description, space, seconds, blockEvaluations: blocks, flags: given },
    });
    await session.forgetSaved();
    const evaluated = collected.candidates.length;
    return { images, seconds, evaluated, blockEvaluations: blocks, file: shardPath(out) };
  });
}

/** After a shard: the others, and the merge. */
export function nextAfterShard(
  next: Context<Flags>["next"],
  { run, out }: Pick<SearchOrder, "run" | "out">,
  shard: ShardOf,
): void {
  const folders = out === shardFolder(run, shard)
    ? shellWord(out).replace(/-\d+-of-(\d+)('?)$/, "-$2*-of-$1")
    : "DIR…";
  next(
    `This was shard ${formatShard(shard)}. Next, when all ${shard.count} are done, rank what they scored:`,
    `${commandLine("search", {})} --merge ${folders}`,
  );
}
