/**
 * How alike a candidate's features are to the teacher's. A metric prepares the teacher's side of one place of the network
 * and one image batch; any number of candidates is then compared with it, each recorded right after its features were, in
 * the same command stream. Sums over image batches stay on the device, in a {@linkcode ScoreTable}.
 */
import type { Gpu } from "../../gpu/device.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { AffinityMetric } from "./affinity.ts";
import { type CkaEstimator, CkaMetric, type CkaSamples } from "./cka.ts";
import { CosineMetric } from "./cosine.ts";
import type { TableFormat } from "./score_table.ts";
import type { PreparedTeacher } from "./teacher.ts";

export type { PreparedTeacher };

/** A measure of similarity. 1 is the score of identical features, and no features score higher. */
export interface SimilarityMetric extends TableFormat {
  /**
   * Records the preparation of the teacher's side.
   * @param features [N, C, H, W], or [N, D] for pooled features and projections
   */
  prepareTeacher(features: Tensor): PreparedTeacher;
}

/** Which metric, and its settings. */
export type SimilarityOptions =
  | { readonly metric: "cosine" }
  | { readonly metric: "affinity"; readonly positions?: number }
  | {
    readonly metric: "cka";
    readonly estimator?: CkaEstimator;
    readonly samples?: CkaSamples;
    readonly positions?: number;
  };

/**
 * The metric for these options.
 *
 * - `cosine`: {@linkcode CosineMetric}
 * - `affinity`: {@linkcode AffinityMetric}; at most `positions` positions of a map, default all
 * - `cka`: {@linkcode CkaMetric}; estimator default "debiased", samples default "images", `positions` as above
 *
 * Throws {@linkcode ConfigurationError} for a number of positions that is not a positive integer.
 */
export function similarityMetric(gpu: Gpu, options: SimilarityOptions): SimilarityMetric {
  switch (options.metric) {
    case "cosine":
      return new CosineMetric(gpu);
    case "affinity":
      return new AffinityMetric(gpu, options.positions);
    case "cka":
      return new CkaMetric(gpu, options.estimator, options.samples, options.positions);
  }
}
