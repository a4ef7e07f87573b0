/**
 * The rows on TensorFlow.js with its WebGPU backend, in the layout it is made for: images [N, H, W, C], weights
 * [kernel, kernel, in, out]. Operations are handed over as they are called; reading one number of the last result
 * waits for all of them.
 */
import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-webgpu";
import { GpuError } from "../../src/errors.ts";
import { type Contender, movement, type PreparedRow, type Results } from "./contender.ts";
import {
  type BlockDescription,
  type BlockRow,
  type HostTensor,
  type LayerDescription,
  parameterShapes,
  type Row,
  rowInputs,
  sgd,
  type TrainingRow,
} from "./rows.ts";

type Tensors = Record<string, tf.Tensor>;

const epsilon = 1e-5;
const channelsLast = [0, 2, 3, 1];
const channelsFirst = [0, 3, 1, 2];
const weightsLast = [2, 3, 1, 0];
const weightsFirst = [3, 2, 0, 1];

function isWeight(name: string): boolean {
  return name.endsWith("weight");
}

/** Brings a 4-D input into the library's layout. */
function upload(name: string, { data, shape }: HostTensor): tf.Tensor {
  return tf.tidy(() => {
    const tensor = tf.tensor(data, [...shape]);
    if (shape.length !== 4) return tensor;
    return tf.transpose(tensor, isWeight(name) ? weightsLast : channelsLast);
  });
}

async function toHost(tensors: Tensors): Promise<Results> {
  const results: Results = new Map();
  for (const [name, tensor] of Object.entries(tensors)) {
    const back = tensor.rank === 4
      ? tf.transpose(tensor, isWeight(name) ? weightsFirst : channelsFirst)
      : tensor.clone();
    results.set(name, new Float32Array(await back.data()));
    back.dispose();
  }
  return results;
}

function convolve(images: tf.Tensor, weight: tf.Tensor, kernel: number, stride: number): tf.Tensor {
  const padding = stride === 1 ? "same" : (kernel - 1) / 2;
  return tf.conv2d(images as tf.Tensor4D, weight as tf.Tensor4D, stride, padding);
}

function normalise(images: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor): tf.Tensor {
  const { mean, variance } = tf.moments(images, [0, 1, 2]);
  return tf.batchNorm(
    images,
    mean as tf.Tensor1D,
    variance as tf.Tensor1D,
    bias as tf.Tensor1D,
    weight as tf.Tensor1D,
    epsilon,
  );
}

function layer(parameters: Tensors, images: tf.Tensor, description: LayerDescription): tf.Tensor {
  const { convolution, batchnorm, shape, stride } = description;
  return normalise(
    convolve(images, parameters[`${convolution}.weight`], shape[2], stride),
    parameters[`${batchnorm}.weight`],
    parameters[`${batchnorm}.bias`],
  );
}

function residualBlock(
  parameters: Tensors,
  images: tf.Tensor,
  { branch, downsample }: BlockDescription,
): tf.Tensor {
  const shortcut = downsample ? layer(parameters, images, downsample) : images;
  let output = images;
  branch.forEach((description, index) => {
    output = layer(parameters, output, description);
    if (index < branch.length - 1) output = tf.relu(output);
  });
  return tf.relu(tf.add(output, shortcut));
}

/** @param run one repetition; the caller disposes of the results */
function prepared(run: () => Tensors, release: () => void): PreparedRow {
  let last: tf.Tensor | undefined;
  return {
    async results() {
      const outputs = run();
      const results = await toHost(outputs);
      tf.dispose(outputs);
      return results;
    },
    repeat() {
      const [first, ...others] = Object.values(run());
      last?.dispose();
      last = first;
      tf.dispose(others);
    },
    async finish() {
      if (!last) return;
      const one = tf.tidy(() => tf.slice(tf.reshape(last!, [-1]), 0, 1));
      await one.data();
      one.dispose();
    },
    release() {
      last?.dispose();
      release();
    },
  };
}

