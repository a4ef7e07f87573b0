/**
 * The operations as plain loops in float64, to compare the kernels with. Written for reading: one loop per index of the
 * formula, nothing shared with `src/`.
 */

/** Numbers on the host, whatever their precision. */
export type Values = ArrayLike<number>;

/** One convolution: active channel counts, the stored ones, and how the window moves. */
export interface ConvolutionCase {
  images: number;
  inChannels: number;
  outChannels: number;
  storedIn: number;
  storedOut: number;
  height: number;
  width: number;
  kernelY: number;
  kernelX: number;
  stride: number;
  paddingY: number;
  paddingX: number;
  dilation: number;
}

/** Rows and columns of the output: as many windows as fit. */
export function convolutionOutput(one: ConvolutionCase): [height: number, width: number] {
  const size = (input: number, kernel: number, padding: number) =>
    Math.floor((input + 2 * padding - one.dilation * (kernel - 1) - 1) / one.stride) + 1;
  return [size(one.height, one.kernelY, one.paddingY), size(one.width, one.kernelX, one.paddingX)];
}

/** Multiply-adds of a pass, zeros of the padding included. */
export function convolutionMacs(one: ConvolutionCase): number {
  const [outHeight, outWidth] = convolutionOutput(one);
  return one.images * one.inChannels * one.outChannels * one.kernelY * one.kernelX * outHeight * outWidth;
}

/**
 * All products of a convolution: output[o] is the sum of input[i] * weight[w] over its terms. The gradients are the same
 * sum, read from the other sides.
 */
function forEachTerm(
  one: ConvolutionCase,
  visit: (input: number, weight: number, output: number) => void,
): void {
  const [outHeight, outWidth] = convolutionOutput(one);
  for (let image = 0; image < one.images; image++) {
    for (let out = 0; out < one.outChannels; out++) {
      for (let channel = 0; channel < one.inChannels; channel++) {
        for (let tapY = 0; tapY < one.kernelY; tapY++) {
          for (let tapX = 0; tapX < one.kernelX; tapX++) {
            const weight = ((out * one.storedIn + channel) * one.kernelY + tapY) * one.kernelX + tapX;
            for (let y = 0; y < outHeight; y++) {
              const row = y * one.stride + tapY * one.dilation - one.paddingY;
              if (row < 0 || row >= one.height) continue;
              const inputRow = ((image * one.inChannels + channel) * one.height + row) * one.width;
              const outputRow = ((image * one.outChannels + out) * outHeight + y) * outWidth;
              for (let x = 0; x < outWidth; x++) {
                const column = x * one.stride + tapX * one.dilation - one.paddingX;
                if (column < 0 || column >= one.width) continue;
                visit(inputRow + column, weight, outputRow + x);
              }
            }
          }
        }
      }
    }
  }
}

/** [images, outChannels, outHeight, outWidth] from input and stored weight. */
export function convolution(one: ConvolutionCase, input: Values, weight: Values): Float64Array {
  const [outHeight, outWidth] = convolutionOutput(one);
  const output = new Float64Array(one.images * one.outChannels * outHeight * outWidth);
  forEachTerm(one, (i, w, o) => output[o] += input[i] * weight[w]);
  return output;
}

/** The input's gradient. */
export function convolutionInputGradient(
  one: ConvolutionCase,
  gradOutput: Values,
  weight: Values,
): Float64Array {
  const gradInput = new Float64Array(one.images * one.inChannels * one.height * one.width);
  forEachTerm(one, (i, w, o) => gradInput[i] += gradOutput[o] * weight[w]);
  return gradInput;
}

/** The gradient of the stored weight; zero outside the active slice. */
export function convolutionWeightGradient(
  one: ConvolutionCase,
  input: Values,
  gradOutput: Values,
): Float64Array {
  const gradWeight = new Float64Array(one.storedOut * one.storedIn * one.kernelY * one.kernelX);
  forEachTerm(one, (i, w, o) => gradWeight[w] += gradOutput[o] * input[i]);
  return gradWeight;
}

