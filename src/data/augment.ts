/**
 * Carries drawn augmentations out on the device (kernels/augment_*.wgsl). At most five kernels for all samples of all
 * views: crop with the first part of the jitter, mean gray, the rest of the jitter, blur along x, blur along y. What no
 * sample needs is not launched; the last kernel that runs normalises and writes each view's tensor.
 */
import { DataError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { loop, mostLoopTurns } from "../gpu/limits.ts";
import { type BufferRange, linearGrid } from "../gpu/dispatch.ts";
import type { KernelConstants } from "../gpu/wgsl.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { JitterStep, SampleParameters } from "./augmentation.ts";
import { type Kernel, kernel } from "../gpu/kernel.ts";
import augmentGrayMeanSource from "../../kernels/augment_gray_mean.wgsl" with { type: "text" };
import augmentCropSource from "../../kernels/augment_crop.wgsl" with { type: "text" };
import augmentColourSource from "../../kernels/augment_colour.wgsl" with { type: "text" };
import augmentBlurSource from "../../kernels/augment_blur.wgsl" with { type: "text" };
import augment_params from "../../kernels/include/augment_params.wgsl" with { type: "text" };
import augment_colour from "../../kernels/include/augment_colour.wgsl" with { type: "text" };
import augment_store from "../../kernels/include/augment_store.wgsl" with { type: "text" };

const augmentGrayMeanKernel = kernel("augment_gray_mean", augmentGrayMeanSource);
const augmentCropKernel = kernel("augment_crop", augmentCropSource, {
  augment_params,
  augment_colour,
  augment_store,
});
const augmentColourKernel = kernel("augment_colour", augmentColourSource, {
  augment_params,
  augment_colour,
  augment_store,
});
const augmentBlurKernel = kernel("augment_blur", augmentBlurSource, { augment_params });

/** An image inside a buffer of one u32 a pixel (red lowest, then green, blue, 255), and what to make of it. */
export interface PlacedSample {
  /** Its first pixel in the buffer. */
  offset: number;
  /** Pixels of its rows. */
  width: number;
  parameters: SampleParameters;
}

/** Geometry and normalisation of the network's input. */
export interface AugmentTarget {
  height: number;
  width: number;
  /** Subtracted from red, green, blue in [0, 1]. */
  mean: readonly [number, number, number];
  /** Divides red, green, blue after that. */
  std: readonly [number, number, number];
}

const sampleWords = 16;
const operationCodes: Record<JitterStep["operation"], number> = {
  brightness: 1,
  contrast: 2,
  saturation: 3,
  hue: 4,
};

/** Pixels that an invocation computes; measured on the software driver. */
const strip = 8;
/** Turns of the loop over the operations of a sample's colour jitter. */
const jitterTurns = loop(4);
/** Most gray sums that one invocation adds up. */
const longestSum = 128;
/** Most bytes of one intermediate buffer; larger batches are done in slabs. */
const defaultScratchBytes = 2 ** 28;

/** Turns of the loops of augment_crop. Samples that share a launch may share a vector of lanes, which takes the longer way. */
function cropTurns(samples: readonly PlacedSample[], { height, width }: AugmentTarget): number {
  const taps = (inputs: (sample: PlacedSample) => number, outputs: number) =>
    2 * Math.max(1, samples.reduce((most, sample) => Math.max(most, inputs(sample)), 0) / outputs) + 2;
  const rows = taps(({ parameters }) => parameters.crop.height, height);
  const columns = taps(({ parameters }) => parameters.crop.width, width);
  return strip * loop(Math.ceil(rows), loop(Math.ceil(columns))) + jitterTurns;
}

/** Refuses what no launch of augment_crop can do; images must be some forty times as large as the output for that. */
function checkShrinking(samples: readonly PlacedSample[], target: AugmentTarget): void {
  if (cropTurns(samples, target) <= mostLoopTurns) return;
  const { crop } = samples.map(({ parameters }) => parameters).reduce((largest, parameters) =>
    parameters.crop.width * parameters.crop.height > largest.crop.width * largest.crop.height
      ? parameters
      : largest
  );
  throw new DataError(
    `an image part of ${crop.width}x${crop.height} pixels is too large to be resized to ${target.width}x${target.height} ` +
      `in one go; shrink the images first, or use a larger image size`,
  );
}

/** Of the blur, in pixels of the output. */
function radiusOf({ sigma }: SampleParameters): number {
  return Math.ceil(3 * sigma);
}

/** The table of `struct AugmentSample` (kernels/include/augment_params.wgsl). */
function encodeSamples(samples: readonly PlacedSample[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(sampleWords * samples.length);
  const floats = new Float32Array(words.buffer);
  samples.forEach(({ offset, width, parameters }, index) => {
    const at = sampleWords * index;
    const { crop, flip, jitter, grayscale, sigma } = parameters;
    words[at] = offset + crop.top * width + crop.left;
    words[at + 1] = width;
    words[at + 2] = crop.height;
    words[at + 3] = crop.width;
    words[at + 4] = flip ? 1 : 0;
    words[at + 5] = grayscale ? 1 : 0;
    words[at + 6] = radiusOf(parameters);
    floats[at + 7] = sigma > 0 ? -0.5 / (sigma * sigma) : 0;
    jitter.forEach(({ operation, amount }, slot) => {
      words[at + 8 + slot] = operationCodes[operation];
      floats[at + 12 + slot] = amount;
    });
  });
  return words;
}

/** A contiguous part of the samples that one launch works on. */
interface Rows {
  samples: number;
  firstSample: number;
  firstInput: number;
  firstOutput: number;
}

/** What is the same for all launches of one call. */
class Launcher {
  constructor(readonly gpu: Gpu, readonly table: Tensor, readonly target: AugmentTarget) {}

  launch(
    kernel: Kernel,
    constants: KernelConstants,
    rows: Rows,
    buffers: Record<string, BufferRange | undefined>,
    invocations: number,
    turns: number,
  ): void {
    const { height, width, mean, std } = this.target;
    this.gpu.stream.dispatch({
      kernel,
      constants: { STRIP: strip, ...constants },
      buffers: { samples: this.table, ...buffers },
      params: {
        ...rows,
        height,
        width,
        meanRed: mean[0],
        meanGreen: mean[1],
        meanBlue: mean[2],
        scaleRed: 1 / std[0],
        scaleGreen: 1 / std[1],
        scaleBlue: 1 / std[2],
      },
      grid: linearGrid(rows.samples * invocations, 64),
      turns,
      work: { bytes: (kernel === augmentCropKernel ? 16 : 24) * rows.samples * height * width },
    });
  }

  /** The mean gray of each row from its partial sums; the caller releases it. */
  grayMeans(graySums: Tensor): Tensor {
    const [samples, count] = graySums.shape;
    const scale = 1 / (this.target.height * this.target.width);
    const add = (input: Tensor, inputs: number, parts: number) => {
      const output = Tensor.create(this.gpu, [samples, parts]);
      this.gpu.stream.dispatch({
        kernel: augmentGrayMeanKernel,
        buffers: { input, output },
        params: { samples, count: inputs, parts, scale: parts === 1 ? scale : 1 },
        grid: [Math.ceil(samples * parts / 64), 1, 1],
        turns: loop(Math.ceil(inputs / parts)),
        work: { bytes: input.byteLength + output.byteLength },
      });
      return output;
    };
    if (count <= longestSum) return add(graySums, count, 1);
    const parts = Math.ceil(Math.sqrt(count));
    const partial = add(graySums, count, parts);
    const means = add(partial, parts, 1);
    partial.release();
    return means;
  }
}

/**
 * Augments samples of any images in one buffer, in any order, several views at once. Uploads the samples' parameters, so
 * call it before anything else of the step is recorded (see `CommandStream.write`).
 *
 * @param images packed pixels, see {@linkcode PlacedSample}
 * @param views the samples of each view; no view may be empty
 * @param scratchBytes most bytes of an intermediate buffer
 * @returns for each view a tensor [samples, 3, height, width], which the caller releases
 * @throws DataError for a crop about forty times as large as the output in both directions
 */
export function augment(
  gpu: Gpu,
  images: BufferRange,
  views: readonly (readonly PlacedSample[])[],
  target: AugmentTarget,
  scratchBytes = defaultScratchBytes,
): Tensor[] {
  const { height, width } = target;
  const samples = views.flat();
  checkShrinking(samples, target);
  const has = (needs: (parameters: SampleParameters) => boolean) =>
    samples.some((sample) => needs(sample.parameters));
  const contrast = has(({ jitter }) => jitter.some(({ operation }) => operation === "contrast"));
  const blur = has(({ sigma }) => sigma > 0);

  const blurTurns = loop(samples.reduce((most, { parameters }) => Math.max(most, radiusOf(parameters)), 0));

  const table = Tensor.create(gpu, [samples.length, sampleWords]);
  table.write(encodeSamples(samples));
  const outputs = views.map((view) => Tensor.create(gpu, [view.length, 3, height, width]));
  const launcher = new Launcher(gpu, table, target);

  const columnStrips = width * Math.ceil(height / strip);
  const rowStrips = height * Math.ceil(width / strip);
  const slab = Math.max(1, Math.floor(Math.min(scratchBytes, gpu.pool.limit) / (12 * height * width)));
  for (let first = 0; first < samples.length; first += slab) {
    const count = Math.min(slab, samples.length - first);
    const rows: Rows = { samples: count, firstSample: first, firstInput: 0, firstOutput: 0 };
    /** Runs a kernel into a new intermediate buffer or, when it is the last, into the tensors of the views. */
    const run = (
      kernel: Kernel,
      constants: KernelConstants,
      buffers: Record<string, Tensor | BufferRange | undefined>,
      invocations: number,
      turns: number,
      last: boolean,
    ): Tensor | undefined => {
      const all = { ...constants, NORMALISE: last };
      if (!last) {
        const output = Tensor.create(gpu, [count, 3, height, width]);
        launcher.launch(kernel, all, rows, { ...buffers, output }, invocations, turns);
        return output;
      }
      let start = 0;
      for (const output of outputs) {
        const from = Math.max(first, start);
        const to = Math.min(first + count, start + output.shape[0]);
        if (from < to) {
          launcher.launch(
            kernel,
            all,
            { samples: to - from, firstSample: from, firstInput: from - first, firstOutput: from - start },
            { ...buffers, output },
            invocations,
            turns,
          );
        }
        start += output.shape[0];
      }
    };

    const graySums = contrast ? Tensor.create(gpu, [count, columnStrips]) : undefined;
    let current = run(
      augmentCropKernel,
      { GRAY_SUMS: contrast },
      { images, graySums },
      columnStrips,
      cropTurns(samples, target),
      !contrast && !blur,
    );
    const replace = (next: Tensor | undefined) => {
      current?.release();
      current = next;
    };
    if (graySums) {
      const meanGray = launcher.grayMeans(graySums);
      replace(run(augmentColourKernel, {}, { input: current, meanGray }, columnStrips, jitterTurns, !blur));
      meanGray.release();
      graySums.release();
    }
    if (blur) {
      replace(
        run(augmentBlurKernel, { HORIZONTAL: true }, { input: current }, 3 * rowStrips, blurTurns, false),
      );
      replace(
        run(augmentBlurKernel, { HORIZONTAL: false }, { input: current }, 3 * columnStrips, blurTurns, true),
      );
    }
  }
  table.release();
  return outputs;
}
