/**
 * Centred kernel alignment (Kornblith et al., "Similarity of neural network representations revisited", ICML 2019) with a
 * linear kernel: do the same samples resemble each other in both networks? With K and L the Gram matrices of n samples,
 *
 *     CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))
 *
 * Image batches, and images where their positions are the samples, are minibatches (Nguyen et al., "Do wide and deep
 * networks learn the same things?", ICLR 2021): the three HSIC are averaged over them before the quotient is taken. They
 * count alike, so batches should be equal.
 *
 * What an image contributes to an HSIC over several images are the terms of its own samples. In the limit of many images
 * that is half its influence on it (HSIC is the squared length of the cross-covariance, and each image enters both
 * factors), so that other images give, to first order, HSIC + 2 (mean of their terms - mean of all). Where each image is a
 * minibatch of its own, its HSIC enters once, and the mean is exact.
 */
import { ConfigurationError, ShapeError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { loop } from "../../gpu/limits.ts";
import { Tape } from "../../tensor/tape.ts";
import { globalAveragePool } from "../../tensor/ops/pool.ts";
import { expectShape, Tensor } from "../../tensor/tensor.ts";
import type { Shape } from "../../shape.ts";
import { compareGrams, gramMatrices, type RowSums } from "./gram.ts";
import type { SimilarityMetric } from "./metric.ts";
import { type PreparedTeacher, preparedTeacher } from "./teacher.ts";
import {
  checkPositions,
  type PackedSamples,
  packSamples,
  type PositionGrid,
  positionGrid,
} from "./samples.ts";
import { type ScoreTable, slotValues, type TableFormat } from "./score_table.ts";
import { kernel } from "../../gpu/kernel.ts";
import ckaScoreSource from "../../../kernels/cka_score.wgsl" with { type: "text" };
import imageCkaSource from "../../../kernels/image_cka.wgsl" with { type: "text" };

const ckaScoreKernel = kernel("cka_score", ckaScoreSource);
const imageCkaKernel = kernel("image_cka", imageCkaSource);

/** `biased` is the plain estimator; `debiased` (Song et al. 2012) does not grow with the channels, and may be negative. */
export type CkaEstimator = "biased" | "debiased";

/**
 * What a sample is: `images`, each pooled over its positions; `positions` of one image, so that every image is a minibatch;
 * `all-positions` of all images of a batch together.
 */
export type CkaSamples = "images" | "positions" | "all-positions";

/** The fewest samples for which the estimators exist. */
export const fewestSamples: Readonly<Record<CkaEstimator, number>> = { biased: 2, debiased: 4 };

/** What linear CKA keeps: the three HSIC with their number, and the three terms of each image. */
export class CkaFormat implements TableFormat {
  readonly components = 4;
  readonly imageComponents = 3;

  constructor(readonly samples: CkaSamples = "images") {}

  /** The quotient from (HSIC(K,L), HSIC(L,L), HSIC(K,K), minibatches). */
  score([cross, candidate, teacher, batches]: readonly number[]): number {
    if (batches === 0 || ![cross, candidate, teacher].every(Number.isFinite)) return NaN;
    // Negative only by rounding, where nothing is left of the matrices.
    if (candidate <= 0 || teacher <= 0) return 0;
    return cross / Math.sqrt(candidate * teacher);
  }

  /** The quotient of what other images make of the three HSIC: each mean counts as often as an image enters. */
  scoreOfImages(means: ArrayLike<number>, whole: ArrayLike<number>): number {
    const times = this.samples === "positions" ? 1 : 2;
    const of = (at: number) => whole[at] + times * (means[at] - whole[at]);
    return this.score([of(0), of(1), of(2), 1]);
  }
}

/**
 * Linear CKA between features with any two numbers of channels. 1 for features that are alike up to rotation, shift and
 * one scale factor; 0 where either side does not vary between the samples.
 */
export class CkaMetric extends CkaFormat implements SimilarityMetric {
  /** @param positions at most so many positions of a map, on a regular grid; default all */
  constructor(
    readonly gpu: Gpu,
    readonly estimator: CkaEstimator = "debiased",
    samples?: CkaSamples,
    readonly positions?: number,
  ) {
    super(samples);
    checkPositions(positions);
  }

  /**
   * See {@linkcode SimilarityMetric}. Throws {@linkcode ConfigurationError} when there are too few samples for the
   * estimator, {@linkcode ShapeError} for features that have no positions although positions are the samples.
   */
  prepareTeacher(features: Tensor): PreparedTeacher {
    const { gpu } = this;
    const { shape } = features;
    const { grid, groups, samples } = this.#layout(shape);
    const pack = (features: Tensor) => this.#pack(features, grid, groups);
    using own = pack(features);
    const gram = gramMatrices(gpu, own);
    const diagonal = Tensor.create(gpu, [groups, own.features.shape[2]]);
    using sums = compareGrams(gpu, own, gram, diagonal);
    const teacher = Tensor.create(gpu, [slotValues]);
    this.#launchScore(samples, sums, { diagonal, table: teacher }, 0);
    const [images] = shape;
    const teacherShares = Tensor.create(gpu, [images]);
    this.#launchImages(samples, images, sums, { diagonal, values: teacherShares }, 0);
    const accumulate: PreparedTeacher["accumulate"] = (candidate, table, slot, firstImage = 0) => {
      this.#check(shape, candidate.shape, table, slot, firstImage);
      using packed = pack(candidate);
      using candidateDiagonal = Tensor.create(gpu, diagonal.shape);
      using sums = compareGrams(gpu, packed, gram, candidateDiagonal);
      this.#launchScore(samples, sums, {
        diagonal: candidateDiagonal,
        table: table.values,
        teacherDiagonal: diagonal,
        teacher,
      }, slot);
      if (!table.imageValues) return;
      this.#launchImages(samples, images, sums, {
        diagonal: candidateDiagonal,
        values: table.imageValues,
        teacherDiagonal: diagonal,
        teacherShares,
      }, slot * table.images + firstImage);
    };
    return preparedTeacher(accumulate, gram, diagonal, teacher, teacherShares);
  }

  #layout(shape: Shape): { grid: PositionGrid; groups: number; samples: number } {
    const [images, , height, width] = shape;
    if (shape.length !== 4 && !(shape.length === 2 && this.samples === "images")) {
      throw new ShapeError(
        `cka over ${this.samples}: features of shape [${shape.join(", ")}]; expected [N, C, H, W]` +
          (this.samples === "images" ? " or [N, D]" : ""),
      );
    }
    const grid = this.samples === "images"
      ? { rows: 1, columns: 1 }
      : positionGrid(height, width, this.positions);
    const groups = this.samples === "positions" ? images : 1;
    const samples = images / groups * grid.rows * grid.columns;
    if (samples < fewestSamples[this.estimator]) {
      throw new ConfigurationError(
        `${this.estimator} cka over ${this.samples} was given ${samples} sample${
          samples === 1 ? "" : "s"
        } (features ` +
          `[${shape.join(", ")}]); it needs at least ${fewestSamples[this.estimator]}. ` +
          (groups > 1 || images === 1 && this.samples !== "images"
            ? "Take images as samples, or larger images."
            : "Use more images in a batch."),
      );
    }
    return { grid, groups, samples };
  }

  /** Centred samples; with images as samples, maps are averaged over their positions first. */
  #pack(features: Tensor, grid: PositionGrid, groups: number): PackedSamples {
    const [images, channels, height = 1, width = 1] = features.shape;
    if (this.samples !== "images" || height * width === 1) {
      return packSamples(
        this.gpu,
        features.view([images, channels, height, width]),
        grid,
        groups,
        "centred",
      );
    }
    using tape = new Tape(this.gpu, false);
    const pooled = globalAveragePool(tape, features);
    return packSamples(this.gpu, pooled.view([images, channels, 1, 1]), grid, groups, "centred");
  }

  #check(teacher: Shape, candidate: Shape, table: ScoreTable, slot: number, firstImage: number): void {
    const [images, , ...map] = teacher;
    table.check(this, slot, firstImage, images);
    expectShape("cka", "the candidate's features", candidate, [images, -1, ...map]);
  }

  #launchScore(samples: number, sums: RowSums, buffers: Record<string, Tensor>, slot: number): void {
    const [groups, paddedSamples] = sums.cross.shape;
    this.gpu.stream.dispatch({
      kernel: ckaScoreKernel,
      constants: { TEACHER: buffers.teacher === undefined },
      buffers: { ...sums, ...buffers },
      params: {
        samples,
        paddedSamples,
        ...this.#factors(samples),
        slot,
      },
      grid: [1, 1, 1],
      turns: { rounds: groups, each: 1 + loop(samples) + loop(Math.ceil(samples / 16)) },
      work: { bytes: 2 * sums.cross.byteLength },
    });
  }

  /** The estimator's factors for n samples, see cka_score. */
  #factors(n: number): { scale: number; totals: number; diagonals: number } {
    return this.estimator === "debiased"
      ? { scale: 1 / (n * (n - 3)), totals: 1 / ((n - 1) * (n - 2)), diagonals: -2 / (n - 2) }
      : { scale: 1 / (n - 1) ** 2, totals: 0, diagonals: 1 };
  }

  /** Puts each image's share down, from place `first` on. */
  #launchImages(
    samples: number,
    images: number,
    sums: RowSums,
    buffers: Record<string, Tensor>,
    first: number,
  ): void {
    const [groups, paddedSamples] = sums.cross.shape;
    this.gpu.stream.dispatch({
      kernel: imageCkaKernel,
      constants: { TEACHER: buffers.teacherShares === undefined },
      buffers: { ...sums, ...buffers },
      params: {
        images,
        groupImages: images / groups,
        samples,
        paddedSamples,
        ...this.#factors(samples),
        first,
      },
      grid: linearGrid(images, 64),
      turns: loop(samples),
      work: { bytes: 2 * sums.cross.byteLength },
    });
  }
}
