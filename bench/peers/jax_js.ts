/**
 * The rows on jax-js: everything inside `jit`, which fuses it. An array that is dropped before its kernels were handed to
 * the device is never computed, so each repetition asks for one result's buffer, which hands them over and does not
 * wait; the last one is waited for with `blockUntilReady`.
 */
import {
  blockUntilReady,
  defaultDevice,
  init,
  jit,
  lax,
  nn,
  numpy as np,
  tree,
  valueAndGrad,
  vjp,
} from "@jax-js/jax";
import { GpuError } from "../../src/errors.ts";
import { type Contender, movement, type PreparedRow, type Results } from "./contender.ts";
import {
  type BlockDescription,
  type BlockRow,
  type ConvolutionRow,
  type HostTensor,
  type LayerDescription,
  parameterShapes,
  type Row,
  rowInputs,
  sgd,
  type TrainingRow,
} from "./rows.ts";

// An alias and not an interface, as jax-js's trees demand.
type Arrays = Record<string, np.Array>;

const batchnormAxes = [0, 2, 3];
const epsilon = 1e-5;

function upload({ data, shape }: HostTensor): np.Array {
  return np.array(data).reshape([...shape]);
}

function convolve(images: np.Array, weight: np.Array, kernel: number, stride: number): np.Array {
  const padding: [number, number] = [(kernel - 1) / 2, (kernel - 1) / 2];
  return lax.convGeneralDilated(images, weight, [stride, stride], [padding, padding]);
}

function normalise(images: np.Array, weight: np.Array, bias: np.Array): np.Array {
  const perChannel = [1, weight.shape[0], 1, 1];
  return nn.standardize(images, batchnormAxes, { epsilon })
    .mul(weight.reshape(perChannel)).add(bias.reshape(perChannel));
}

function layer(parameters: Arrays, images: np.Array, description: LayerDescription): np.Array {
  const { convolution, batchnorm, shape, stride } = description;
  return normalise(
    convolve(images, parameters[`${convolution}.weight`].ref, shape[2], stride),
    parameters[`${batchnorm}.weight`].ref,
    parameters[`${batchnorm}.bias`].ref,
  );
}

function residualBlock(
  parameters: Arrays,
  images: np.Array,
  { branch, downsample }: BlockDescription,
): np.Array {
  const shortcut = downsample ? layer(parameters, images.ref, downsample) : images.ref;
  let output = images;
  branch.forEach((description, index) => {
    output = layer(parameters, output, description);
    if (index < branch.length - 1) output = nn.relu(output);
  });
  return nn.relu(output.add(shortcut));
}

async function toHost(arrays: Arrays): Promise<Results> {
  const results: Results = new Map();
  for (const [name, array] of Object.entries(arrays)) {
    results.set(name, new Float32Array(await array.data() as Float32Array));
  }
  return results;
}

/** @param run one repetition; consumes none of the inputs */
function prepared(run: () => Arrays, inputs: Arrays, dispose: () => void): PreparedRow {
  let last: np.Array | undefined;
  return {
    results: () => toHost(run()),
    async repeat() {
      const outputs = run();
      const [first, ...others] = Object.values(outputs);
      last?.dispose();
      last = first.ref;
      await first.gpuBuffer();
      for (const output of others) output.dispose();
    },
    async finish() {
      if (last) await blockUntilReady(last);
    },
    release() {
      last?.dispose();
      tree.dispose(inputs);
      dispose();
    },
  };
}

function prepareConvolution({ kernel, stride, gradients }: ConvolutionRow, inputs: Arrays): PreparedRow {
  const apply = (images: np.Array, weight: np.Array) => convolve(images, weight, kernel, stride);
  const run = jit((inputs: Arrays): Arrays => {
    if (!gradients) return { output: apply(inputs.images, inputs.weight) };
    return differentiate(apply, [inputs.images, inputs.weight], inputs.gradOutput, ["gradInput", "weight"]);
  });
  return prepared(() => run(tree.ref(inputs)), inputs, () => run.dispose());
}

/** The output of an operation and the gradients of its arguments, under the given names. */
function differentiate(
  operation: (...values: np.Array[]) => np.Array,
  values: np.Array[],
  gradOutput: np.Array,
  names: string[],
): Arrays {
  const [output, pullBack] = vjp(operation, values);
  const gradients = pullBack(gradOutput) as np.Array[];
  pullBack.dispose();
  return { output, ...Object.fromEntries(names.map((name, index) => [name, gradients[index]])) };
}