/** The output of an operation and the gradients of its arguments, under the given names. */
function differentiate(
  operation: (...values: tf.Tensor[]) => tf.Tensor,
  values: tf.Tensor[],
  gradOutput: tf.Tensor,
  names: string[],
): Tensors {
  const { value, grads } = tf.valueAndGrads(operation)(values, gradOutput);
  return { output: value, ...Object.fromEntries(names.map((name, index) => [name, grads[index]])) };
}

function prepareBlock(row: BlockRow, inputs: Tensors): () => Tensors {
  const names = [...parameterShapes(row).keys()];
  return () =>
    differentiate(
      (images, ...values) => {
        const parameters = Object.fromEntries(names.map((name, index) => [name, values[index]]));
        return residualBlock(parameters, images, row.block);
      },
      [inputs.images, ...names.map((name) => inputs[name])],
      inputs.gradOutput,
      ["gradInput", ...names],
    );
}

function prepareTraining(row: TrainingRow, host: Map<string, HostTensor>): PreparedRow {
  const images = upload("images", host.get("images")!);
  const labels = tf.tidy(() =>
    tf.oneHot(tf.tensor1d(Int32Array.from(host.get("labels")!.data), "int32"), row.classes)
  );
  const parameters: Record<string, tf.Variable> = {};
  for (const name of parameterShapes(row).keys()) {
    const value = upload(name, host.get(name)!);
    parameters[name] = tf.variable(value);
    value.dispose();
  }
  const optimizer = tf.train.momentum(sgd.learningRate, sgd.momentum);
  const lossOf = (): tf.Scalar => {
    let output = tf.relu(layer(parameters, images, row.stem));
    for (const block of row.blocks) output = residualBlock(parameters, output, block);
    const pooled = tf.mean(output, [1, 2]) as tf.Tensor2D;
    const logits = tf.matMul(pooled, parameters["fc.weight"] as tf.Tensor2D, false, true)
      .add(parameters["fc.bias"]);
    return tf.losses.softmaxCrossEntropy(labels, logits);
  };
  const run = (): Tensors => ({ loss: optimizer.minimize(lossOf, true, Object.values(parameters))! });
  const repetition = prepared(run, () => {
    optimizer.dispose();
    tf.dispose([images, labels, ...Object.values(parameters)]);
  });
  return {
    ...repetition,
    async results() {
      const results = await repetition.results();
      for (const [name, after] of await toHost(parameters)) {
        results.set(name, movement(host.get(name)!.data, after));
      }
      return results;
    },
  };
}

/** Opens TensorFlow.js on WebGPU. Throws {@linkcode GpuError} where it cannot. */
export async function tfjs(): Promise<Contender> {
  if (!await tf.setBackend("webgpu")) throw new GpuError("TensorFlow.js found no WebGPU adapter");
  return {
    name: "tfjs",
    prepare(row: Row) {
      const host = rowInputs(row);
      if (row.kind === "training") return prepareTraining(row, host);
      const inputs: Tensors = Object.fromEntries(
        [...host].map(([name, value]) => [name, upload(name, value)]),
      );
      const prepare = (run: () => Tensors) => prepared(() => tf.tidy(run), () => tf.dispose(inputs));
      const { images, weight, bias, gradOutput, left, right } = inputs;
      switch (row.kind) {
        case "matmul":
          return prepare(() => ({ output: tf.matMul(left, right) }));
        case "convolution": {
          const apply = (images: tf.Tensor, weight: tf.Tensor) =>
            convolve(images, weight, row.kernel, row.stride);
          return prepare(() =>
            row.gradients
              ? differentiate(apply, [images, weight], gradOutput, ["gradInput", "weight"])
              : { output: apply(images, weight) }
          );
        }
        case "batchnorm":
          return prepare(() =>
            differentiate(
              (images, weight, bias) => tf.relu(normalise(images, weight, bias)),
              [images, weight, bias],
              gradOutput,
              ["gradInput", "weight", "bias"],
            )
          );
        case "block":
          return prepare(prepareBlock(row, inputs));
      }
    },
  };
}
