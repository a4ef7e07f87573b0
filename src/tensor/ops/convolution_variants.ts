/**
 * The kernels that can compute a convolution, and which is taken where nothing was measured. Each list holds those that
 * apply to the given numbers, the default of the device's class first; a tuned device may take another.
 */
import type { AdapterFacts } from "../../gpu/device.ts";
import type { KernelVariant } from "../../gpu/tuning.ts";
import type { ConvolutionParams, ConvolutionShape } from "./convolution_geometry.ts";
import { tiledConvolutions, tiledWeightGradients, withTiled } from "./convolution_tiles.ts";
import {
  convolutionKernel,
  convolutionPointwiseKernel,
  convolutionRowsKernel,
  convolutionWeightGradientKernel,
  convolutionWeightGradientRowsKernel,
  matrixProductKernel,
} from "./convolution_kernels.ts";

/** Positions of a row, or rows of a matrix, that an invocation of the register kernels may own. */
const blocks = [8, 4];

/**
 * Variants for one launch: of `convolution`, `convolution_pointwise`, `convolution_rows` or `matrix_product`, which keep
 * to registers, and of `convolution_tiled`.
 */
export function convolutionVariants(
  facts: AdapterFacts,
  params: ConvolutionParams,
  bias: boolean,
): KernelVariant[] {
  const subgroup = facts.subgroupLanes === 8;
  const pixels = params.images * params.outHeight * params.outWidth;
  const variants: KernelVariant[] = [];
  const tiles = subgroup ? (params.outChannels > 8 ? [16, 8] : [8]) : [8, 4];
  for (const tile of tiles) {
    for (const block of blocks) {
      const constants = { TILE: tile, PIXELS: block, SUBGROUP: subgroup, BIAS: bias };
      const grid = [Math.ceil(params.outChannels / tile), Math.ceil(pixels / block / 64), 1] as const;
      if (isProduct(params)) {
        const weightVector = params.weightIn === 1 && params.weightOut % 4 === 0 &&
          params.weightBase % 4 === 0;
        variants.push({
          kernel: matrixProductKernel,
          constants: { ...constants, WEIGHT_VECTOR: weightVector },
          grid,
        });
      } else if (isPlaneProduct(params)) {
        const depth = params.inChannels % 4 === 0 ? 4 : 1;
        const weightVector = depth === 4 && hasWeightRows(params);
        variants.push({
          kernel: convolutionPointwiseKernel,
          constants: { ...constants, DEPTH: depth, WEIGHT_VECTOR: weightVector },
          grid,
        });
      } else if (hasWholeRows(params, block)) {
        const scatter = params.outColumn !== 1 || params.outRow !== params.outWidth || params.outBase !== 0;
        const rowBlocks = params.images * params.outHeight * Math.ceil(params.outWidth / block);
        variants.push({
          kernel: convolutionRowsKernel,
          constants: {
            ...constants,
            KERNEL: params.tapsX,
            STRIDE: params.inStride,
            STEP: params.inStepX,
            PADDING: -params.inOffsetX,
            PARTIAL: params.outWidth % block > 0,
            SCATTER: scatter,
          },
          grid: [grid[0], Math.ceil(rowBlocks / 64), 1],
        });
      } else {
        variants.push({ kernel: convolutionKernel, constants, grid });
      }
    }
  }
  // With few positions, narrow blocks fill the device; without fixed subgroups, wide ones do not fit its registers. The
  // general kernel comes last: over 4 x 4 positions, where only narrow blocks leave it, it has half the throughput.
  const wantedBlock = !subgroup || pixels < 512 ? 4 : 8;
  const rank = ({ kernel, constants }: KernelVariant) =>
    2 * Number(kernel === convolutionKernel) + Number(constants.PIXELS !== wantedBlock);
  variants.sort((a, b) => rank(a) - rank(b));
  return withTiled(facts, variants, tiledConvolutions(params, bias));
}

/** Images of one pixel, whose channels can be loaded four at a time. */
function isProduct(params: ConvolutionParams): boolean {
  return params.inHeight * params.inWidth === 1 && params.outHeight * params.outWidth === 1 &&
    params.outPlane === 1 && params.tapsY * params.tapsX === 1 && params.inOffsetY === 0 &&
    params.inOffsetX === 0 &&
    params.inChannels % 4 === 0 && params.inImage % 4 === 0 && params.inBase % 4 === 0;
}

