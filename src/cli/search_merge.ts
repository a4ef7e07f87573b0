/** `deno task search --merge`: ranks what all shards of a search scored. */
import { join } from "@std/path";
import { UsageError } from "../errors.ts";
import { choosePlaces } from "../search/places.ts";
import { expectTies, rankScores } from "../search/rank_scores.ts";
import type { Ranking } from "../search/ranking.ts";
import { mergeShards } from "../search/shards.ts";
import { type SimilarityOptions, tableFormat } from "../search/similarity/options.ts";
import { countWork, type PrefixTree } from "../search/tree.ts";
import { fileFingerprint } from "../store/fingerprint.ts";
import { FolderLock } from "../store/folder_lock.ts";
import { version } from "../version.ts";
import type { Logger } from "./logger.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { guardOutputFolder, searchOutput } from "./output_guard.ts";
import { openRunCheckpoint } from "./run_checkpoint.ts";
import { type FinishedSearch, finishSearch, searchFileNames, writeSearchFiles } from "./search_files.ts";
import type { SearchFlags } from "./search_flags.ts";
import { sayComparing, warnOfNoIntervals } from "./search_run.ts";
import type { StoredShard } from "./search_shard_file.ts";
import { readShards } from "./search_shard_folders.ts";

/** A merged search, and what each shard took. */
export interface MergedSearch {
  readonly search: FinishedSearch;
  /** Folder of the results. */
  readonly out: string;
  readonly shards: readonly Pick<StoredShard, "name" | "shard" | "seconds" | "blockEvaluations">[];
}

/** Merges, and writes the files of a search. */
export async function mergeSearch(
  { merge, run: givenRun, out: givenOut, prefer }: SearchFlags,
  { logger, signal }: { logger: Logger; signal: AbortSignal },
): Promise<MergedSearch> {
  const shards = await readShards(merge);
  const [{ description: { run: ownRun }, settings }] = shards;
  const run = givenRun ?? ownRun;
  const out = givenOut ?? join(run, "search");
  if (givenRun !== undefined) await expectCheckpoint(shards[0], givenRun);
  if (settings.version !== version) {
    throw new UsageError(
      `The shards were searched by version ${settings.version}, this is ${version}. Merge them with the other, or ` +
        "search them again.",
    );
  }
  await guardOutputFolder(out, searchOutput, searchFileNames, merge);
  await makeOutputFolder(out);
  await using _ = await FolderLock.take(join(out, "search.lock"), (text) => logger.warn(text));
  const { ranking, tree } = await rank(shards, prefer, { logger, signal });
  const description = { ...shards[0].description, run };
  const search = finishSearch(description, {
    ...{ ranking, prefer },
    seconds: shards.reduce((sum, { seconds }) => sum + seconds, 0),
    work: countWork(description.imageSize, tree),
  });
  await writeSearchFiles(out, search);
  return { search, out, shards };
}

async function rank(
  shards: readonly StoredShard[],
  prefer: SearchFlags["prefer"],
  { logger, signal }: { logger: Logger; signal: AbortSignal },
): Promise<{ ranking: Ranking; tree: PrefixTree }> {
  const [{ network, description }] = shards;
  const { task, metric, metricSettings, stages, images, groupSize, imageSize, seed } = description;
  const places = choosePlaces(network, task, metric, stages.join(","));
  const format = tableFormat({ metric, ...metricSettings } as SimilarityOptions);
  const scored = await mergeShards(network, places, format, shards);
  const { blocks } = scored.images;
  expectTies(prefer, images, blocks);
  if (blocks === 0) warnOfNoIntervals(logger);
  const { ranking } = await rankScores(scored, { groupSize, imageSize }, { prefer, seed }, {
    signal,
    onRanked: () => sayComparing(scored.tree.candidates.length, logger),
    measure: () => Promise.resolve(new Map()),
  });
  if (!ranking) throw signal.reason;
  return { ranking, tree: scored.tree };
}

async function expectCheckpoint({ settings, flags, name }: StoredShard, run: string): Promise<void> {
  const { path } = await openRunCheckpoint(run, flags.checkpoint as string | undefined, () => {});
  if (await fileFingerprint(path) === settings.checkpoint) return;
  throw new UsageError(
    `--run ${run} has another checkpoint than the one that ${name} was searched with. Leave --run out.`,
  );
}
