/** Samples of feature maps: which positions are compared, and how they are laid out for the products over them. */
import { ConfigurationError, ShapeError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { loop } from "../../gpu/limits.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { owned } from "../../tensor/owned.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { Shape } from "../../shape.ts";
import { kernel } from "../../gpu/kernel.ts";
import affinityPackSource from "../../../kernels/affinity_pack.wgsl" with { type: "text" };
import ckaCentreSource from "../../../kernels/cka_centre.wgsl" with { type: "text" };
import similarity_samples from "../../../kernels/include/similarity_samples.wgsl" with { type: "text" };

const affinityPackKernel = kernel("affinity_pack", affinityPackSource, { similarity_samples });
const ckaCentreKernel = kernel("cka_centre", ckaCentreSource, { similarity_samples });

/** A regular grid of positions in a map; see kernels/include/similarity_samples.wgsl. */
export interface PositionGrid {
  readonly rows: number;
  readonly columns: number;
}

/**
 * Checks a bound on the number of positions.
 * Throws {@linkcode ConfigurationError} unless it is a positive integer or undefined, which means all.
 */
export function checkPositions(positions: number | undefined): void {
  if (positions === undefined || (Number.isInteger(positions) && positions > 0)) return;
  throw new ConfigurationError(
    `${positions} positions of a feature map; allowed is a whole number from 1 on, e.g. 196, or none for all`,
  );
}

/** The grid of at most `limit` positions that is nearest to the map's proportions; without a limit the map itself. */
export function positionGrid(height: number, width: number, limit = Infinity): PositionGrid {
  if (height * width <= limit) return { rows: height, columns: width };
  const rows = Math.max(1, Math.floor(height * Math.sqrt(limit / (height * width))));
  return { rows, columns: Math.min(width, Math.floor(limit / rows)) };
}

/** The next multiple of 8: the side of the kernels' tiles. */
export function padded(count: number): number {
  return 8 * Math.ceil(count / 8);
}

/** Packed samples on the device. */
export interface PackedSamples extends Disposable {
  /** [groups, padded(channels), padded(samples)], zeros in the padding. */
  readonly features: Tensor;
  /** For unscaled samples the sums of their squares in parts, [parts, groups, padded(samples)]. */
  readonly lengths: Tensor | undefined;
  readonly groups: number;
  /** Samples of a group, without padding. */
  readonly samples: number;
}

/**
 * How samples are packed: `raw` keeps them as they are and measures them, `unit` scales each position to length one,
 * `centred` takes each channel's mean over its group off.
 */
export type Packing = "raw" | "unit" | "centred";

/** Channels that one invocation packs: enough to pay for itself, few enough to fill a device. */
const channelsPerPart = 64;

/**
 * Records the packing of feature maps.
 * @param maps [N, C, H, W]
 * @param groups the images of a group are consecutive; a divisor of N
 * @throws ShapeError for a grid so long, in so long a map, that its places overflow
 */
export function packSamples(
  gpu: Gpu,
  maps: Tensor,
  grid: PositionGrid,
  groups: number,
  packing: Packing,
): PackedSamples {
  const [images, channels, height, width] = maps.shape;
  const positions = grid.rows * grid.columns;
  for (const [cells, size] of [[grid.rows, height], [grid.columns, width]]) {
    if (cells !== size && 2 * cells * size >= 2 ** 32) {
      throw new ShapeError(
        `${cells} of ${size} positions along a side of a feature map of ${height}x${width} cannot be found in 32 bits; ` +
          `take fewer positions, or all`,
      );
    }
  }
  const samples = images / groups * positions;
  const shape: Shape = [groups, padded(channels), padded(samples)];
  const features = Tensor.create(gpu, shape);
  const perPart = packing === "raw" ? channelsPerPart : shape[1];
  const parts = Math.ceil(shape[1] / perPart);
  const lengths = packing === "raw" ? Tensor.create(gpu, [parts, groups, shape[2]]) : undefined;
  const centred = loop(images / groups, loop(grid.rows, loop(grid.columns))) + loop(samples) + loop(shape[2]);
  gpu.stream.dispatch({
    kernel: packing === "centred" ? ckaCentreKernel : affinityPackKernel,
    constants: packing === "centred" ? {} : { NORMALISE: packing === "unit" },
    buffers: { input: maps, features, squares: lengths },
    params: {
      groups,
      channels,
      paddedChannels: shape[1],
      samples,
      paddedSamples: shape[2],
      positions,
      gridRows: grid.rows,
      gridColumns: grid.columns,
      height,
      width,
      channelsPerPart: perPart,
    },
    grid: linearGrid(groups * (packing === "centred" ? shape[1] : parts * shape[2]), 64),
    turns: packing === "centred" ? centred : 3 * loop(perPart),
    work: { bytes: 4 * groups * samples * channels + features.byteLength },
  });
  return owned({ features, lengths, groups, samples });
}
