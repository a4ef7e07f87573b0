/** What a search leaves in its folder: `ranking.json`, `ranking.csv`, `report.html`. */
import { join } from "@std/path";
import { renderSearchReport } from "../report/search_report.ts";
import type { Range } from "../search/candidates.ts";
import type { Metric, Task } from "../search/places.ts";
import { formatTimes, type Preference } from "../search/preference.ts";
import { type Ranking, rankingCsv } from "../search/ranking.ts";
import type { BatchnormMode } from "../search/runner.ts";
import type { TreeWork } from "../search/tree.ts";
import { writeFileAtomically } from "../store/atomic_file.ts";
import { version } from "../version.ts";

/** What is searched, and how: the same for a search in one piece and for each of its shards. */
export interface SearchDescription {
  readonly run: string;
  /** Steps of the checkpoint that was searched. */
  readonly step: number;
  readonly device: string;
  readonly data: string;
  readonly images: number;
  readonly batch: number;
  readonly batchnorm: BatchnormMode;
  readonly imageSize: number;
  /** Pixels of the image to one of the last map. */
  readonly outputStride: number;
  readonly task: Task;
  readonly metric: Metric;
  /** Settings of the metric. */
  readonly metricSettings: Readonly<Record<string, string | number>>;
  /** Names of the places that were compared. */
  readonly stages: readonly string[];
  readonly groupSize: number;
  /** What intervals are: which share of how many resamples they hold, and how many blocks of images were drawn from. */
  readonly intervals: {
    readonly level: number;
    readonly resamples: number;
    readonly blocks: number;
  } | null;
  readonly seed: number;
}

/** A search that is done. */
export interface FinishedSearch extends SearchDescription {
  /** What the bests of groups are to cost little of, among those that cannot be told from the highest score. */
  readonly prefer: Preference | null;
  /** Milliseconds for a single image that the bests of groups keep to. */
  readonly latencyBudget: Range | null;
  /** Of a search in shards, the sum of theirs. */
  readonly seconds: number;
  /** Forward passes through one block on one batch; of a search in shards, those of one piece. */
  readonly blockEvaluations: { readonly done: number; readonly saved: number };
  /** MACs for one image of all candidates; likewise. */
  readonly macsPerImage: { readonly done: number; readonly saved: number };
  readonly ranking: Ranking;
}

/** Forward passes through one block on one batch: made, and saved by shared prefixes. */
export function blockEvaluations(
  { images, batch, batchnorm }: Pick<SearchDescription, "images" | "batch" | "batchnorm">,
  { blocks }: TreeWork,
): FinishedSearch["blockEvaluations"] {
  const batches = Math.ceil(images / batch);
  const passes = batchnorm === "recalibrated" ? 2 * batches : batches;
  return { done: passes * blocks.tree, saved: passes * (blocks.alone - blocks.tree) };
}

/** Completes a description by what was found. */
export function finishSearch(
  description: SearchDescription,
  { ranking, seconds, work, prefer, latency }: {
    readonly ranking: Ranking;
    readonly seconds: number;
    /** Of all candidates. */
    readonly work: TreeWork;
    readonly prefer: Preference | undefined;
    readonly latency?: Range;
  },
): FinishedSearch {
  const { macs } = work;
  return {
    ...description,
    prefer: prefer ?? null,
    latencyBudget: latency ?? null,
    seconds: Number(seconds.toFixed(2)),
    blockEvaluations: blockEvaluations(description, work),
    macsPerImage: { done: macs.tree, saved: macs.alone - macs.tree },
    ranking,
  };
}

const batchnormWords: Readonly<Record<BatchnormMode, string>> = {
  batch: "statistics of each batch",
  recalibrated: "statistics recalibrated on the same images",
};

/** What a search leaves in its folder; the first is written first. */
export const searchFileNames = ["ranking.json", "ranking.csv", "report.html"] as const;

/** `ranking.json` of a search's folder. */
export function rankingPath(folder: string): string {
  return join(folder, searchFileNames[0]);
}

/** Writes the three files. */
export async function writeSearchFiles(folder: string, search: FinishedSearch): Promise<void> {
  const { ranking, ...settings } = search;
  const { groups, candidates } = ranking;
  const json = { version, ...settings, evaluated: candidates.length, groups, ranking: candidates };
  await writeFileAtomically(rankingPath(folder), JSON.stringify(json, null, 1) + "\n");
  const csv = rankingCsv(ranking, search.stages, search.groupSize);
  await writeFileAtomically(join(folder, "ranking.csv"), csv);
  await writeFileAtomically(join(folder, "report.html"), await renderSearchReport(reportOf(folder, search)));
}

function reportOf(folder: string, search: FinishedSearch): Parameters<typeof renderSearchReport>[0] {
  const { ranking, stages, metricSettings } = search;
  const withScores = <T extends { scorePerStage: Readonly<Record<string, number>> }>(candidate: T) => ({
    ...candidate,
    scorePerStage: stages.map((stage) => candidate.scorePerStage[stage]),
  });
  return {
    title: folder,
    version,
    device: search.device,
    run: search.run,
    ranking: rankingPath(folder),
    data: search.data,
    images: search.images,
    imageSize: search.imageSize,
    task: search.task,
    metric: search.metric,
    stages,
    batchnorm: batchnormWords[search.batchnorm],
    evaluated: ranking.candidates.length,
    total: ranking.total,
    ...(search.prefer && { prefer: search.prefer }),
    ...(search.latencyBudget && { latencyBudget: formatTimes(search.latencyBudget) }),
    seconds: search.seconds,
    blockEvaluations: search.blockEvaluations,
    groups: ranking.groups.map((group) => ({ ...group, best: withScores(group.best) })),
    candidates: ranking.candidates.map(withScores),
    settings: [
      ["Output stride", String(search.outputStride)],
      ["Images of a batch", String(search.batch)],
      ...Object.entries(metricSettings).map(([name, value]): [string, string] => [
        `${search.metric}: ${name}`,
        String(value),
      ]),
      ["Steps of pretraining", String(search.step)],
      ...(search.intervals
        ? [[
          "Intervals",
          `${100 * search.intervals.level} % of ${search.intervals.resamples} resamples of ` +
          (search.intervals.blocks === search.images
            ? "the images"
            : `${search.intervals.blocks} blocks of images`),
        ] as [string, string]]
        : []),
      ...(search.prefer ? [["Preferred among ties", search.prefer] as [string, string]] : []),
      ["Seed", String(search.seed)],
    ],
  };
}
