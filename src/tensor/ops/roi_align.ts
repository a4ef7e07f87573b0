/** RoIAlign: features of regions of any size, pooled to one size. */
import { ShapeError } from "../../errors.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { kernel } from "../../gpu/kernel.ts";
import { loop } from "../../gpu/limits.ts";
import type { Tape } from "../tape.ts";
import { Tensor } from "../tensor.ts";
import {
  axisWeights,
  gradientBlock,
  type GradientPart,
  type PlacedRegion,
  type RoiSampling,
  TableWriter,
  writeForward,
  writeGradient,
} from "./roi_align_table.ts";
import roiAlignSource from "../../../kernels/roi_align.wgsl" with { type: "text" };
import roiAlignGradientSource from "../../../kernels/roi_align_gradient.wgsl" with { type: "text" };

const roiAlignKernel = kernel("roi_align", roiAlignSource);
const roiAlignGradientKernel = kernel("roi_align_gradient", roiAlignGradientSource);

/** Regions of a batch of images. */
export interface Regions {
  /** Corners x1, y1, x2, y2 of each region, in pixels of its image. */
  readonly boxes: Float32Array;
  /** Image of each region. */
  readonly images: ArrayLike<number>;
  /** Feature map that each region is taken from; absent where there is one. */
  readonly levels?: ArrayLike<number>;
}

/** A feature map of the images. */
export interface FeatureLevel {
  /** [N, C, H, W] */
  readonly features: Tensor;
  /** Pixels of the map for each of the image, e.g. 1/16. */
  readonly scale: number;
}

/**
 * Mean of bilinear samples in each bin of regions, as `torchvision.ops.roi_align` and `MultiScaleRoIAlign`. Gradients flow to
 * the features, not to the regions. What the kernels read is made here and uploaded in one piece.
 *
 * @param levels maps of the same images and channels
 * @returns [regions, C, bins, bins], in the order of the regions
 * @throws {ShapeError} for regions that are not finite, or of an image or map that there is not
 */
export function roiAlign(
  tape: Tape,
  levels: readonly FeatureLevel[],
  regions: Regions,
  sampling: RoiSampling,
): Tensor {
  const placed = placeRegions(levels, regions, sampling);
  const { bins } = sampling;
  const channels = levels[0].features.shape[1];
  const count = regions.images.length;
  const { stream } = tape.gpu;
  const inputs = levels.map(({ features }) => features);
  const differentiable = inputs.map((input) => tape.needsGradient(input, "roiAlign"));
  const output = tape.create([count, channels, bins, bins]);

  const writer = new TableWriter();
  const forward = placed.map((each) => writeForward(writer, each, bins));
  const gradients = placed.map((each, level): GradientPart | undefined =>
    differentiable[level] && each.length > 0 ? writeGradient(writer, each, inputs[level].shape) : undefined
  );
  const table = Tensor.from(tape.gpu, count === 0 ? new Uint32Array(1) : writer.finish());
  const binLength = bins * bins * 4;
  inputs.forEach((input, level) => {
    const { base, mostRows, mostColumns } = forward[level];
    const found = placed[level].length;
    const [, , height, width] = input.shape;
    stream.dispatch({
      kernel: roiAlignKernel,
      buffers: { input, table, output },
      params: { channels, height, width, regions: found, bins, base },
      grid: linearGrid(found * Math.ceil(channels / 4) * bins * bins, 64),
      turns: { rounds: mostRows, each: 1 + loop(mostColumns) },
      work: {
        flops: 2 * found * channels * bins * bins * mostRows * mostColumns,
        bytes: input.byteLength + found * channels * binLength,
      },
    });
  });

  const backward = (gradOutput: Tensor) => {
    inputs.forEach((input, level) => {
      const target = tape.gradientOf(input);
      if (!target) return;
      const part = gradients[level];
      if (!part) {
        if (!target.accumulate) stream.clear(target.tensor);
        return;
      }
      const [images, , height, width] = input.shape;
      const { base, longestList, mostBins } = part;
      stream.dispatch({
        kernel: roiAlignGradientKernel,
        constants: { BLOCK: gradientBlock },
        buffers: { gradOutput, table, gradInput: target.tensor },
        params: { channels, height, width, bins, base, accumulate: target.accumulate ? 1 : 0 },
        grid: [Math.ceil(width / gradientBlock), height, images * Math.ceil(channels / 16)],
        turns: { rounds: longestList, each: 1 + loop(mostBins) },
        work: { bytes: input.byteLength + placed[level].length * channels * binLength },
      });
    });
  };
  tape.record({ operation: "roiAlign", result: output, inputs, saved: [table], backward });
  return output;
}

/** The regions of each level, checked. */
function placeRegions(
  levels: readonly FeatureLevel[],
  { boxes, images, levels: levelOf }: Regions,
  sampling: RoiSampling,
): PlacedRegion[][] {
  const [count, channels] = levels[0]?.features.shape ?? [];
  const fitting = levels.every(({ features: { shape } }) =>
    shape.length === 4 && shape[0] === count && shape[1] === channels
  );
  if (levels.length === 0 || !fitting) {
    const shapes = levels.map(({ features: { shape } }) => `[${shape.join(", ")}]`).join(", ");
    throw new ShapeError(
      `roiAlign: maps of one batch with one number of channels; given ${shapes || "none"}`,
    );
  }
  const { bins, samplingRatio } = sampling;
  if (!Number.isInteger(bins) || bins < 1 || !Number.isInteger(samplingRatio)) {
    throw new ShapeError(`roiAlign: ${bins} bins of ${samplingRatio} samples; whole numbers, bins from 1`);
  }
  if (boxes.length !== 4 * images.length || levelOf && levelOf.length !== images.length) {
    throw new ShapeError(
      `roiAlign: ${boxes.length} coordinates and ${levelOf?.length ?? 0} levels for ${images.length} regions`,
    );
  }
  const placed = levels.map((): PlacedRegion[] => []);
  for (let place = 0; place < images.length; place++) {
    const image = images[place];
    const level = levelOf ? levelOf[place] : 0;
    if (!(image >= 0 && image < count) || !placed[level] || !levelOf && levels.length > 1) {
      throw new ShapeError(
        `roiAlign: region ${place} of image ${image} on map ${levelOf ? level : "(none given)"}; there are ` +
          `${count} images and ${levels.length} maps`,
      );
    }
    const [x1, y1, x2, y2] = boxes.subarray(4 * place, 4 * place + 4);
    const { features: { shape: [, , height, width] }, scale } = levels[level];
    placed[level].push({
      image,
      place,
      rows: axisWeights(y1, y2, scale, height, sampling),
      columns: axisWeights(x1, x2, scale, width, sampling),
    });
  }
  return placed;
}
