/** Cosine of vectors: the published measure for classification, on the projections. */
import { ShapeError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { expectShape, Tensor } from "../../tensor/tensor.ts";
import type { PreparedTeacher, SimilarityMetric } from "./metric.ts";
import type { ScoreTable } from "./score_table.ts";

/**
 * Mean over images of the cosine between the teacher's vector and the candidate's, [N, D] each, of one width. Two zero
 * vectors agree: 1; a zero vector and another score 0.
 */
export class CosineMetric implements SimilarityMetric {
  readonly components = 2;

  constructor(readonly gpu: Gpu) {}

  /** See {@linkcode SimilarityMetric}. Throws {@linkcode ShapeError} for features other than [N, D]. */
  prepareTeacher(features: Tensor): PreparedTeacher {
    expectShape("cosine", "the teacher's features", features.shape, [-1, -1]);
    const { gpu } = this;
    const teacher = Tensor.create(gpu, features.shape);
    gpu.stream.copy(features, teacher);
    return {
      accumulate: (candidate, table, slot) => this.#accumulate(teacher, candidate, table, slot),
      release: () => teacher.release(),
    };
  }

  #accumulate(teacher: Tensor, candidate: Tensor, table: ScoreTable, slot: number): void {
    table.check(this, slot);
    const [rows, columns] = teacher.shape;
    if (candidate.shape[1] !== columns) {
      throw new ShapeError(
        `cosine: a candidate of width ${
          candidate.shape[1]
        } and a teacher of width ${columns}; compare projections, ` +
          `or use affinity or cka, which take different widths`,
      );
    }
    expectShape("cosine", "the candidate's features", candidate.shape, teacher.shape);
    this.gpu.stream.dispatch({
      kernel: "cosine_score",
      buffers: { teacher, candidate, table: table.values },
      params: { rows, columns, slot },
      grid: [1, 1, 1],
      work: { bytes: 2 * teacher.byteLength },
    });
  }

  /** Mean from (sum of cosines, number of images). */
  score([sum, count]: readonly number[]): number {
    return sum / count;
  }
}
