/** What `deno task search` says at its end. */
import { formatDuration } from "../duration.ts";
import type { Interval } from "../search/intervals.ts";
import type { Latency } from "../search/latency.ts";
import type { Metric, Task } from "../search/places.ts";
import type { ShardOf } from "../search/split.ts";
import {
  formatCount,
  formatQuantity,
  formatRoundQuantity,
  formatShare,
  formatTable,
  formatTime,
} from "./format.ts";
import type { FinishedSearch } from "./search_files.ts";

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

/** What was found. */
export interface SearchSummary {
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
  /** Null when the search was interrupted, and for a shard, which ranks nothing. */
  readonly ranking: string | null;
  /** Of a shard: which one it is, and what it wrote, null when it was interrupted. */
  readonly shard?: ShardOf & { readonly file: string | null };
  /** Of a merge: its shards, and what each took. */
  readonly shards?: readonly {
    readonly folder: string;
    readonly seconds: number;
    readonly blockEvaluations: FinishedSearch["blockEvaluations"];
  }[];
}

/** The part of a summary that says what was found. */
export function summariseFound(
  { images, seconds, blockEvaluations, ranking }: FinishedSearch,
): Pick<SearchSummary, "images" | "evaluated" | "seconds" | "blockEvaluations" | "groups"> {
  return {
    images,
    evaluated: ranking.candidates.length,
    seconds,
    blockEvaluations,
    groups: ranking.groups.map((
      { best: { scorePerStage: _, ...best }, total: _1, evaluated: _2, ...group },
    ) => ({ ...group, best })),
  };
}

/** Half of an interval: `± 0.0031`. */
function formatSpread(interval: Interval | undefined): string {
  return interval ? `± ${((interval[1] - interval[0]) / 2).toFixed(4)}` : "";
}

/** The summary for people. */
export function formatSummary(summary: SearchSummary): string {
  const { seconds, groups, ranking, blockEvaluations, shard } = summary;
  if (blockEvaluations === null) return `interrupted after ${formatDuration(seconds)}`;
  const work = formatWork(summary, blockEvaluations);
  if (ranking === null) return [work, shard!.file].join("\n");
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
    work,
    ...(summary.shards ? [formatShards(summary.shards, blockEvaluations.done)] : []),
    ranking,
    ranking.replace(/ranking\.json$/, "report.html"),
  ].join("\n");
}

function formatWork(
  { evaluated, images, seconds }: SearchSummary,
  { done, saved }: FinishedSearch["blockEvaluations"],
): string {
  const all = done + saved;
  return `${formatCount(evaluated)} architectures on ${formatCount(images)} images in ${
    formatDuration(seconds)
  }` +
    (all === 0
      ? ""
      : `; shared prefixes saved ${formatCount(saved)} of ${formatCount(all)} block evaluations (${
        formatShare(saved / all)
      })`);
}

/** What the shards of a search took together. */
function formatShards(shards: NonNullable<SearchSummary["shards"]>, whole: number): string {
  const longest = Math.max(...shards.map(({ seconds }) => seconds));
  const done = shards.reduce((sum, { blockEvaluations: { done } }) => sum + done, 0);
  return `merged from ${formatCount(shards.length)} shards: that time is their sum, the longest took ${
    formatDuration(longest)
  }; they made ${formatCount(done - whole)} block evaluations more than one piece (${
    formatShare((done - whole) / whole)
  })`;
}
