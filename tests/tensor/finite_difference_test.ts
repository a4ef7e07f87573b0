/**
 * Gradients against central differences of the device's own forward pass: single operations, a residual block, and an
 * encoder with its loss. Independent of every formula for a gradient.
 */
import { assert } from "@std/assert";
import type { Gpu } from "../../src/gpu/device.ts";
import { Encoder } from "../../src/nn/encoder.ts";
import { runUnit } from "../../src/nn/layers.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { purpose, Random } from "../../src/random.ts";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { batchnorm } from "../../src/tensor/ops/batchnorm.ts";
import { convolution } from "../../src/tensor/ops/convolution.ts";
import { add, average, relu, scale } from "../../src/tensor/ops/elementwise.ts";
import { l2Normalise } from "../../src/tensor/ops/l2_normalise.ts";
import { linear } from "../../src/tensor/ops/linear.ts";
import { matmul } from "../../src/tensor/ops/matmul.ts";
import { globalAveragePool, maxPool } from "../../src/tensor/ops/pool.ts";
import { infoNce, softmaxCrossEntropy } from "../../src/tensor/ops/softmax.ts";
import type { Parameter } from "../../src/tensor/parameter.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { gpuTest, parameter, randomTensor, randomValues } from "../helpers.ts";

/** Something that a loss depends on, and the loss's gradient with respect to it. */
interface Variable {
  name: string;
  tensor: Tensor;
  gradient: Float32Array;
}

/**
 * Distances to move. The short ones are for where a ReLU or a maximum switches within the first, which puts a kink
 * into the loss: one of the slopes has to be the gradient's.
 */
const steps = [1e-2, 1e-3, 3e-4, 1e-4];

/** Checks the slope of the loss where a variable moves along a direction. */
async function checkSlope(
  what: string,
  { tensor, values }: { tensor: Tensor; values: Float32Array<ArrayBuffer> },
  direction: ArrayLike<number>,
  expected: { slope: number; within: number },
  loss: () => Promise<number>,
): Promise<void> {
  const found: number[] = [];
  for (const step of steps) {
    tensor.write(values.map((value, index) => value + step * direction[index]));
    const ahead = await loss();
    tensor.write(values.map((value, index) => value - step * direction[index]));
    const behind = await loss();
    found.push((ahead - behind) / (2 * step));
    if (Math.abs(found[found.length - 1] - expected.slope) < expected.within) break;
  }
  tensor.write(values);
  assert(
    Math.abs(found[found.length - 1] - expected.slope) < expected.within,
    `${what}: by the gradient ${expected.slope} within ${expected.within}, found ${found.join(", ")}`,
  );
}

/**
 * Checks each variable's gradient along itself, which takes every element in, and, on request, at the steepest and at two
 * random elements.
 *
 * @param options.noise what rounding of the loss may add to a slope
 */
async function checkGradients(
  what: string,
  variables: Variable[],
  loss: () => Promise<number>,
  { elements = true, tolerance = 0.01, noise = 0 } = {},
): Promise<void> {
  const random = new Random(77, purpose.test);
  for (const { name, tensor, gradient } of variables) {
    const variable = { tensor, values: await tensor.read() };
    const length = Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0));
    assert(length > 0, `${what}: the gradient of ${name} is zero`);
    const along = gradient.map((value) => value / length);
    const expected = { slope: length, within: tolerance * length + noise };
    await checkSlope(`${what}, ${name} along its gradient`, variable, along, expected, loss);
    if (!elements) continue;
    const steepest = gradient.reduce(
      (best, value, at) => Math.abs(value) > Math.abs(gradient[best]) ? at : best,
      0,
    );
    for (const at of [steepest, random.integer(gradient.length), random.integer(gradient.length)]) {
      const direction = new Float32Array(gradient.length);
      direction[at] = 1;
      const slope = { slope: gradient[at], within: tolerance * Math.abs(gradient[steepest]) };
      await checkSlope(`${what}, ${name}[${at}]`, variable, direction, slope, loss);
    }
  }
}

/** Checks an operation under the loss <output, y> with random y, unless one is given. */
async function checkOperation(
  gpu: Gpu,
  what: string,
  tensors: { inputs: Record<string, Tensor>; parameters?: Parameter[] },
  operation: (tape: Tape) => Tensor,
  given?: Float32Array<ArrayBuffer>,
): Promise<void> {
  const inputs = Object.entries(tensors.inputs);
  const parameters = tensors.parameters ?? [];
  const tape = new Tape(gpu, true);
  for (const [, input] of inputs) tape.watch(input);
  const output = operation(tape);
  const y = given ?? randomValues(output.length, 99);
  const shape = output.shape;
  tape.backward([output, Tensor.from(gpu, y, shape)]);
  const variables: Variable[] = [];
  for (const [name, tensor] of inputs) {
    variables.push({ name, tensor, gradient: await tape.take(tensor)!.read() });
  }
  for (const { name, value, gradient } of parameters) {
    variables.push({ name, tensor: value, gradient: await gradient!.read() });
  }
  await checkGradients(what, variables, async () => {
    const inference = new Tape(gpu, false);
    const values = await operation(inference).read();
    inference.release();
    return values.reduce((sum, value, index) => sum + value * y[index], 0);
  });
}

