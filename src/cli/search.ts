/** `deno task search`: ranks subnets without labels, by how alike their features are to the largest network's. */
import { formatDuration } from "../duration.ts";
import { join } from "@std/path";
import { withImageSize } from "../config/image_size.ts";
import { loadConfig } from "../config/load.ts";
import type { Interval } from "../search/intervals.ts";
import type { Latency } from "../search/latency.ts";
import type { Metric, Task } from "../search/places.ts";
import { buildTree } from "../search/tree.ts";
import { type Context, defineCommand, runCommand } from "./command.ts";
import { withAdvice } from "./advice.ts";
import {
  formatCount,
  formatQuantity,
  formatRoundQuantity,
  formatShare,
  formatTable,
  formatTime,
} from "./format.ts";
import { openRunCheckpoint } from "./run_checkpoint.ts";
import { selectCandidates } from "./search_candidates.ts";
import { rankingPath } from "./search_files.ts";
import { nextAfterSearch } from "./next.ts";
import { checkSearchFlags, metricOf, searchFlags } from "./search_flags.ts";
import { formatPlan, planSearch, type SearchPlan } from "./search_plan.ts";
import { SearchRun } from "./search_run.ts";

interface BestCandidate {
  readonly arch: string;
  readonly macs: number;
  readonly params: number;
  readonly score: number;
  readonly msPerImage?: number;
  readonly latency?: readonly Latency[];
  /** Absent where there are too few images to say. */
  readonly interval?: Interval;
}

interface SearchSummary {
  readonly metric: Metric;
  readonly task: Task;
  readonly images: number;
  /** 0 when the search was interrupted. */
  readonly evaluated: number;
  readonly seconds: number;
  /** For all batches: forward passes through one block, made and saved. */
  readonly blockEvaluations: { readonly done: number; readonly saved: number } | null;
  readonly groups: readonly {
    readonly from: number;
    readonly to: number;
    readonly best: BestCandidate;
    /** The highest score's id; another than the best's where a cheaper one that cannot be told from it is preferred. */
    readonly highest: string;
    /** How many others cannot be told from the highest; absent without intervals. */
    readonly tied?: number;
    /** Another group's best that is cheaper and scores at least as high. */
    readonly dominatedBy: string | null;
  }[];
  /** Null when the search was interrupted. */
  readonly ranking: string | null;
}

/** Half of an interval: `± 0.0031`. */
function formatSpread(interval: Interval | undefined): string {
  return interval ? `± ${((interval[1] - interval[0]) / 2).toFixed(4)}` : "";
}

function formatSummary(summary: SearchSummary): string {
  const { evaluated, seconds, images, groups, ranking, blockEvaluations } = summary;
  if (ranking === null || blockEvaluations === null) return `interrupted after ${formatDuration(seconds)}`;
  const { done, saved } = blockEvaluations;
  const known = groups.some(({ tied }) => tied !== undefined);
  const batches = groups.find(({ best }) => best.latency)?.best.latency?.map(({ batch }) => batch) ?? [];
  return [
    formatTable([
      [
        "group",
        "",
        "best",
        "MACs",
        "parameters",
        "score",
        ...known ? ["", ""] : [],
        ...batches.map((batch) => `ms/image (batch ${batch})`),
        "",
      ],
      ...groups.map(({ from, to, best, tied, dominatedBy }) => [
        formatRoundQuantity(from),
        `to ${formatRoundQuantity(to)}`,
        best.arch,
        formatQuantity(best.macs),
        formatQuantity(best.params),
        best.score.toFixed(4),
        ...known ? [formatSpread(best.interval), tied ? `${formatCount(tied)} tied` : ""] : [],
        ...batches.map((_, at) => formatTime(best.latency?.[at])),
        dominatedBy === null ? "" : `outdone by the cheaper ${dominatedBy}`,
      ]),
    ], `rllrrr${known ? "lr" : ""}${"r".repeat(batches.length)}l`),
    "",
    `${formatCount(evaluated)} architectures on ${formatCount(images)} images in ${
      formatDuration(seconds)
    }; ` +
    `shared prefixes saved ${formatCount(saved)} of ${formatCount(done + saved)} block evaluations ` +
    `(${formatShare(saved / (done + saved))})`,
    ranking,
    ranking.replace(/ranking\.json$/, "report.html"),
  ].join("\n");
}

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
    "deno task search --dry-run --all --config configs/imagenet-ar50to101.json",
  ],
  run: (context): Promise<SearchSummary | SearchPlan> => withAdvice(advice, () => search(context)),
  format: (result) => "macsPerSecond" in result ? formatPlan(result) : formatSummary(result),
});

async function search(
  { flags, logger, onInterrupt, next }: Context<typeof searchFlags>,
): Promise<SearchSummary | SearchPlan> {
  checkSearchFlags(flags);
  const checkpoint = flags.run === undefined
    ? undefined
    : await openRunCheckpoint(flags.run, flags.checkpoint, (text) => logger.warn(text));
  const config = withImageSize(checkpoint?.config ?? await loadConfig(flags.config!), flags.imageSize);
  const selection = selectCandidates(flags, config, logger);
  if (flags.dryRun) {
    const passes = flags.batchnorm === "recalibrated" ? 2 : 1;
    const { images, batch } = flags;
    const tree = buildTree(selection.network, selection.candidates, selection.places);
    return await planSearch(config, tree, { images, batch, passes, logger });
  }
  const out = flags.out ?? join(flags.run!, "search");
  const signal = onInterrupt("Stopping; what is done is saved.");
  const paths = { run: flags.run!, checkpoint: checkpoint!.path, out };
  const searchRun = new SearchRun(paths, flags, selection, { logger, signal });
  const outcome = await searchRun.run();
  const common = { metric: metricOf(flags), task: flags.task };
  if (outcome.interrupted) {
    const { images, seconds } = outcome;
    return { ...common, images, evaluated: 0, seconds, blockEvaluations: null, groups: [], ranking: null };
  }
  const { images, seconds, blockEvaluations, ranking } = outcome.search;
  // What a budget or a preference chose is recommended from, else all that were ranked.
  const chosen = flags.prefer !== undefined || flags.latency !== undefined
    ? { latency: flags.latency }
    : undefined;
  const pool = chosen ? ranking.groups.map(({ best }) => best) : ranking.candidates;
  nextAfterSearch(next, flags.run!, rankingPath(out), pool, chosen);
  return {
    ...common,
    images,
    evaluated: ranking.candidates.length,
    seconds,
    blockEvaluations,
    groups: ranking.groups.map((
      { best: { scorePerStage: _, ...best }, total: _1, evaluated: _2, ...group },
    ) => ({
      ...group,
      best,
    })),
    ranking: rankingPath(out),
  };
}

if (import.meta.main) await runCommand(searchCommand);
