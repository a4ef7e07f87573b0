/** What many tests share: a device, golden values, error measures. */
import { assert } from "@std/assert";
import type { Gpu } from "../src/gpu/device.ts";
import { openGpu } from "../src/host/adapter.ts";
import { purpose, Random } from "../src/random.ts";
import { readSafetensors } from "../src/store/safetensors.ts";
import type { Parameter } from "../src/tensor/parameter.ts";
import { Tape } from "../src/tensor/tape.ts";
import { Tensor } from "../src/tensor/tensor.ts";
import { elements, type Shape } from "../src/shape.ts";

/**
 * A test with a device of its own that fails on anything the device reports.
 * @param assumed see {@linkcode openGpu}
 */
export function gpuTest(
  name: string,
  body: (gpu: Gpu) => Promise<void>,
  assumed?: Parameters<typeof openGpu>[0],
): void {
  Deno.test({
    name,
    // The device's timers and callbacks outlive a test by a moment.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const gpu = await openGpu(assumed);
      try {
        await body(gpu);
        await gpu.finish();
      } finally {
        gpu.release();
      }
    },
  });
}

/** One golden case; see tests/golden/README.md. */
export interface GoldenCase {
  name: string;
  operation: string;
  // deno-lint-ignore no-explicit-any
  parameters: any;
  tolerance: { forward: number; backward: number };
  /** Values and shape of one of the case's tensors. */
  get(name: string): { data: Float32Array<ArrayBuffer>; shape: readonly number[] };
  has(name: string): boolean;
}

const goldenFiles = [
  "operations",
  "products",
  "nonfinite",
  "distillation",
  "images",
  "dense",
  "roi_align",
  "detection",
  "detector",
  "segmentation",
  "dense_steps",
];

/** All golden cases of one operation, of ordinary and of other numbers. */
export async function goldenCases(operation: string): Promise<GoldenCase[]> {
  const found: GoldenCase[] = [];
  for (const file of goldenFiles) {
    const path = new URL(`golden/${file}.safetensors`, import.meta.url).pathname;
    const { tensors, metadata } = await readSafetensors(path);
    const cases: Omit<GoldenCase, "get" | "has">[] = JSON.parse(metadata.cases);
    for (const one of cases.filter((one) => one.operation === operation)) {
      found.push({
        ...one,
        has: (name) => tensors.has(`${one.name}.${name}`),
        get(name) {
          const tensor = tensors.get(`${one.name}.${name}`);
          if (!tensor) throw new Error(`no golden tensor ${one.name}.${name}`);
          return { data: tensor.data as Float32Array<ArrayBuffer>, shape: tensor.shape };
        },
      });
    }
  }
  return found;
}

/** max |actual - expected| / max |expected|, as the golden tolerances are meant; NaN counts as infinite. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert(actual.length === expected.length, `${actual.length} values, expected ${expected.length}`);
  let difference = 0;
  let scale = 0;
  for (let index = 0; index < expected.length; index++) {
    const distance = Math.abs(actual[index] - expected[index]);
    difference = Math.max(difference, Number.isNaN(distance) ? Infinity : distance);
    scale = Math.max(scale, Math.abs(expected[index]));
  }
  return scale === 0 ? difference : difference / scale;
}

/** Fails unless the relative error is within the tolerance. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  const error = relativeError(actual, expected);
  assert(error <= tolerance, `${what}: relative error ${error.toExponential(2)} above ${tolerance}`);
}

/** Fails unless NaN and infinities are where they are expected, and only there, and the rest is within the tolerance. */
export function assertSame(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  const found = Array.from(actual);
  const wanted = Array.from(expected);
  const at = wanted.findIndex((value, index) =>
    !Number.isFinite(value + found[index]) && !Object.is(value, found[index])
  );
  assert(at < 0, `${what}: ${found[at]} at ${at} in place of ${wanted[at]}`);
  const finite = (values: number[]) => values.filter((_, index) => Number.isFinite(wanted[index]));
  assertClose(finite(found), finite(wanted), tolerance, what);
}

/** Values in [-1, 1), the same for the same seed. */
export function randomValues(length: number, seed: number): Float32Array<ArrayBuffer> {
  const random = new Random(seed, purpose.test);
  return Float32Array.from({ length }, () => random.uniform(-1, 1));
}

/** `count` random streams for tests, the same in every run; another `seed` gives others. */
export function randomStreams(seed: number, count: number): Random[] {
  return Array.from({ length: count }, (_, index) => new Random(seed, purpose.test, index + 1));
}

/** A tensor of random values. */
export function randomTensor(gpu: Gpu, shape: Shape, seed: number): Tensor {
  return Tensor.from(gpu, randomValues(elements(shape), seed), shape);
}

/** A parameter with the given values and initial gradient (default: zeros). */
export function parameter(
  gpu: Gpu,
  name: string,
  value: { data: Float32Array<ArrayBuffer>; shape: Shape },
  gradient?: Float32Array<ArrayBuffer>,
): Parameter {
  return {
    name,
    value: Tensor.from(gpu, value.data, value.shape),
    gradient: gradient ? Tensor.from(gpu, gradient, value.shape) : Tensor.zeros(gpu, value.shape),
  };
}

/**
 * Runs an operation forwards and backwards.
 * @returns output and gradients of the inputs, on the host
 */
export async function forwardBackward(
  gpu: Gpu,
  inputs: Tensor[],
  gradOutput: Float32Array<ArrayBuffer>,
  operation: (tape: Tape) => Tensor,
): Promise<{ output: Float32Array; gradients: Float32Array[] }> {
  using tape = new Tape(gpu, true);
  for (const input of inputs) tape.watch(input);
  const result = operation(tape);
  const output = await result.read();
  using start = Tensor.from(gpu, gradOutput, result.shape);
  tape.backward([result, start]);
  const gradients: Float32Array[] = [];
  for (const input of inputs) {
    using gradient = tape.take(input);
    if (!gradient) throw new Error("an input without gradient");
    gradients.push(await gradient.read());
  }
  return { output, gradients };
}

/** Runs a loss of one input, and its gradient. */
export async function lossAndGradient(
  gpu: Gpu,
  input: Tensor,
  operation: (tape: Tape) => Tensor,
): Promise<{ loss: Float32Array; gradient: Float32Array }> {
  using tape = new Tape(gpu, true);
  tape.watch(input);
  const loss = operation(tape);
  const value = await loss.read();
  tape.backward(loss);
  using gradient = tape.take(input)!;
  return { loss: value, gradient: await gradient.read() };
}
