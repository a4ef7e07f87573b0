/** The workgroup-tiled variants of a convolution's kernels, and where they are the better default. */
import type { AdapterFacts } from "../../gpu/device.ts";
import { convolutionTiledKernel, convolutionWeightGradientTiledKernel } from "./convolution_kernels.ts";
import type { KernelVariant } from "../../gpu/tuning.ts";
import type { ConvolutionParams, ConvolutionShape } from "./convolution_geometry.ts";

/** What each of the 16 x 16 invocations of a workgroup computes, and how many terms of the sums are shared at a time. */
interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /**
   * Share of a GPU's arithmetic that the tile is expected to reach where it is filled. A guess from its loads: an 8 x 8
   * tile reads one value of workgroup memory for every 4 multiply-adds, 4 x 4 one for every 2.
   */
  readonly reach: number;
}

const tiles: readonly Tile[] = [
  { rows: 8, columns: 8, depth: 8, reach: 0.7 },
  { rows: 8, columns: 4, depth: 16, reach: 0.6 },
  { rows: 4, columns: 8, depth: 16, reach: 0.6 },
  { rows: 4, columns: 4, depth: 16, reach: 0.5 },
];

/** The same guess for the register kernels, whose invocations load from memory for every 2 to 3 multiply-adds. */
const registerReach = 0.25;
/** Workgroups that fill a GPU. */
const fullDevice = 64;
/** Workgroups that a dimension of a grid can have. */
const gridLimit = 65535;

/** A variant with the share of a GPU's arithmetic that it is expected to reach in its launch. */
interface Expected {
  readonly variant: KernelVariant;
  readonly share: number;
}

/** Share of `size` in the whole multiple of `unit` that covers it. */
function filled(size: number, unit: number): number {
  return size / (Math.ceil(size / unit) * unit);
}

/** Variants of `convolution_tiled`. */
export function tiledConvolutions(params: ConvolutionParams, bias: boolean): Expected[] {
  const positions = params.images * params.outHeight * params.outWidth;
  return tiles.map(({ rows, columns, depth, reach }) => {
    const grid = [Math.ceil(params.outChannels / rows / 16), Math.ceil(positions / columns / 16), 1] as const;
    const used = filled(params.outChannels, 16 * rows) * filled(positions, 16 * columns) *
      filled(params.inChannels, depth);
    return {
      variant: {
        kernel: convolutionTiledKernel,
        constants: {
          TILE: rows,
          PIXELS: columns,
          DEPTH: depth,
          OUTPUT_FASTEST: params.weightOut < params.weightIn,
          BIAS: bias,
        },
        grid,
      },
      share: reach * used * Math.min(1, grid[0] * grid[1] / fullDevice),
    };
  });
}

/** Variants of `convolution_weight_gradient_tiled`; splitting the sum fills the device whatever their grids. */
export function tiledWeightGradients(shape: ConvolutionShape): Expected[] {
  const { inChannels, outChannels, kernelY, kernelX } = shape;
  const values = inChannels * kernelY * kernelX;
  return tiles.map(({ rows, columns, depth, reach }) => ({
    variant: {
      kernel: convolutionWeightGradientTiledKernel,
      constants: { TILE: rows, ACROSS: columns, DEPTH: depth },
      grid: [Math.ceil(values / columns / 16), Math.ceil(outChannels / rows / 16), 1] as const,
    },
    share: reach * filled(outChannels, 16 * rows) * filled(values, 16 * columns),
  }));
}

/**
 * One list of the variants of a launch, the default first. A software driver suspends every lane at a barrier and
 * reaches a fifth of the register kernels' speed: there only a tile that the launch fills is listed, and last.
 */
export function withTiled(
  { software }: AdapterFacts,
  registers: readonly KernelVariant[],
  tiled: readonly Expected[],
): KernelVariant[] {
  const possible = tiled.filter(({ variant }) => variant.grid.every((size) => size <= gridLimit))
    .sort((a, b) => b.share - a.share);
  const better = possible.filter(({ share }) => share > registerReach).map(({ variant }) => variant);
  if (software) return [...registers, ...better.slice(0, 1)];
  const others = possible.slice(better.length).map(({ variant }) => variant);
  return [...better, ...registers, ...others];
}
