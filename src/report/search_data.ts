/** The plain data of which a search report is made. */

import type { Interval } from "../search/intervals.ts";
import type { Latency } from "../search/latency.ts";
import type { Task } from "../search/places.ts";
import type { Preference } from "../search/preference.ts";

/** One evaluated architecture. */
export interface SearchCandidate {
  /** Its id, e.g. `64-64.128.256.512-3.4.6.3`. */
  readonly arch: string;
  /** Multiplications of its convolutions for one image of {@linkcode SearchReport.imageSize}. */
  readonly macs: number;
  readonly params: number;
  /** Similarity to the teacher, finite, 1 for the same features; higher is better. */
  readonly score: number;
  /** The score of each of {@linkcode SearchReport.stages}, in their order. */
  readonly scorePerStage: readonly number[];
  /** Where 95 % of its scores on resampled images lie; absent where there are too few images to say. */
  readonly interval?: Interval;
  /** Whether its score cannot be told from the highest of its group; absent without intervals. */
  readonly tiedWithBest?: boolean;
  /** Forward times with their spread, where they were measured: of single images, then of the search's batch. */
  readonly latency?: readonly Latency[];
}

/** A half-open range of MACs in which candidates were evaluated. */
export interface SearchGroup {
  /** Lower bound in MACs, included. */
  readonly from: number;
  /** Upper bound in MACs, excluded. */
  readonly to: number;
  /** Number of architectures that the space has in this range. */
  readonly total: number;
  /** Number of them that were evaluated, at least 1. */
  readonly evaluated: number;
  /** The one of them with the highest score, or the cheapest that cannot be told from it where such are preferred. */
  readonly best: SearchCandidate;
  /** How many others cannot be told from the highest score; absent without intervals. */
  readonly tied?: number;
  /** Another group's best that is cheaper and scores at least as high, by its id; null where there is none. */
  readonly dominatedBy: string | null;
}

/** What a search report is made from. */
export interface SearchReport {
  /** The page's title, e.g. the folder of the search. */
  readonly title: string;
  /** The version of Scion. */
  readonly version: string;
  /** The adapter, as it names itself. */
  readonly device: string;
  /** Path of the run folder, as `deno task extract --run` takes it. */
  readonly run: string;
  /** The data specification, e.g. `folder:photos`. */
  readonly data: string;
  /** Number of images on which the candidates were compared. */
  readonly images: number;
  /** Height and width of the images that the network sees. */
  readonly imageSize: number;
  readonly task: Task;
  readonly metric: "cosine" | "affinity" | "cka";
  /** The features that were compared, e.g. `c2` to `c5`, or `projection`. */
  readonly stages: readonly string[];
  /** Where the batchnorm statistics came from, in words, e.g. `statistics of the batch`. */
  readonly batchnorm: string;
  /** Path of the search's `ranking.json`, as `deno task extract --from` takes it. */
  readonly ranking: string;
  /** Number of architectures evaluated. */
  readonly evaluated: number;
  /** Number of architectures of the space in the groups of which some were evaluated. */
  readonly total: number;
  /** What the bests of groups cost little of, among those that cannot be told apart; absent where the score alone decided. */
  readonly prefer?: Preference;
  /** What the bests of groups take for a single image, in words; absent without a time budget. */
  readonly latencyBudget?: string;
  /** Wall time of the search. */
  readonly seconds: number;
  /** Forward passes through one residual block on one batch: those made, and those that shared prefixes saved. */
  readonly blockEvaluations: { readonly done: number; readonly saved: number };
  /** In ascending order of MACs, those without an evaluated candidate left out. */
  readonly groups: readonly SearchGroup[];
  /** All evaluated candidates, in any order. */
  readonly candidates: readonly SearchCandidate[];
  /** Further settings worth reading, in the order in which they are listed. */
  readonly settings: readonly (readonly [label: string, value: string])[];
}