/** Random values at least 0.1 apart from zero and from each other, so that no step crosses a kink. */
function spaced(gpu: Gpu, shape: readonly number[], seed: number): Tensor {
  const length = shape.reduce((product, size) => product * size, 1);
  const order = new Random(seed, purpose.test).permutation(length);
  return Tensor.from(
    gpu,
    Float32Array.from(order, (place) => 0.1 * (place + 0.5 - Math.floor(length / 2))),
    shape,
  );
}

function randomParameter(gpu: Gpu, name: string, shape: readonly number[], seed: number): Parameter {
  const length = shape.reduce((product, size) => product * size, 1);
  return parameter(gpu, name, { data: randomValues(length, seed), shape });
}

gpuTest("gradients of single operations", async (gpu) => {
  const input = randomTensor(gpu, [3, 5, 8, 8], 1);
  for (const options of [{ padding: 1 }, { stride: 2, padding: 1 }, { dilation: 2, outChannels: 4 }]) {
    const weight = randomParameter(gpu, "weight", [6, 5, 3, 3], 2);
    await checkOperation(
      gpu,
      `convolution ${JSON.stringify(options)}`,
      { inputs: { input }, parameters: [weight] },
      (tape) => convolution(tape, input, weight, options),
    );
  }
  const rows = randomTensor(gpu, [6, 9], 3);
  const weight = randomParameter(gpu, "weight", [7, 9], 4);
  const bias = randomParameter(gpu, "bias", [7], 5);
  await checkOperation(
    gpu,
    "linear",
    { inputs: { rows }, parameters: [weight, bias] },
    (tape) => linear(tape, rows, weight, bias),
  );
  await checkOperation(gpu, "l2Normalise", { inputs: { rows } }, (tape) => l2Normalise(tape, rows));
  const other = randomTensor(gpu, [6, 9], 6);
  await checkOperation(gpu, "add", { inputs: { rows, other } }, (tape) => add(tape, rows, other));
  const images = spaced(gpu, [2, 3, 7, 7], 7);
  await checkOperation(gpu, "relu", { inputs: { images } }, (tape) => relu(tape, images));
  await checkOperation(gpu, "maxPool", { inputs: { images } }, (tape) => maxPool(tape, images, 3, 2, 1));
  await checkOperation(
    gpu,
    "globalAveragePool",
    { inputs: { images } },
    (tape) => globalAveragePool(tape, images),
  );
});

gpuTest("gradients of batchnorm", async (gpu) => {
  const input = randomTensor(gpu, [4, 3, 5, 5], 1);
  // Far enough from zero that ReLU lets all or nothing of an element through.
  const residual = Tensor.from(
    gpu,
    randomValues(300, 2).map((value) => value < 0 ? value - 6 : value + 6),
    input.shape,
  );
  const weight = randomParameter(gpu, "weight", [3], 3);
  const bias = randomParameter(gpu, "bias", [3], 4);
  const running = { mean: randomTensor(gpu, [3], 5), variance: Tensor.from(gpu, Float32Array.of(0.5, 1, 2)) };
  for (const options of [{ training: true }, { training: true, groups: 2 }, { training: false }]) {
    for (const fused of [{}, { residual, relu: true }]) {
      for (const { gradient } of [weight, bias]) gpu.stream.clear(gradient!);
      await checkOperation(
        gpu,
        `batchnorm ${JSON.stringify(options)}${fused.residual ? " + residual, ReLU" : ""}`,
        { inputs: { input, ...(fused.residual ? { residual } : {}) }, parameters: [weight, bias] },
        (tape) => batchnorm(tape, input, weight, bias, running, { ...options, ...fused }),
      );
    }
  }
});

gpuTest("gradients of the losses", async (gpu) => {
  const [query, keys, queue] = [[5, 8], [5, 8], [30, 8]].map((shape, index) =>
    randomTensor(gpu, shape, index + 1)
  );
  const contrast = (tape: Tape) => infoNce(tape, query, keys, queue, 0.5);
  await checkOperation(gpu, "infoNce", { inputs: { query } }, contrast, Float32Array.of(1));
  const logits = randomTensor(gpu, [6, 10], 4);
  const labels = Tensor.from(gpu, Uint32Array.of(0, 3, 9, 9, 1, 4));
  const entropy = (tape: Tape) => softmaxCrossEntropy(tape, logits, labels);
  await checkOperation(gpu, "softmaxCrossEntropy", { inputs: { logits } }, entropy, Float32Array.of(1));
  const similarities = (tape: Tape) => matmul(tape, query, keys, { transposeB: true });
  const terms = (tape: Tape) =>
    add(
      tape,
      scale(tape, average(tape, [contrast(tape), entropy(tape)]), 0.7),
      softmaxCrossEntropy(tape, similarities(tape), own),
    );
  const own = Tensor.from(gpu, Uint32Array.of(0, 1, 2, 3, 4));
  await checkOperation(
    gpu,
    "a loss of three terms",
    { inputs: { query, logits } },
    terms,
    Float32Array.of(-2),
  );
});

