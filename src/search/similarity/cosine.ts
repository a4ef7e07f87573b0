/** Cosine of vectors: the published measure for classification, on the projections. */
import { ShapeError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { rowProducts } from "../../tensor/ops/row_products.ts";
import { expectShape, Tensor } from "../../tensor/tensor.ts";
import { addCosines, type ScoreTarget } from "./cosine_sums.ts";
import type { SimilarityMetric } from "./metric.ts";
import { MeanFormat } from "./score_table.ts";
import { type PreparedTeacher, preparedTeacher } from "./teacher.ts";

/**
 * Mean over images of the cosine between the teacher's vector and the candidate's, [N, D] each, of one width. Two zero
 * vectors agree: 1; a zero vector and another score 0.
 */
export class CosineMetric extends MeanFormat implements SimilarityMetric {
  constructor(readonly gpu: Gpu) {
    super();
  }

  /** See {@linkcode SimilarityMetric}. Throws {@linkcode ShapeError} for features other than [N, D]. */
  prepareTeacher(features: Tensor): PreparedTeacher {
    expectShape("cosine", "the teacher's features", features.shape, [-1, -1]);
    const { gpu } = this;
    const teacher = Tensor.create(gpu, features.shape);
    gpu.stream.copy(features, teacher);
    const teacherSquare = rowProducts(gpu, teacher, teacher);
    return preparedTeacher(
      (candidate, table, slot, firstImage = 0) =>
        this.#accumulate(teacher, teacherSquare, candidate, { table, slot, firstImage }),
      teacher,
      teacherSquare,
    );
  }

  #accumulate(
    teacher: Tensor,
    teacherSquare: Tensor,
    candidate: Tensor,
    target: ScoreTarget,
  ): void {
    const [rows, columns] = teacher.shape;
    target.table.check(this, target.slot, target.firstImage, rows);
    if (candidate.shape[1] !== columns) {
      throw new ShapeError(
        `cosine: a candidate of width ${
          candidate.shape[1]
        } and a teacher of width ${columns}; compare projections, ` +
          `or use affinity or cka, which take different widths`,
      );
    }
    expectShape("cosine", "the candidate's features", candidate.shape, teacher.shape);
    using cross = rowProducts(this.gpu, teacher, candidate);
    using square = rowProducts(this.gpu, candidate, candidate);
    addCosines(
      this.gpu,
      { cross, square, teacherSquare },
      { groups: 1, samples: rows, images: rows },
      target,
    );
  }
}
