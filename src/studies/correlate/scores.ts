/** The scores without labels that a correlation examines. */
import type { Architecture } from "../../elastic/architecture.ts";
import type { Gpu } from "../../gpu/device.ts";
import { metrics, type Task } from "../../search/places.ts";
import { type RankHooks, type RankRequest, rankSubnets } from "../../search/rank_subnets.ts";
import { type BatchnormMode, batchnormModes } from "../../search/runner.ts";
import { fewestImages, type SimilarityOptions } from "../../search/similarity/options.ts";

/** One way of scoring. */
export interface Scoring {
  /** The metric's name, with `, recalibrated` where its batchnorms are. */
  readonly name: string;
  readonly similarity: SimilarityOptions;
  readonly batchnorm: BatchnormMode;
}

/** Every metric that compares the task's features, with batch statistics and with recalibrated ones. */
export function scorings(task: Task): Scoring[] {
  return metrics.filter((metric) => task === "classification" || metric !== "cosine").flatMap((metric) =>
    batchnormModes.map((batchnorm): Scoring => ({
      name: batchnorm === "batch" ? metric : `${metric}, ${batchnorm}`,
      similarity: { metric },
      batchnorm,
    }))
  );
}

/**
 * Scores architectures in one way.
 *
 * @returns scores by architecture; undefined when it was interrupted
 */
export async function scoreSubnets(
  gpu: Gpu,
  request: Omit<RankRequest, "similarity" | "batchnorm" | "candidates">,
  candidates: readonly Architecture[],
  { similarity, batchnorm }: Scoring,
  hooks: RankHooks,
): Promise<Record<string, number> | undefined> {
  const { ranking } = await rankSubnets(gpu, { ...request, candidates, similarity, batchnorm }, hooks);
  return ranking && Object.fromEntries(ranking.candidates.map(({ arch, score }) => [arch, score]));
}

/** The fewest images that every scoring can compare. */
export function fewestScored(task: Task): number {
  return Math.max(...scorings(task).map(({ similarity }) => fewestImages(similarity)));
}
