/**
 * A trial of the kernels: convolutions of the shapes that networks have, forwards and backwards, compared with plain
 * loops. The variants that ran are those that this device's commands run, whatever chose them.
 */
import { GpuError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { purpose, Random } from "../random.ts";
import { convolution } from "../tensor/ops/convolution.ts";
import { Tape } from "../tensor/tape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { elements, type Shape } from "../shape.ts";

/** A kernel and the constants that it was compiled with. */
export interface CheckedKernel {
  readonly kernel: string;
  readonly constants: Readonly<Record<string, number | boolean>>;
}

interface Trial {
  readonly name: string;
  readonly input: readonly [images: number, channels: number, height: number, width: number];
  readonly outChannels: number;
  readonly kernel: number;
  readonly stride: number;
}

const trials: readonly Trial[] = [
  { name: "7x7 stem", input: [2, 3, 32, 32], outChannels: 16, kernel: 7, stride: 2 },
  { name: "3x3 stem", input: [2, 3, 32, 32], outChannels: 16, kernel: 3, stride: 1 },
  { name: "3x3", input: [4, 32, 16, 16], outChannels: 32, kernel: 3, stride: 1 },
  { name: "3x3 with stride", input: [4, 32, 16, 16], outChannels: 32, kernel: 3, stride: 2 },
  { name: "1x1", input: [4, 32, 16, 16], outChannels: 64, kernel: 1, stride: 1 },
  { name: "linear layer", input: [64, 64, 1, 1], outChannels: 32, kernel: 1, stride: 1 },
];

/** Outputs and gradients that are compared of each trial. */
const samples = 32;
const tolerance = 1e-4;

function values(shape: Shape, seed: number): Float32Array<ArrayBuffer> {
  const random = new Random(seed, purpose.test);
  return Float32Array.from({ length: elements(shape) }, () => random.uniform(-1, 1));
}

/** The forward pass by plain loops, at one output. */
function plainOutput(trial: Trial, input: Float32Array, weight: Float32Array, at: number): number {
  const { input: [, channels, height, width], outChannels, kernel, stride } = trial;
  const outHeight = Math.ceil(height / stride), outWidth = Math.ceil(width / stride);
  const column = at % outWidth;
  const row = Math.floor(at / outWidth) % outHeight;
  const out = Math.floor(at / outWidth / outHeight) % outChannels;
  const image = Math.floor(at / outWidth / outHeight / outChannels);
  const padding = (kernel - 1) / 2;
  let sum = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let tapY = 0; tapY < kernel; tapY++) {
      for (let tapX = 0; tapX < kernel; tapX++) {
        const y = row * stride + tapY - padding, x = column * stride + tapX - padding;
        if (y < 0 || y >= height || x < 0 || x >= width) continue;
        sum += input[((image * channels + channel) * height + y) * width + x] *
          weight[((out * channels + channel) * kernel + tapY) * kernel + tapX];
      }
    }
  }
  return sum;
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, at) => sum + value * b[at], 0);
}

async function runTrial(gpu: Gpu, trial: Trial): Promise<void> {
  const { name, input: shape, outChannels, kernel, stride } = trial;
  const weightShape = [outChannels, shape[1], kernel, kernel];
  const inputValues = values(shape, 1), weightValues = values(weightShape, 2);
  const input = Tensor.from(gpu, inputValues, shape);
  const weight = {
    name,
    value: Tensor.from(gpu, weightValues, weightShape),
    gradient: Tensor.zeros(gpu, weightShape),
  };
  const tape = new Tape(gpu, true);
  tape.watch(input);
  const result = convolution(tape, input, weight, { stride, padding: (kernel - 1) / 2 });
  const output = await result.read();
  const seedValues = values(result.shape, 3);
  const seed = Tensor.from(gpu, seedValues, result.shape);
  tape.backward([result, seed]);
  const inputGradient = tape.take(input)!;
  const [ofInput, ofWeight] = (await gpu.read(inputGradient, weight.gradient)).map((bytes) =>
    new Float32Array(bytes)
  );
  for (const tensor of [input, seed, weight.value, weight.gradient, inputGradient]) tensor.release();

  const scale = Math.sqrt(shape[1]) * kernel;
  for (let sample = 0; sample < samples; sample++) {
    const at = Math.floor((sample + 0.5) * output.length / samples);
    const expected = plainOutput(trial, inputValues, weightValues, at);
    if (Math.abs(output[at] - expected) <= tolerance * scale) continue;
    throw new GpuError(`the ${name} convolution computes ${output[at]}, expected ${expected}`);
  }
  // <output, seed> = <input, its gradient> = <weight, its gradient>, since a convolution is linear in both.
  const expected = dot(output, seedValues);
  for (const [of, found] of [["input", dot(inputValues, ofInput)], ["weight", dot(weightValues, ofWeight)]]) {
    if (Math.abs(Number(found) - expected) <= tolerance * scale * Math.sqrt(output.length)) continue;
    throw new GpuError(
      `the ${of}'s gradient of the ${name} convolution is wrong: ${found}, expected ${expected}`,
    );
  }
}

/**
 * Runs the trial.
 *
 * @returns the variants that ran
 * @throws {GpuError} when a kernel does not compile, does not run, or computes something wrong
 */
export async function tryKernels(gpu: Gpu): Promise<CheckedKernel[]> {
  for (const trial of trials) await runTrial(gpu, trial);
  return gpu.pipelines.keys.sort().map((key) => {
    const separator = key.indexOf(" ");
    return { kernel: key.slice(0, separator), constants: JSON.parse(key.slice(separator + 1)) };
  });
}
