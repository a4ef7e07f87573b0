/** Makes a batch of photos as their placements say, on the device (kernels/dense_crop.wgsl). */
import { DataError } from "../../errors.ts";
import { type BufferRange, linearGrid } from "../../gpu/dispatch.ts";
import type { Gpu } from "../../gpu/device.ts";
import { kernel } from "../../gpu/kernel.ts";
import { loop, mostLoopTurns } from "../../gpu/limits.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { AugmentTarget } from "../augment.ts";
import type { ImagePlace } from "../gpu_images.ts";
import type { Placement } from "./placement.ts";
import denseCropSource from "../../../kernels/dense_crop.wgsl" with { type: "text" };
import augment_colour from "../../../kernels/include/augment_colour.wgsl" with { type: "text" };

const denseCropKernel = kernel("dense_crop", denseCropSource, { augment_colour });

/**
 * A change of colours, clamped to [0, 1]: `add` to all channels, `multiply` all, multiply the saturation (`chroma`, of hue,
 * saturation and value), turn the `hue` by parts of a turn.
 */
export interface ColourStep {
  readonly operation: "add" | "multiply" | "chroma" | "hue";
  readonly amount: number;
}

/** A photo in a buffer of pixels, and how it is shown. */
export interface DenseCropSample extends ImagePlace {
  readonly placement: Placement;
  /** At most four. */
  readonly colours: readonly ColourStep[];
}

const operationCodes: Record<ColourStep["operation"], number> = { multiply: 1, hue: 4, add: 5, chroma: 6 };
const sampleWords = 20;
/** Output pixels of an invocation. */
const strip = 4;

/** The table of `struct DenseSample`. */
function encodeSamples(samples: readonly DenseCropSample[], antialias: boolean): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(sampleWords * samples.length);
  const floats = new Float32Array(words.buffer);
  samples.forEach(({ offset, width, height, placement: { resized, window, flip }, colours }, index) => {
    const at = sampleWords * index;
    words.set([offset, height, width, Number(antialias), resized.height, resized.width], at);
    words.set([window.top, window.left, window.height, window.width, Number(flip)], at + 6);
    colours.forEach(({ operation, amount }, slot) => {
      words[at + 12 + slot] = operationCodes[operation];
      floats[at + 16 + slot] = amount;
    });
  });
  return words;
}

/**
 * Turns of the kernel's loops. Samples that share a launch may share a vector of lanes, which takes the longest way in each
 * direction.
 *
 * @throws {DataError} where that is too long for any launch
 */
function cropTurns(samples: readonly DenseCropSample[], antialias: boolean): number {
  const taps = (shrinking: (sample: DenseCropSample) => number) =>
    antialias ? Math.ceil(2 * Math.max(1, ...samples.map(shrinking))) + 2 : 3;
  const rows = taps(({ height, placement }) => height / placement.resized.height);
  const columns = taps(({ width, placement }) => width / placement.resized.width);
  const turns = strip * loop(rows, loop(columns)) + loop(4);
  if (turns <= mostLoopTurns) return turns;
  const area = ({ width, height, placement: { resized } }: DenseCropSample) =>
    width * height / (resized.width * resized.height);
  const { width, height, placement: { resized } } = samples.reduce((a, b) => area(b) > area(a) ? b : a);
  throw new DataError(
    `an image of ${width} x ${height} pixels is too large to be resized to ${resized.width} x ${resized.height} in one ` +
      "go; keep it smaller",
  );
}

/**
 * Shows photos as one batch, padded with 0 after normalisation. Uploads the samples' table, so call it before anything else
 * of the step is recorded.
 *
 * @param images packed pixels, one u32 each
 * @param target size of the input and normalisation
 * @param antialias whether what shrinks is averaged; false is PyTorch's `interpolate`, as torchvision's detectors use it
 * @returns [samples, 3, height, width]; the caller releases it
 * @throws {DataError} for a photo that is some forty times as large as it is shown, or a window larger than the input
 */
export function denseCrop(
  gpu: Gpu,
  images: BufferRange,
  samples: readonly DenseCropSample[],
  target: AugmentTarget,
  antialias: boolean,
): Tensor {
  const { height, width, mean, std } = target;
  for (const { placement: { window } } of samples) {
    if (window.height <= height && window.width <= width) continue;
    throw new DataError(
      `a window of ${window.width} x ${window.height} is larger than an input of ${width} x ${height}`,
    );
  }
  const turns = cropTurns(samples, antialias);
  const table = Tensor.create(gpu, [samples.length, sampleWords]);
  table.write(encodeSamples(samples, antialias));
  const output = Tensor.create(gpu, [samples.length, 3, height, width]);
  gpu.stream.dispatch({
    kernel: denseCropKernel,
    buffers: { samples: table, images, output },
    params: {
      samples: samples.length,
      height,
      width,
      meanRed: mean[0],
      meanGreen: mean[1],
      meanBlue: mean[2],
      scaleRed: 1 / std[0],
      scaleGreen: 1 / std[1],
      scaleBlue: 1 / std[2],
    },
    grid: linearGrid(samples.length * width * Math.ceil(height / strip), 64),
    turns,
    work: { bytes: 16 * samples.length * height * width },
  });
  table.release();
  return output;
}
