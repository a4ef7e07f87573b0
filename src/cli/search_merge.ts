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
import { RunFolder } from "../store/run_folder.ts";
import { version } from "../version.ts";
import type { Logger } from "./logger.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { guardOutputFolder, searchOutput } from "./output_guard.ts";
import { openRunCheckpoint } from "./run_checkpoint.ts";
import { type FinishedSearch, finishSearch, searchFileNames, writeSearchFiles } from "./search_files.ts";
import { rankRules, type SearchFlags } from "./search_flags.ts";
import { MergeTimes } from "./search_merge_times.ts";
import { sayComparing, sayOutcome } from "./search_run.ts";
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
  flags: SearchFlags,
  session: { readonly logger: Logger; readonly signal: AbortSignal },
): Promise<MergedSearch> {
  const shards = await readShards(flags.merge);
  const [first] = shards;
  if (first.settings.version !== version) {
    throw new UsageError(
      `The shards were searched by version ${first.settings.version}, this is ${version}. Merge them with the other, or ` +
        "search them again.",
    );
  }
  const run = flags.run ?? first.description.run;
  const out = flags.out ?? join(run, "search");
  if (flags.out === undefined && !await RunFolder.holdsRun(run)) {
    throw new UsageError(
      `The shards searched the run ${run}, which is not there. Say where to write with --out DIR, or where the run is with ` +
        "--run DIR.",
    );
  }
  const { latency, measureBest, prefer } = rankRules(flags);
  const timed = latency !== undefined || measureBest !== 0 || prefer === "latency";
  const checkpoint = timed || flags.run !== undefined ? await findCheckpoint(first, run) : undefined;
  await guardOutputFolder(out, searchOutput, searchFileNames, flags.merge);
  await makeOutputFolder(out);
  await using _ = await FolderLock.take(join(out, "search.lock"), (text) => session.logger.warn(text));
  using times = timed ? await MergeTimes.open(checkpoint!, first, session) : undefined;
  const { ranking, tree } = await rank(shards, flags, times, session);
  const { description } = first;
  const search = finishSearch({ ...description, run }, {
    ...{ ranking, prefer, latency },
    seconds: shards.reduce((sum, { seconds }) => sum + seconds, 0),
    work: countWork(description.imageSize, tree),
  });
  await writeSearchFiles(out, search);
  return { search, out, shards };
}

async function rank(
  shards: readonly StoredShard[],
  flags: SearchFlags,
  times: MergeTimes | undefined,
  { logger, signal }: { readonly logger: Logger; readonly signal: AbortSignal },
): Promise<{ ranking: Ranking; tree: PrefixTree }> {
  const [{ network, description }] = shards;
  const { task, metric, metricSettings, stages, images, groupSize, imageSize, seed } = description;
  const places = choosePlaces(network, task, metric, stages.join(","));
  const format = tableFormat({ metric, ...metricSettings } as SimilarityOptions);
  const scored = await mergeShards(network, places, format, shards);
  const { tree, images: { blocks: imageBlocks } } = scored;
  const rules = { ...rankRules(flags), seed };
  expectTies(rules.prefer, images, imageBlocks);
  const ranked = await rankScores(scored, { groupSize, imageSize }, rules, {
    signal,
    onRanked: () => sayComparing(tree.candidates.length, logger),
    measure: (architectures) => times!.measure(architectures),
  });
  if (!ranked.ranking) throw signal.reason;
  sayOutcome(ranked, { imageBlocks, groupSize, latency: flags.latency, logger });
  return { ranking: ranked.ranking, tree };
}

/** The checkpoint that the shards searched. Throws {@linkcode UsageError} where the run has another by now. */
async function findCheckpoint({ settings, flags, name }: StoredShard, run: string): Promise<string> {
  const { path } = await openRunCheckpoint(run, flags.checkpoint as string | undefined, () => {});
  if (await fileFingerprint(path) === settings.checkpoint) return path;
  throw new UsageError(
    `${run} has another checkpoint than the one that ${name} was searched with: it is another run, or went on since. ` +
      "Leave --run and times out.",
  );
}