function prepareBatchnorm(inputs: Arrays): PreparedRow {
  const run = jit(({ images, weight, bias, gradOutput }: Arrays): Arrays =>
    differentiate(
      (images, weight, bias) => nn.relu(normalise(images, weight, bias)),
      [images, weight, bias],
      gradOutput,
      ["gradInput", "weight", "bias"],
    )
  );
  return prepared(() => run(tree.ref(inputs)), inputs, () => run.dispose());
}

function prepareBlock(row: BlockRow, inputs: Arrays): PreparedRow {
  const names = [...parameterShapes(row).keys()];
  const run = jit((inputs: Arrays): Arrays =>
    differentiate(
      (images, ...values) => {
        const parameters = Object.fromEntries(names.map((name, index) => [name, values[index]]));
        const output = residualBlock(parameters, images, row.block);
        tree.dispose(parameters);
        return output;
      },
      [inputs.images, ...names.map((name) => inputs[name])],
      inputs.gradOutput,
      ["gradInput", ...names],
    )
  );
  return prepared(() => run(tree.ref(inputs)), inputs, () => run.dispose());
}

function prepareTraining(row: TrainingRow, host: Map<string, HostTensor>): PreparedRow {
  const images = upload(host.get("images")!);
  const labels = np.array(Int32Array.from(host.get("labels")!.data), { dtype: np.int32 });
  const names = [...parameterShapes(row).keys()];
  let parameters: Arrays = Object.fromEntries(names.map((name) => [name, upload(host.get(name)!)]));
  let momenta: Arrays = Object.fromEntries(
    names.map((name) => [name, np.zeros([...host.get(name)!.shape])]),
  );

  const lossOf = (parameters: Arrays, images: np.Array, labels: np.Array): np.Array => {
    let output = nn.relu(layer(parameters, images, row.stem));
    for (const block of row.blocks) output = residualBlock(parameters, output, block);
    const logits = np.matmul(np.mean(output, [2, 3]), np.transpose(parameters["fc.weight"].ref))
      .add(parameters["fc.bias"].ref);
    tree.dispose(parameters);
    const chosen = nn.oneHot(labels, row.classes).mul(nn.logSoftmax(logits, -1));
    return chosen.sum().mul(-1 / row.batch);
  };
  const step = jit((parameters: Arrays, momenta: Arrays, images: np.Array, labels: np.Array) => {
    const [loss, gradients] = valueAndGrad(lossOf)(tree.ref(parameters), images, labels);
    const moved: Arrays = {};
    const kept: Arrays = {};
    for (const name of names) {
      kept[name] = momenta[name].mul(sgd.momentum).add(gradients[name]);
      moved[name] = parameters[name].sub(kept[name].ref.mul(sgd.learningRate));
    }
    return { loss, moved, kept };
  });
  const run = (): Arrays => {
    const { loss, moved, kept } = step(parameters, momenta, images.ref, labels.ref);
    parameters = moved;
    momenta = kept;
    return { loss };
  };
  const repetition = prepared(run, { images, labels }, () => {
    tree.dispose(parameters);
    tree.dispose(momenta);
    step.dispose();
  });
  return {
    ...repetition,
    async results() {
      const results = await repetition.results();
      for (const [name, after] of await toHost(tree.ref(parameters))) {
        results.set(name, movement(host.get(name)!.data, after));
      }
      return results;
    },
  };
}

/** Opens jax-js on WebGPU. Throws {@linkcode GpuError} where it cannot. */
export async function jaxJs(): Promise<Contender> {
  if (!(await init("webgpu")).includes("webgpu")) throw new GpuError("jax-js found no WebGPU adapter");
  defaultDevice("webgpu");
  return {
    name: "jax-js",
    prepare(row: Row) {
      const host = rowInputs(row);
      if (row.kind === "training") return prepareTraining(row, host);
      const inputs: Arrays = Object.fromEntries([...host].map(([name, value]) => [name, upload(value)]));
      switch (row.kind) {
        case "matmul": {
          const run = jit(({ left, right }: Arrays): Arrays => ({ output: np.matmul(left, right) }));
          return prepared(() => run(tree.ref(inputs)), inputs, () => run.dispose());
        }
        case "convolution":
          return prepareConvolution(row, inputs);
        case "batchnorm":
          return prepareBatchnorm(inputs);
        case "block":
          return prepareBlock(row, inputs);
      }
    },
  };
}
