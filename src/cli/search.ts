/** `deno task search`: ranks subnets without labels, by how alike their features are to the largest network's. */
import { join } from "@std/path";
import { withImageSize } from "../config/image_size.ts";
import { loadConfig } from "../config/load.ts";
import type { ShardOf } from "../search/split.ts";
import { buildTree } from "../search/tree.ts";
import { withAdvice } from "./advice.ts";
import { type Context, defineCommand, runCommand } from "./command.ts";
import { nextAfterSearch } from "./next.ts";
import { openRunCheckpoint } from "./run_checkpoint.ts";
import { selectCandidates } from "./search_candidates.ts";
import { type FinishedSearch, rankingPath } from "./search_files.ts";
import { checkSearchFlags, metricOf, searchFlags } from "./search_flags.ts";
import { mergeSearch } from "./search_merge.ts";
import { formatPlan, planSearch, type SearchPlan } from "./search_plan.ts";
import { searchWhole } from "./search_run.ts";
import type { SearchOrder } from "./search_session.ts";
import { nextAfterShard, searchShard } from "./search_shard.ts";
import { checkMergeFlags, givenFlags, shardFolder, shardOf } from "./search_shard_flags.ts";
import { formatSummary, type SearchSummary, summariseFound } from "./search_summary.ts";

/** Flags to change, by what an error is about. */
const advice = {
  memory: "The flags are --memory, --batch and --images.",
  batch: "The flags are --images and --batch.",
  places: "The flags are --metric, --task and --stages.",
  filters: "The flags are --macs, --params, --stem, --width and --depth.",
  all: "Use --per-group N in place of --all.",
  prefer: "The flags are --prefer and --images.",
  latency:
    "The scores are kept: give the same command with --resume and another --latency or --measure-best.",
};

const mergeAdvice = {
  prefer: "The flag is --prefer.",
  latency: "The flags are --latency and --measure-best.",
};

/** The command; exported for its tests. */
export const searchCommand = defineCommand({
  name: "search",
  summary:
    "Ranks the subnets of a pretrained network without labels and without training any: by the similarity of their " +
    "features to those of the largest network, on your images, at the stages that your task uses. Architectures that " +
    "begin alike share that beginning, which is computed once.",
  flags: searchFlags,
  examples: [
    "deno task search --run runs/demo --all",
    "deno task search --run runs/photos --data folder:photos --task detection --per-group 100 --measure",
    "deno task search --run runs/roads --task segmentation --output-stride 8 --image-size 224",
    "deno task search --run runs/photos --metric cka --macs ..4G --width 4=384..512",
    "deno task search --run runs/photos --all --latency ..5ms --prefer macs",
    "deno task search --run runs/photos --all --shard 0/4",
    "deno task search --merge runs/photos/search-shard-*-of-4",
    "deno task search --dry-run --all --config configs/imagenet-ar50to101.json",
  ],
  run: (context): Promise<SearchSummary | SearchPlan> =>
    context.flags.merge.length > 0
      ? withAdvice(mergeAdvice, () => merge(context))
      : withAdvice(advice, () => search(context)),
  format: (result) => "macsPerSecond" in result ? formatPlan(result) : formatSummary(result),
});

type SearchContext = Context<typeof searchFlags>;

async function search(context: SearchContext): Promise<SearchSummary | SearchPlan> {
  const { flags, logger, onInterrupt } = context;
  checkSearchFlags(flags);
  const checkpoint = flags.run === undefined
    ? undefined
    : await openRunCheckpoint(flags.run, flags.checkpoint, (text) => logger.warn(text));
  const config = withImageSize(checkpoint?.config ?? await loadConfig(flags.config!), flags.imageSize);
  const selection = selectCandidates(flags, config, logger);
  const shard = shardOf(flags);
  if (flags.dryRun) {
    const passes = flags.batchnorm === "recalibrated" ? 2 : 1;
    const { images, batch } = flags;
    const tree = buildTree(selection.network, selection.candidates, selection.places);
    return await planSearch(config, tree, { images, batch, passes, shard, logger });
  }
  const run = flags.run!;
  const out = flags.out ?? (shard ? shardFolder(run, shard) : join(run, "search"));
  const signal = onInterrupt("Stopping; what is done is saved.");
  const order = { run, checkpoint: checkpoint!.path, out, flags, selection, logger, signal };
  return shard ? await oneShard(order, shard, context) : await onePiece(order, context);
}

async function onePiece(order: SearchOrder, { flags, next }: SearchContext): Promise<SearchSummary> {
  const common = { metric: metricOf(flags), task: flags.task };
  const outcome = await searchWhole(order);
  if (outcome.interrupted) {
    const { images, seconds } = outcome;
    return { ...common, images, evaluated: 0, seconds, blockEvaluations: null, groups: [], ranking: null };
  }
  sayNext(next, outcome.search, order.out, flags.latency);
  return { ...common, ...summariseFound(outcome.search), ranking: rankingPath(order.out) };
}

async function oneShard(
  order: SearchOrder,
  shard: ShardOf,
  { flags, next }: SearchContext,
): Promise<SearchSummary> {
  const { file, ...end } = await searchShard(order, shard);
  if (file !== null) nextAfterShard(next, order, shard);
  const common = { metric: metricOf(flags), task: flags.task };
  return { ...common, ...end, groups: [], ranking: null, shard: { ...shard, file } };
}

async function merge({ flags, logger, onInterrupt, next }: SearchContext): Promise<SearchSummary> {
  checkMergeFlags(givenFlags(searchFlags, flags));
  const signal = onInterrupt("Stopping; the shards stay as they are.", "nothing to save");
  const { search, out, shards } = await mergeSearch(flags, { logger, signal });
  sayNext(next, search, out, flags.latency);
  return {
    ...{ metric: search.metric, task: search.task },
    ...summariseFound(search),
    ranking: rankingPath(out),
    shards: shards.map(({ name: folder, seconds, blockEvaluations }) => ({
      folder,
      seconds,
      blockEvaluations,
    })),
  };
}

/** What a budget or a preference chose is recommended from, else all that were ranked. */
function sayNext(
  next: SearchContext["next"],
  { run, ranking, prefer }: FinishedSearch,
  out: string,
  latency?: string,
): void {
  const chosen = prefer !== null || latency !== undefined ? { latency } : undefined;
  const pool = chosen ? ranking.groups.map(({ best }) => best) : ranking.candidates;
  nextAfterSearch(next, run, rankingPath(out), pool, chosen);
}

if (import.meta.main) await runCommand(searchCommand);
