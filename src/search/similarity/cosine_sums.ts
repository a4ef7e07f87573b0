/** Launching cosine_score: the cosines of many rows, summed into the score table. */
import type { Gpu } from "../../gpu/device.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ScoreTable } from "./score_table.ts";
import { kernel } from "../../gpu/kernel.ts";
import cosineScoreSource from "../../../kernels/cosine_score.wgsl" with { type: "text" };
import cosine from "../../../kernels/include/cosine.wgsl" with { type: "text" };

const cosineScoreKernel = kernel("cosine_score", cosineScoreSource, { cosine });

/** Products and squared lengths of rows, [groups, padded samples] each. */
export interface RowCosines {
  /** Of the teacher's row and the candidate's. */
  readonly cross: Tensor;
  /** The candidate's. */
  readonly square: Tensor;
  readonly teacherSquare: Tensor;
}

/**
 * Adds the sum of the cosines, and their number, to a slot of the table.
 * @param samples rows of a group, without padding
 */
export function addCosines(
  gpu: Gpu,
  cosines: RowCosines,
  groups: number,
  samples: number,
  table: ScoreTable,
  slot: number,
): void {
  const { cross, square, teacherSquare } = cosines;
  gpu.stream.dispatch({
    kernel: cosineScoreKernel,
    buffers: { cross, square, teacherSquare, table: table.values },
    params: { groups, samples, paddedSamples: cross.length / groups, slot },
    grid: [1, 1, 1],
    turns: { rounds: Math.ceil(groups * samples / 32), each: 1 },
    work: { bytes: 3 * cross.byteLength },
  });
}