/** An elastic encoder whose last batchnorms are not zero, so that every weight has a gradient. */
async function tinyEncoder(gpu: Gpu, block: "basic" | "bottleneck"): Promise<Encoder> {
  const space = new SearchSpace({
    block,
    stem: { kind: block === "basic" ? "3x3" : "7x7", widths: [4, 6] },
    widths: [[3, 4], [4, 6]],
    depths: [[1, 2], [1, 2]],
    strides: [1, 2],
    named: {},
  });
  const encoder = new Encoder(gpu, new ElasticResNet(space), { kind: "mlp", hidden: 12, dimension: 8 }, true);
  await encoder.initialise(3, { head: "uniform", lastBatchnorm: 1 });
  for (const [name, tensor] of encoder.weights.values.entries()) {
    const random = randomValues(tensor.length, 5);
    if (/bn\d\.weight$/.test(name)) tensor.write(random.map((number) => 1 + 0.5 * number));
    if (/bn\d\.bias$/.test(name)) tensor.write(random);
  }
  return encoder;
}

/**
 * What an encoder gives with somewhat other weights. As the aim of a loss it lets all elements pull a weight one way: with
 * a random aim their pulls cancel, and a single ReLU that switches within a step makes a slope of its own.
 */
async function disturbed(encoder: Encoder, run: (tape: Tape) => Tensor): Promise<Float32Array<ArrayBuffer>> {
  const { gpu, values } = encoder.weights;
  const before = await Promise.all(values.chunks.map((chunk) => chunk.read()));
  values.chunks.forEach((chunk, index) => {
    const noise = randomValues(chunk.length, 60 + index);
    chunk.write(before[index].map((value, at) => value + 0.3 * noise[at]));
  });
  const tape = new Tape(gpu, false);
  const result = await run(tape).read();
  tape.release();
  values.chunks.forEach((chunk, index) => chunk.write(before[index]));
  return result;
}

gpuTest("gradients of a residual block", async (gpu) => {
  for (const kind of ["basic", "bottleneck"] as const) {
    const encoder = await tinyEncoder(gpu, kind);
    const network = encoder.network as ElasticResNet;
    const channels = network.space.min.stem;
    const input = randomTensor(gpu, [6, channels, 8, 8], 6);
    const width = network.space.min.widths[1];
    const names = [...encoder.shapes.parameters.keys()].filter((name) => name.startsWith("layer1.0."));
    const run = (tape: Tape) => {
      const pass = encoder.pass({ tape, training: true, batchnormGroups: 1 });
      return runUnit(pass, network.block(0, 0, width), input);
    };
    const parameters = names.map((name) => encoder.weights.parameter(name));
    const aim = await disturbed(encoder, run);
    await checkOperation(gpu, `${kind} block`, { inputs: { input }, parameters }, run, aim);
    encoder.release();
  }
});

for (const kind of ["basic", "bottleneck"] as const) {
  gpuTest(`gradients of a whole encoder of ${kind} blocks with InfoNCE`, async (gpu) => {
    const encoder = await tinyEncoder(gpu, kind);
    const { space } = encoder.network;
    const size = kind === "basic" ? 16 : 32;
    // Each image has colours of its own, so that the embeddings differ.
    const colours = randomValues(12 * 3, 7);
    const pixels = randomValues(12 * 3 * size * size, 8)
      .map((value, at) => value + 2 * colours[Math.floor(at / size / size)]);
    const images = Tensor.from(gpu, pixels, [12, 3, size, size]);
    const queue = randomTensor(gpu, [20, 8], 9);
    for (const architecture of kind === "basic" ? [space.max, space.min] : [space.max]) {
      const embed = (tape: Tape) => {
        const pass = encoder.pass({ tape, training: true, batchnormGroups: 1 });
        return l2Normalise(tape, encoder.project(pass, encoder.features(pass, images, architecture).pooled));
      };
      const keys = Tensor.from(gpu, await disturbed(encoder, embed), [12, 8]);
      const loss = (tape: Tape) => infoNce(tape, embed(tape), keys, queue, 0.2);
      encoder.weights.gradients!.clear();
      const tape = new Tape(gpu, true);
      tape.watch(images);
      tape.backward(loss(tape));
      const variables: Variable[] = [{
        name: "images",
        tensor: images,
        gradient: await tape.take(images)!.read(),
      }];
      for (const name of encoder.shapes.parameters.keys()) {
        const { value, gradient } = encoder.weights.parameter(name);
        const values = await gradient!.read();
        if (values.some((number) => number !== 0)) variables.push({ name, tensor: value, gradient: values });
      }
      const evaluate = async () => {
        using inference = new Tape(gpu, false);
        return (await loss(inference).read())[0];
      };
      // Three units in the loss's last place, over steps of 1e-3 to both sides: up to a sixth of the smallest gradient.
      const noise = 3 * 2 ** -23 * await evaluate() / 2e-3;
      await checkGradients(`${kind} encoder`, variables, evaluate, {
        elements: false,
        tolerance: 0.05,
        noise,
      });
    }
  });
}