/** Which elements of the stored weight [storedOut, storedIn, kernelY, kernelX] the convolution uses. */
export function isActiveWeight(one: ConvolutionCase, index: number): boolean {
  const plane = Math.floor(index / (one.kernelY * one.kernelX));
  return Math.floor(plane / one.storedIn) < one.outChannels && plane % one.storedIn < one.inChannels;
}

/** One batchnorm over [images, channels, plane]; `groups` split the images into runs of equal length. */
export interface BatchnormCase {
  images: number;
  channels: number;
  plane: number;
  groups: number;
  epsilon: number;
  momentum: number;
  training: boolean;
}

/** Indices of a channel's elements within a group of the images. */
function channelElements(one: BatchnormCase, group: number, channel: number): number[] {
  const perGroup = one.images / one.groups;
  const indices: number[] = [];
  for (let image = group * perGroup; image < (group + 1) * perGroup; image++) {
    const start = (image * one.channels + channel) * one.plane;
    for (let position = 0; position < one.plane; position++) indices.push(start + position);
  }
  return indices;
}

/** What a batchnorm normalised with, per group and channel, and the running statistics after it. */
export interface BatchnormResult {
  output: Float64Array;
  mean: Float64Array;
  deviation: Float64Array;
  runningMean: Float64Array;
  runningVariance: Float64Array;
}

/** relu?(weight (input - mean) / sqrt(variance + epsilon) + bias + residual). */
export function batchnorm(
  one: BatchnormCase,
  tensors: {
    input: Values;
    weight: Values;
    bias: Values;
    runningMean: Values;
    runningVariance: Values;
    residual?: Values;
  },
  relu: boolean,
): BatchnormResult {
  const output = new Float64Array(tensors.input.length);
  const mean = new Float64Array(one.groups * one.channels);
  const deviation = new Float64Array(one.groups * one.channels);
  const runningMean = Float64Array.from(tensors.runningMean);
  const runningVariance = Float64Array.from(tensors.runningVariance);
  for (let channel = 0; channel < one.channels; channel++) {
    let meanOfMeans = 0;
    let meanOfVariances = 0;
    for (let group = 0; group < one.groups; group++) {
      const indices = channelElements(one, group, channel);
      let center = tensors.runningMean[channel];
      let variance = tensors.runningVariance[channel];
      if (one.training) {
        center = indices.reduce((sum, index) => sum + tensors.input[index], 0) / indices.length;
        variance = indices.reduce((sum, index) => sum + (tensors.input[index] - center) ** 2, 0) /
          indices.length;
      }
      const slot = group * one.channels + channel;
      mean[slot] = center;
      deviation[slot] = Math.sqrt(variance + one.epsilon);
      for (const index of indices) {
        const normalised = (tensors.input[index] - center) / deviation[slot];
        const value = tensors.weight[channel] * normalised + tensors.bias[channel] +
          (tensors.residual?.[index] ?? 0);
        output[index] = relu ? Math.max(value, 0) : value;
      }
      meanOfMeans += center / one.groups;
      meanOfVariances += variance * indices.length / Math.max(indices.length - 1, 1) / one.groups;
    }
    if (!one.training) continue;
    runningMean[channel] += one.momentum * (meanOfMeans - runningMean[channel]);
    runningVariance[channel] += one.momentum * (meanOfVariances - runningVariance[channel]);
  }
  return { output, mean, deviation, runningMean, runningVariance };
}

/**
 * Gradients of {@linkcode batchnorm}.
 * @param gradSum gradient before ReLU: `gradOutput` where the output is above zero; the residual's gradient, too
 */
export function batchnormGradient(
  one: BatchnormCase,
  result: BatchnormResult,
  input: Values,
  weight: Values,
  gradSum: Values,
): { input: Float64Array; weight: Float64Array; bias: Float64Array } {
  const gradients = {
    input: new Float64Array(input.length),
    weight: new Float64Array(weight.length),
    bias: new Float64Array(weight.length),
  };
  for (let channel = 0; channel < one.channels; channel++) {
    for (let group = 0; group < one.groups; group++) {
      const slot = group * one.channels + channel;
      const indices = channelElements(one, group, channel);
      const normalised = (index: number) => (input[index] - result.mean[slot]) / result.deviation[slot];
      const sum = indices.reduce((total, index) => total + gradSum[index], 0);
      const products = indices.reduce((total, index) => total + gradSum[index] * normalised(index), 0);
      gradients.bias[channel] += sum;
      gradients.weight[channel] += products;
      for (const index of indices) {
        const through = one.training ? (sum + normalised(index) * products) / indices.length : 0;
        gradients.input[index] = weight[channel] / result.deviation[slot] * (gradSum[index] - through);
      }
    }
  }
  return gradients;
}

