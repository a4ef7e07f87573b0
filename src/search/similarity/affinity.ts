/**
 * Spatial self-affinity: which positions of a map resemble which, whatever the channels mean. So maps with different
 * numbers of channels compare.
 *
 * With F the channels x positions matrix of a map, columns scaled to length one, A = FᵀF; B = GᵀG is the candidate's. A
 * score is the mean over rows of <a_i, b_i> / (|a_i| |b_i|). Two ways lead there, P positions, C channels each:
 *
 * - positions: B tile by tile in registers, compared with the teacher's A, which is kept: P² C / 2 multiply-adds (half a
 *   symmetric matrix), and P² numbers an image.
 * - channels: <a_i, b_i> = f_iᵀ (F Gᵀ) g_i and |b_i|² = g_iᵀ (G Gᵀ) g_i: 4 C² P multiply-adds, and 2 C² numbers an image.
 *
 * So positions are cheaper up to P = 8 C, which is every map but those of the first stages at full resolution; channels
 * are taken above, and where A would be too large to keep. The teacher's map decides alone, so that all candidates of a
 * stage are computed the same way.
 */
import type { Gpu } from "../../gpu/device.ts";
import { loop } from "../../gpu/limits.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { owned } from "../../tensor/owned.ts";
import { expectShape, Tensor } from "../../tensor/tensor.ts";
import type { Shape } from "../../shape.ts";
import { addCosines, type ScoreTarget } from "./cosine_sums.ts";
import { compareGrams, gramMatrices, workgroupSize } from "./gram.ts";
import type { SimilarityMetric } from "./metric.ts";
import { MeanFormat } from "./score_table.ts";
import { type PreparedTeacher, preparedTeacher } from "./teacher.ts";
import { checkPositions, packSamples, padded, type PositionGrid, positionGrid } from "./samples.ts";
import { kernel } from "../../gpu/kernel.ts";
import affinityProductsSource from "../../../kernels/affinity_products.wgsl" with { type: "text" };
import affinityRowsSource from "../../../kernels/affinity_rows.wgsl" with { type: "text" };
import tile_product from "../../../kernels/include/tile_product.wgsl" with { type: "text" };

const affinityProductsKernel = kernel("affinity_products", affinityProductsSource);
const affinityRowsKernel = kernel("affinity_rows", affinityRowsSource, { tile_product });

/** Bytes of the teacher's affinities that are kept for one stage and image batch. */
const affinityBytes = 2 ** 27;

/**
 * Mean over positions and images of the cosine between corresponding rows of two self-affinities. A position whose channel
 * vector is zero has a zero row: two of them agree, 1; one of them scores 0.
 */
export class AffinityMetric extends MeanFormat implements SimilarityMetric {
  /**
   * @param positions at most so many positions of a map, on a regular grid; default all
   * @param keptBytes the most that the teacher's affinities of a stage may take; beyond, the way over channels is taken
   */
  constructor(readonly gpu: Gpu, readonly positions?: number, readonly keptBytes: number = affinityBytes) {
    super();
    checkPositions(positions);
  }

  /** See {@linkcode SimilarityMetric}. Throws {@linkcode ShapeError} for features other than [N, C, H, W]. */
  prepareTeacher(features: Tensor): PreparedTeacher {
    expectShape("affinity", "the teacher's features", features.shape, [-1, -1, -1, -1]);
    const [images, channels, height, width] = features.shape;
    const grid = positionGrid(height, width, this.positions);
    const samples = padded(grid.rows * grid.columns);
    const keeps = 4 * images * samples ** 2 <= Math.min(this.keptBytes, this.gpu.pool.limit);
    return samples <= 8 * padded(channels) && keeps
      ? this.#overPositions(features, grid)
      : this.#overChannels(features, grid);
  }

  #overPositions(features: Tensor, grid: PositionGrid): PreparedTeacher {
    const { gpu } = this;
    const { shape } = features;
    const [images] = shape;
    using own = packSamples(gpu, features, grid, images, "raw");
    const gram = gramMatrices(gpu, own);
    const { cross, square } = compareGrams(gpu, own, gram);
    cross.release();
    const accumulate: PreparedTeacher["accumulate"] = (candidate, table, slot, firstImage = 0) => {
      const target = { table, slot, firstImage };
      this.#check(shape, candidate.shape, target);
      using packed = packSamples(gpu, candidate, grid, images, "raw");
      using sums = compareGrams(gpu, packed, gram);
      const { groups, samples } = packed;
      addCosines(gpu, { ...sums, teacherSquare: square }, { groups, samples, images }, target);
    };
    return preparedTeacher(accumulate, gram, square);
  }

  #overChannels(features: Tensor, grid: PositionGrid): PreparedTeacher {
    const { gpu } = this;
    const { shape } = features;
    const [images] = shape;
    const own = packSamples(gpu, features, grid, images, "unit").features;
    const square = affinityProducts(gpu, own, own);
    const accumulate: PreparedTeacher["accumulate"] = (candidate, table, slot, firstImage = 0) => {
      const target = { table, slot, firstImage };
      this.#check(shape, candidate.shape, target);
      using packed = packSamples(gpu, candidate, grid, images, "unit");
      using sums = owned({
        cross: affinityProducts(gpu, own, packed.features),
        square: affinityProducts(gpu, packed.features, packed.features),
      });
      const { groups, samples } = packed;
      addCosines(gpu, { ...sums, teacherSquare: square }, { groups, samples, images }, target);
    };
    return preparedTeacher(accumulate, own, square);
  }

  #check(teacher: Shape, candidate: Shape, { table, slot, firstImage }: ScoreTarget): void {
    const [images, , height, width] = teacher;
    table.check(this, slot, firstImage, images);
    expectShape("affinity", "the candidate's features", candidate, [images, -1, height, width]);
  }
}

/**
 * <a_i, b_i> for all rows of the self-affinities of two packed maps, over products of their channels.
 * @param teacher [groups, channels, samples]
 * @param candidate [groups, other channels, samples]
 * @returns [groups, samples]; the caller owns it
 */
function affinityProducts(gpu: Gpu, teacher: Tensor, candidate: Tensor): Tensor {
  const [groups, channels, samples] = teacher.shape;
  const depth = candidate.shape[1];
  const workgroup = workgroupSize(gpu);
  using products = Tensor.create(gpu, [groups, depth, channels]);
  gpu.stream.dispatch({
    kernel: affinityProductsKernel,
    constants: { WORKGROUP: workgroup },
    buffers: { left: candidate, right: teacher, products },
    params: { groups, leftChannels: depth, rightChannels: channels, samples },
    grid: linearGrid(products.length / 64, workgroup),
    turns: { rounds: samples / 4, each: 1 },
    work: { flops: 2 * products.length * samples },
  });
  const rows = Tensor.create(gpu, [groups, samples]);
  gpu.stream.dispatch({
    kernel: affinityRowsKernel,
    constants: { WORKGROUP: workgroup, LEFT: "products" },
    buffers: { products, features: candidate, weights: teacher, rows },
    params: { groups, channels, depth, samples },
    grid: linearGrid(groups * samples / 8, workgroup),
    turns: { rounds: channels / 8, each: 1 + loop(depth) },
    work: { flops: 2 * products.length * samples },
  });
  return rows;
}
