/** The rows on Scion. */
import { GpuError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { runUnit } from "../../src/nn/layers.ts";
import { Encoder } from "../../src/nn/encoder.ts";
import { Statistics, Weights } from "../../src/nn/weights.ts";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { batchnorm } from "../../src/tensor/ops/batchnorm.ts";
import { convolution } from "../../src/tensor/ops/convolution.ts";
import { matmul } from "../../src/tensor/ops/matmul.ts";
import { softmaxCrossEntropy } from "../../src/tensor/ops/softmax.ts";
import { sgdStep } from "../../src/tensor/ops/update.ts";
import type { Parameter } from "../../src/tensor/parameter.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { Shape } from "../../src/shape.ts";
import { resnet18Space } from "../spaces.ts";
import { type Contender, movement, type PreparedRow, type Results } from "./contender.ts";
import {
  type BatchnormRow,
  type BlockRow,
  blockUnit,
  type ConvolutionRow,
  type HostTensor,
  type MatmulRow,
  parameterShapes,
  type Row,
  rowInputs,
  sgd,
  type TrainingRow,
} from "./rows.ts";

type Named = Record<string, Tensor>;

/** Wraps `launch`, which records one repetition and hands over its results; with `keep` also the tape's. */
function prepared(gpu: Gpu, launch: (keep: boolean) => Named, release: () => void): PreparedRow {
  return {
    async results() {
      const named = launch(true);
      const buffers = await gpu.read(...Object.values(named));
      for (const tensor of Object.values(named)) tensor.release();
      return new Map(Object.keys(named).map((name, index) => [name, new Float32Array(buffers[index])]));
    },
    repeat() {
      for (const tensor of Object.values(launch(false))) tensor.release();
      gpu.stream.submit();
    },
    finish: () => gpu.finish(),
    release() {
      release();
      gpu.pool.trim();
    },
  };
}

class Upload {
  readonly #inputs: Map<string, HostTensor>;
  readonly #owned: Tensor[] = [];

  constructor(readonly gpu: Gpu, row: Row) {
    this.#inputs = rowInputs(row);
  }

  host(name: string): HostTensor {
    const value = this.#inputs.get(name);
    if (!value) throw new GpuError(`this row has no input '${name}'`);
    return value;
  }

  tensor(name: string): Tensor {
    const { data, shape } = this.host(name);
    const tensor = Tensor.from(this.gpu, data, shape);
    this.#owned.push(tensor);
    return tensor;
  }

  zeros(shape: Shape): Tensor {
    const tensor = Tensor.zeros(this.gpu, shape);
    this.#owned.push(tensor);
    return tensor;
  }

  parameter(name: string): Parameter {
    const value = this.tensor(name);
    return { name, value, gradient: this.zeros(value.shape) };
  }

  release(): void {
    for (const tensor of this.#owned) tensor.release();
  }
}

/** Runs an operation and its gradients; the results are the caller's. The output is among them with `keep`. */
function differentiate(
  gpu: Gpu,
  keep: boolean,
  images: Tensor,
  gradOutput: Tensor,
  parameters: readonly Parameter[],
  operation: (tape: Tape) => Tensor,
): Named {
  for (const { gradient } of parameters) gpu.stream.clear(gradient!);
  const tape = new Tape(gpu, true);
  tape.watch(images);
  const result = operation(tape);
  const named: Named = {};
  if (keep) {
    // The tape gives the result's memory back, and the next operation may write there.
    named.output = Tensor.create(gpu, result.shape);
    gpu.stream.copy(result, named.output);
  }
  tape.backward([result, gradOutput.view(gradOutput.shape)]);
  named.gradInput = tape.take(images)!;
  tape.release();
  for (const { name, gradient } of parameters) named[name] = gradient!.view(gradient!.shape);
  return named;
}

function prepareMatmul(gpu: Gpu, row: MatmulRow): PreparedRow {
  const upload = new Upload(gpu, row);
  const left = upload.tensor("left");
  const { data } = upload.host("right");
  const { size } = row;
  // The right operand is stored as a linear layer's weight is: transposed.
  const right = upload.zeros([size, size]);
  right.write(data.map((_, at) => data[at % size * size + Math.floor(at / size)]));
  const launch = () => {
    using tape = new Tape(gpu, false);
    return { output: tape.keep(matmul(tape, left, right, { transposeB: true })) };
  };
  return prepared(gpu, launch, () => upload.release());
}

function prepareConvolution(gpu: Gpu, row: ConvolutionRow): PreparedRow {
  const upload = new Upload(gpu, row);
  const images = upload.tensor("images");
  const weight = upload.parameter("weight");
  const apply = (tape: Tape) =>
    convolution(tape, images, weight, { stride: row.stride, padding: (row.kernel - 1) / 2 });
  const gradOutput = row.gradients ? upload.tensor("gradOutput") : undefined;
  const launch = (keep: boolean): Named => {
    if (gradOutput) return differentiate(gpu, keep, images, gradOutput, [weight], apply);
    return { output: apply(new Tape(gpu, false)) };
  };
  return prepared(gpu, launch, () => upload.release());
}

function prepareBatchnorm(gpu: Gpu, row: BatchnormRow): PreparedRow {
  const upload = new Upload(gpu, row);
  const images = upload.tensor("images");
  const [weight, bias] = [upload.parameter("weight"), upload.parameter("bias")];
  const running = { mean: upload.zeros([row.channels]), variance: upload.zeros([row.channels]) };
  const apply = (tape: Tape) =>
    batchnorm(tape, images, weight, bias, running, { training: true, relu: true });
  const gradOutput = upload.tensor("gradOutput");
  const launch = (keep: boolean) => differentiate(gpu, keep, images, gradOutput, [weight, bias], apply);
  return prepared(gpu, launch, () => upload.release());
}

function prepareBlock(gpu: Gpu, row: BlockRow): PreparedRow {
  const upload = new Upload(gpu, row);
  const [images, gradOutput] = [upload.tensor("images"), upload.tensor("gradOutput")];
  const shapes = {
    parameters: parameterShapes(row),
    statistics: new Map(row.block.branch.flatMap(({ batchnorm, shape }): [string, Shape][] => [
      [`${batchnorm}.running_mean`, [shape[0]]],
      [`${batchnorm}.running_var`, [shape[0]]],
    ])),
  };
  const weights = new Weights(gpu, shapes, true);
  const statistics = new Statistics(gpu, shapes);
  for (const [name, tensor] of weights.values.entries()) tensor.write(upload.host(name).data);
  const parameters = [...shapes.parameters.keys()].map((name) => weights.parameter(name));
  const apply = (tape: Tape) => {
    const pass = { tape, weights, statistics, training: true, batchnormGroups: 1 };
    return runUnit(pass, blockUnit, images);
  };
  const launch = (keep: boolean) => differentiate(gpu, keep, images, gradOutput, parameters, apply);
  return prepared(gpu, launch, () => {
    upload.release();
    weights.release();
    statistics.release();
  });
}

function prepareTraining(gpu: Gpu, row: TrainingRow): PreparedRow {
  const upload = new Upload(gpu, row);
  const images = upload.tensor("images");
  const labels = Tensor.from(gpu, Uint32Array.from(upload.host("labels").data), [row.batch]);
  const network = new ElasticResNet(new SearchSpace(resnet18Space));
  const { max } = network.space;
  const encoder = new Encoder(gpu, network, { kind: "linear", hidden: 0, dimension: row.classes }, true);
  encoder.statistics.reset();
  const { values, gradients } = encoder.weights;
  for (const [name, tensor] of values.entries()) tensor.write(upload.host(name).data);
  const momenta = values.chunks.map((chunk) => upload.zeros(chunk.shape));
  const launch = () => {
    gradients!.clear();
    const tape = new Tape(gpu, true);
    const pass = encoder.pass({ tape, training: true, batchnormGroups: 1 });
    const logits = encoder.project(pass, encoder.features(pass, images, max).pooled);
    const loss = Tensor.create(gpu, []);
    const onTape = softmaxCrossEntropy(tape, logits, labels);
    gpu.stream.copy(onTape, loss);
    tape.backward(onTape);
    tape.release();
    values.chunks.forEach((value, chunk) =>
      sgdStep(gpu, value, gradients!.chunks[chunk], momenta[chunk], { ...sgd, weightDecay: 0 })
    );
    return { loss };
  };
  const step = prepared(gpu, launch, () => {
    upload.release();
    labels.release();
    encoder.release();
  });
  return {
    ...step,
    async results(): Promise<Results> {
      const results = await step.results();
      const names = [...values.layout.placements.keys()];
      const buffers = await gpu.read(...names.map((name) => values.get(name)));
      names.forEach((name, index) =>
        results.set(name, movement(upload.host(name).data, new Float32Array(buffers[index])))
      );
      return results;
    },
  };
}

/** Scion itself. */
export function ours(gpu: Gpu): Contender {
  return {
    name: "Scion",
    prepare(row) {
      switch (row.kind) {
        case "matmul":
          return prepareMatmul(gpu, row);
        case "convolution":
          return prepareConvolution(gpu, row);
        case "batchnorm":
          return prepareBatchnorm(gpu, row);
        case "block":
          return prepareBlock(gpu, row);
        case "training":
          return prepareTraining(gpu, row);
      }
    },
  };
}