/** A 1x1 convolution with stride 1 over planes that can be walked four positions at a time. */
function isPlaneProduct(params: ConvolutionParams): boolean {
  return params.tapsY === 1 && params.tapsX === 1 && params.inOffsetY === 0 && params.inOffsetX === 0 &&
    params.inStride === 1 && params.outColumn === 1 && params.outRow === params.outWidth &&
    params.outBase === 0 &&
    params.inHeight === params.outHeight && params.inWidth === params.outWidth &&
    params.inHeight * params.inWidth % 4 === 0 && params.inBase % 4 === 0;
}

/** Whether the weights of one output channel lie side by side and can be loaded four at a time. */
function hasWeightRows({ weightIn, weightOut, weightBase }: ConvolutionParams): boolean {
  return weightIn === 1 && weightOut % 4 === 0 && weightBase % 4 === 0;
}

/** Whether `convolution_rows` applies. */
function hasWholeRows(params: ConvolutionParams, block: number): boolean {
  const { tapsX, inStride, inOffsetX, inStepX, inWidth, outWidth } = params;
  return tapsX >= 1 && tapsX <= 7 && inStride <= 2 &&
    inOffsetX <= 0 && inOffsetX >= -4 && (tapsX - 1) * inStepX + 1 - inStride + inOffsetX <= 4 &&
    inWidth % 4 === 0 && inWidth >= inStride * outWidth &&
    (outWidth % block === 0 || fillsBlocks(params, block)) &&
    params.inBase % 4 === 0;
}

/** Whether three quarters of the positions of `convolution_rows` are used where a row's last block is not whole. */
function fillsBlocks({ inStride, outWidth }: ConvolutionParams, block: number): boolean {
  return inStride === 1 && outWidth % 4 === 0 && outWidth >= 0.75 * block * Math.ceil(outWidth / block);
}

/** Variants of the weight gradient's kernels for one launch; the launch puts its number of splits into their grids' z. */
export function weightGradientVariants(facts: AdapterFacts, shape: ConvolutionShape): KernelVariant[] {
  const subgroup = facts.subgroupLanes === 8;
  const workgroup = facts.software ? 8 : 64;
  const { kernelX, kernelY, stride, dilation, outChannels, inChannels } = shape;
  const tile = subgroup && outChannels > 8 ? 16 : 8;
  const dilated = dilation > 1;
  const windowed = kernelX <= 7 && stride <= (dilated ? 1 : 2);
  const lanes = windowed ? inChannels * kernelY : inChannels * kernelY * kernelX;
  const widths = windowed ? [8, 4, 2, 1].filter((across) => across * kernelX <= (subgroup ? 12 : 8)) : [4];
  if (widths.length === 0) widths.push(1);
  const constants = { TILE: tile, SUBGROUP: subgroup, WORKGROUP: workgroup };
  const variants = widths.map((across): KernelVariant => ({
    kernel: windowed ? convolutionWeightGradientRowsKernel : convolutionWeightGradientKernel,
    constants: {
      ...constants,
      ACROSS: across,
      ...(windowed ? { KERNEL: kernelX, STRIDE: stride, DILATED: dilated } : {}),
    },
    grid: [Math.ceil(lanes / across / workgroup), Math.ceil(outChannels / tile), 1],
  }));
  // The cheaper blocks first: a load costs about as much as eight multiply-adds, a broadcast as one. With 48 filter rows
  // of a 3x3 that makes blocks of 2 (33 GFLOP/s; 1 and 4 have 27), with 192 blocks of 4.
  const cost = ({ grid, constants }: KernelVariant) => {
    const across = Number(constants.ACROSS);
    const [sums, loads] = windowed ? [kernelX, Math.min(kernelX, stride)] : [1, 1];
    return grid[0] * (tile * across * sums + 8 * (loads * across + tile / 8) + tile);
  };
  variants.sort((a, b) => cost(a) - cost(b));
  return withTiled(facts, variants, tiledWeightGradients(shape));
}
