/** Launching cosine_score and image_cosines: the cosines of many rows, summed into the score table. */
import { linearGrid } from "../../gpu/dispatch.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ScoreTable } from "./score_table.ts";
import { kernel } from "../../gpu/kernel.ts";
import cosineScoreSource from "../../../kernels/cosine_score.wgsl" with { type: "text" };
import imageCosinesSource from "../../../kernels/image_cosines.wgsl" with { type: "text" };
import cosine from "../../../kernels/include/cosine.wgsl" with { type: "text" };

const cosineScoreKernel = kernel("cosine_score", cosineScoreSource, { cosine });
const imageCosinesKernel = kernel("image_cosines", imageCosinesSource, { cosine });

/** Where results go. */
export interface ScoreTarget {
  readonly table: ScoreTable;
  readonly slot: number;
  /** Place of the first image among those of the table. */
  readonly firstImage: number;
}

/** Products and squared lengths of rows, [groups, padded samples] each. */
export interface RowCosines {
  /** Of the teacher's row and the candidate's. */
  readonly cross: Tensor;
  /** The candidate's. */
  readonly square: Tensor;
  readonly teacherSquare: Tensor;
}

/**
 * Adds the sum of the cosines, and their number, to a slot of the table, and puts down the mean of each image.
 * @param samples rows of a group, without padding
 * @param images a multiple of `groups`; each has the same number of rows
 */
export function addCosines(
  gpu: Gpu,
  cosines: RowCosines,
  { groups, samples, images }: { groups: number; samples: number; images: number },
  { table, slot, firstImage }: ScoreTarget,
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
  if (!table.imageValues) return;
  const rows = groups * samples / images;
  gpu.stream.dispatch({
    kernel: imageCosinesKernel,
    buffers: { cross, square, teacherSquare, means: table.imageValues },
    params: {
      images,
      samples: rows,
      paddedSamples: cross.length / images,
      first: slot * table.images + firstImage,
    },
    grid: linearGrid(images, 64),
    turns: { rounds: rows, each: 1 },
    work: { bytes: 3 * cross.byteLength },
  });
}
