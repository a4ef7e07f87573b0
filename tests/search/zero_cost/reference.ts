/**
 * Networks in float64, as plain loops over the formulas: convolutions with batchnorm, or without it, ReLUs, sums and
 * max-pools. Nothing is shared with the kernels.
 */
import { unitsOf } from "../../../src/elastic/network.ts";
import type { Encoder } from "../../../src/nn/encoder.ts";
import { ConvolutionBatchnorm, MaxPool, type NetworkLayer } from "../../../src/nn/layers.ts";

/** A map [N, C, H, W]. */
export interface FeatureMap {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** Weights of convolutions by the name of the convolution. */
export type Kernels = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float64Array }>;

/** The encoder's convolutions on the host. */
export async function readKernels({ weights }: Encoder): Promise<Kernels> {
  const kernels = new Map<string, { shape: readonly number[]; data: Float64Array }>();
  for (const [name, tensor] of weights.values.entries()) {
    if (tensor.shape.length !== 4) continue;
    kernels.set(name.replace(/\.weight$/, ""), {
      shape: tensor.shape,
      data: Float64Array.from(await tensor.read()),
    });
  }
  return kernels;
}

/** What a pass through a whole network does in place of batchnorm, and whom it tells of results behind a ReLU. */
export interface ReferencePass {
  readonly kernels: Kernels;
  /** Batchnorm with the batch's statistics, weight 1 and bias 0; or, false, none. */
  readonly normalise: boolean;
  onRectified?(sum: FeatureMap): void;
}

/** Runs the architecture of a network of one alone; returns the output of its last unit. */
export function runReference({ network }: Encoder, images: FeatureMap, pass: ReferencePass): FeatureMap {
  const apply = (layer: NetworkLayer, input: FeatureMap, residual?: FeatureMap): FeatureMap => {
    if (layer instanceof MaxPool) return maxPool(input, layer);
    if (!(layer instanceof ConvolutionBatchnorm)) throw new Error("a layer that the reference does not know");
    const output = convolution(input, layer, pass.kernels);
    if (pass.normalise) normalise(output);
    if (residual) output.data.forEach((_, at) => output.data[at] += residual.data[at]);
    if (layer.definition.relu === undefined) return output;
    pass.onRectified?.(output);
    return { shape: output.shape, data: output.data.map((value) => Math.max(0, value)) };
  };
  let value = images;
  for (const { unit } of unitsOf(network, network.space.max)) value = unit.forward<FeatureMap>(apply, value);
  return value;
}

/** Sum of the means of all channels of one image. */
export function pooledSum({ shape, data }: FeatureMap): number {
  return data.reduce((sum, value) => sum + value, 0) / (shape[2] * shape[3]);
}

function convolution(input: FeatureMap, layer: ConvolutionBatchnorm, kernels: Kernels): FeatureMap {
  const [images, channels, height, width] = input.shape;
  const { definition, stride, padding } = layer;
  const { kernel } = definition;
  const weight = kernels.get(definition.convolution)!;
  const shape = layer.outputShape(input.shape);
  const [, outChannels, outHeight, outWidth] = shape;
  const data = new Float64Array(images * outChannels * outHeight * outWidth);
  let at = 0;
  for (let n = 0; n < images; n++) {
    for (let o = 0; o < outChannels; o++) {
      for (let y = 0; y < outHeight; y++) {
        for (let x = 0; x < outWidth; x++, at++) {
          for (let c = 0; c < channels; c++) {
            for (let i = 0; i < kernel; i++) {
              const row = y * stride + i - padding;
              if (row < 0 || row >= height) continue;
              for (let j = 0; j < kernel; j++) {
                const column = x * stride + j - padding;
                if (column < 0 || column >= width) continue;
                data[at] += input.data[((n * channels + c) * height + row) * width + column] *
                  weight.data[((o * channels + c) * kernel + i) * kernel + j];
              }
            }
          }
        }
      }
    }
  }
  return { shape, data };
}

function normalise({ shape: [images, channels, height, width], data }: FeatureMap): void {
  const plane = height * width;
  for (let c = 0; c < channels; c++) {
    const places: number[] = [];
    for (let n = 0; n < images; n++) {
      for (let at = 0; at < plane; at++) places.push((n * channels + c) * plane + at);
    }
    const mean = places.reduce((sum, at) => sum + data[at], 0) / places.length;
    const variance = places.reduce((sum, at) => sum + (data[at] - mean) ** 2, 0) / places.length;
    for (const at of places) data[at] = (data[at] - mean) / Math.sqrt(variance + 1e-5);
  }
}

function maxPool(input: FeatureMap, layer: MaxPool): FeatureMap {
  const [, , height, width] = input.shape;
  const shape = layer.outputShape(input.shape);
  const [images, channels, outHeight, outWidth] = shape;
  const data = new Float64Array(images * channels * outHeight * outWidth).fill(-Infinity);
  for (let at = 0; at < data.length; at++) {
    const x = at % outWidth, y = Math.floor(at / outWidth) % outHeight;
    const plane = Math.floor(at / (outWidth * outHeight));
    for (let i = 0; i < layer.window; i++) {
      for (let j = 0; j < layer.window; j++) {
        const row = y * layer.stride + i - layer.padding, column = x * layer.stride + j - layer.padding;
        if (row < 0 || row >= height || column < 0 || column >= width) continue;
        data[at] = Math.max(data[at], input.data[(plane * height + row) * width + column]);
      }
    }
  }
  return { shape, data };
}
