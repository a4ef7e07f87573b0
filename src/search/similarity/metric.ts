/**
 * How alike a candidate's features are to the teacher's. A metric prepares the teacher's side of one place of the network
 * and one image batch; any number of candidates is then compared with it, each recorded right after its features were, in
 * the same command stream. Sums over image batches stay on the device, in a {@linkcode ScoreTable}.
 */
import type { Tensor } from "../../tensor/tensor.ts";
import type { TableFormat } from "./score_table.ts";
import type { PreparedTeacher } from "./teacher.ts";

/** A measure of similarity. 1 is the score of identical features, and no features score higher. */
export interface SimilarityMetric extends TableFormat {
  /**
   * Records the preparation of the teacher's side.
   * @param features [N, C, H, W], or [N, D] for pooled features and projections
   */
  prepareTeacher(features: Tensor): PreparedTeacher;
}