/** One pooling over `planes` images of one channel. */
export interface PoolCase {
  planes: number;
  height: number;
  width: number;
  window: number;
  stride: number;
  padding: number;
}

/** For each output of a max-pooling the index of its input: the first maximum of the window, in row order. */
export function maxPoolChoices(one: PoolCase, input: Values): number[] {
  const size = (length: number) => Math.floor((length + 2 * one.padding - one.window) / one.stride) + 1;
  const choices: number[] = [];
  for (let plane = 0; plane < one.planes; plane++) {
    for (let y = 0; y < size(one.height); y++) {
      for (let x = 0; x < size(one.width); x++) {
        let best = -1;
        for (let tapY = 0; tapY < one.window; tapY++) {
          for (let tapX = 0; tapX < one.window; tapX++) {
            const row = y * one.stride + tapY - one.padding;
            const column = x * one.stride + tapX - one.padding;
            if (row < 0 || row >= one.height || column < 0 || column >= one.width) continue;
            const index = (plane * one.height + row) * one.width + column;
            if (best < 0 || input[index] > input[best]) best = index;
          }
        }
        choices.push(best);
      }
    }
  }
  return choices;
}

/** Length of each row, and the rows scaled to length one. */
export function normaliseRows(input: Values, columns: number): { output: Float64Array; norms: Float64Array } {
  const output = new Float64Array(input.length);
  const norms = new Float64Array(input.length / columns);
  for (let row = 0; row < norms.length; row++) {
    for (let at = row * columns; at < (row + 1) * columns; at++) norms[row] += input[at] ** 2;
    norms[row] = Math.sqrt(norms[row]);
    for (let at = row * columns; at < (row + 1) * columns; at++) output[at] = input[at] / norms[row];
  }
  return { output, norms };
}

/** Mean cross-entropy of rows of logits, and its gradient. */
export function crossEntropy(
  logits: Values,
  columns: number,
  labels: Values,
): { loss: number; gradient: Float64Array } {
  const rows = labels.length;
  const gradient = new Float64Array(logits.length);
  let loss = 0;
  for (let row = 0; row < rows; row++) {
    const values = Array.from({ length: columns }, (_, column) => logits[row * columns + column]);
    const highest = Math.max(...values);
    const logSum = highest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - highest), 0));
    loss += (logSum - values[labels[row]]) / rows;
    values.forEach((value, column) => {
      const hit = column === labels[row] ? 1 : 0;
      gradient[row * columns + column] = (Math.exp(value - logSum) - hit) / rows;
    });
  }
  return { loss, gradient };
}

/** InfoNCE: cross-entropy of [own key, queue…] with the own key as label, and the gradient of the queries. */
export function infoNce(
  query: Values,
  keys: Values,
  queue: Values,
  dimension: number,
  temperature: number,
): { loss: number; gradient: Float64Array } {
  const rows = query.length / dimension;
  const columns = 1 + queue.length / dimension;
  const other = (row: number, column: number, at: number) =>
    column === 0 ? keys[row * dimension + at] : queue[(column - 1) * dimension + at];
  const logits = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let at = 0; at < dimension; at++) {
        logits[row * columns + column] += query[row * dimension + at] * other(row, column, at) / temperature;
      }
    }
  }
  const { loss, gradient: gradLogits } = crossEntropy(logits, columns, new Uint32Array(rows));
  const gradient = new Float64Array(query.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let at = 0; at < dimension; at++) {
        gradient[row * dimension + at] += gradLogits[row * columns + column] * other(row, column, at) /
          temperature;
      }
    }
  }
  return { loss, gradient };
}
