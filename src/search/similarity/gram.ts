/** Launching gram_compare: Gram matrices of samples, the teacher's kept, candidates' only compared. */
import type { Gpu } from "../../gpu/device.ts";
import { loop } from "../../gpu/limits.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { owned } from "../../tensor/owned.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { PackedSamples } from "./samples.ts";
import { kernel } from "../../gpu/kernel.ts";
import gramCompareSource from "../../../kernels/gram_compare.wgsl" with { type: "text" };
import { launchSumPartials } from "../../tensor/ops/sum_partials.ts";
import tile_product from "../../../kernels/include/tile_product.wgsl" with { type: "text" };

const gramCompareKernel = kernel("gram_compare", gramCompareSource, { tile_product });

/** Invocations of a workgroup: on a CPU driver one vector, so that small problems still use every core. */
export function workgroupSize(gpu: Gpu): number {
  return gpu.facts.software ? 8 : 64;
}

function launch(gpu: Gpu, packed: PackedSamples, store: boolean, buffers: Record<string, Tensor>): void {
  const { features, lengths } = packed;
  const [groups, channels, samples] = features.shape;
  const blocks = samples / 8;
  const invocations = groups * blocks * (blocks + 1) / 2;
  const workgroup = workgroupSize(gpu);
  gpu.stream.dispatch({
    kernel: gramCompareKernel,
    constants: { UNIT: lengths !== undefined, STORE: store, WORKGROUP: workgroup, LEFT: "features" },
    buffers: { features, lengths, ...buffers },
    params: { groups, channels, samples, parts: lengths?.shape[0] ?? 0 },
    grid: linearGrid(invocations, workgroup),
    turns: loop(channels) + (lengths ? 4 * loop(lengths.shape[0]) : 0),
    work: { flops: 2 * 64 * invocations * channels },
  });
}

/**
 * The Gram matrices of samples, [groups, padded samples, padded samples]; cosines for measured samples, else products
 * with a diagonal of zeros. The caller owns them.
 */
export function gramMatrices(gpu: Gpu, packed: PackedSamples): Tensor {
  const [groups, , samples] = packed.features.shape;
  const gram = Tensor.create(gpu, [groups, samples, samples]);
  launch(gpu, packed, true, { gram });
  return gram;
}

/** Sums over the rows of two Gram matrices, [groups, padded samples]. */
export interface RowSums extends Disposable {
  /** Of the products of corresponding elements. */
  readonly cross: Tensor;
  /** Of the squares of the candidate's elements. */
  readonly square: Tensor;
}

/**
 * Compares the Gram matrices of samples with stored ones.
 * @param diagonal receives the diagonals, [groups, padded samples]; for centred samples alone
 */
export function compareGrams(gpu: Gpu, packed: PackedSamples, gram: Tensor, diagonal?: Tensor): RowSums {
  const [groups, , samples] = packed.features.shape;
  const shape = [samples / 8, groups, samples];
  using parts = owned({ cross: Tensor.create(gpu, shape), square: Tensor.create(gpu, shape) });
  launch(gpu, packed, false, { gram, ...parts, ...(diagonal ? { diagonal } : {}) });
  return owned({ cross: addBlocks(gpu, parts.cross), square: addBlocks(gpu, parts.square) });
}

/** Sum over the first dimension of [blocks, groups, samples]. */
function addBlocks(gpu: Gpu, partial: Tensor): Tensor {
  const [, rows, columns] = partial.shape;
  const sums = Tensor.create(gpu, [rows, columns]);
  launchSumPartials(partial, { tensor: sums, accumulate: false });
  return sums;
}
