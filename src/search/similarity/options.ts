/** Metrics by their options. */
import type { Gpu } from "../../gpu/device.ts";
import { AffinityMetric } from "./affinity.ts";
import { type CkaEstimator, CkaFormat, CkaMetric, type CkaSamples, fewestSamples } from "./cka.ts";
import { CosineMetric } from "./cosine.ts";
import type { SimilarityMetric } from "./metric.ts";
import { MeanFormat, type TableFormat } from "./score_table.ts";

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

/** What the metric for these options keeps of scores; needs no device, and makes the same scores of it. */
export function tableFormat(options: SimilarityOptions): TableFormat {
  return options.metric === "cka" ? new CkaFormat(options.samples) : new MeanFormat();
}

/** The fewest images of a batch: those that CKA over images needs, else two, for batchnorm. */
export function fewestImages(options: SimilarityOptions): number {
  const overImages = options.metric === "cka" && (options.samples ?? "images") === "images";
  return overImages ? fewestSamples[options.estimator ?? "debiased"] : 2;
}
