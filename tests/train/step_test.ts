/** The loop's step knows an objective and an optimiser by their interfaces alone. */
import { assertEquals } from "@std/assert";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { Encoder } from "../../src/nn/encoder.ts";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import type { Objective } from "../../src/train/objective.ts";
import { Sgd } from "../../src/train/optimizer.ts";
import { type RecordedStep, recordStep } from "../../src/train/step.ts";
import { softmaxCrossEntropy } from "../../src/tensor/ops/softmax.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, gpuTest, randomTensor } from "../helpers.ts";

const space = new SearchSpace({
  block: "basic",
  stem: { kind: "3x3", widths: [4] },
  widths: [[4, 8], [8]],
  depths: [[1], [1]],
  strides: [1, 2],
  named: {},
});

gpuTest("a supervised objective trains; reduce comes between gradients and update", async (gpu) => {
  using labels = Tensor.from(gpu, Uint32Array.from({ length: 8 }, (_, image) => image % 2));
  const encoder = new Encoder(
    gpu,
    new ElasticResNet(space),
    { kind: "linear", hidden: 0, dimension: 4 },
    true,
  );
  await encoder.initialise(1, { head: "uniform", lastBatchnorm: 1 });
  encoder.statistics.reset();
  const calls: string[] = [];
  const objective: Objective = {
    encoder,
    sources: [["encoder.", encoder.weights.values]],
    counters: {},
    initialise: () => Promise.resolve(),
    viewOrders: (batch) => [{ batch }],
    beginStep: () => {},
    undoStep: () => {},
    record({ views: [{ images }], architectures, losses }) {
      architectures.forEach((architecture, index) => {
        using tape = new Tape(gpu, true);
        const pass = encoder.pass({ tape, training: true, batchnormGroups: 1 });
        const logits = encoder.project(pass, encoder.features(pass, images, architecture).pooled);
        const loss = softmaxCrossEntropy(tape, logits, labels);
        gpu.stream.copy(loss, losses.slice(index, []));
        tape.backward(loss);
      });
      calls.push("record");
      return Promise.resolve();
    },
    afterUpdate: () => void calls.push("after"),
    release: () => encoder.release(),
    [Symbol.dispose]: () => encoder.release(),
  };
  const options = { momentum: 0.9, weightDecay: 0, groups: [], clipNorm: 0 };
  using optimizer = new Sgd(gpu, encoder.weights, "encoder", options);
  const trained = { objective, optimizer, step: 0 };
  using images = randomTensor(gpu, [8, 3, 8, 8], 1);
  using losses = Tensor.zeros(gpu, [2]);
  const input = { views: [{ images }], architectures: [space.max, space.min], losses, learningRate: 0.1 };
  await recordStep(trained, input);
  const [first] = await losses.read();
  for (let step = 0; step < 15; step++) await recordStep(trained, input);
  const [last] = await losses.read();
  assertEquals(last < 0.5 * first, true, `loss ${first} -> ${last}`);

  // Gradients that several processes have summed are those that the optimiser sees.
  const before = await encoder.weights.values.get("conv1.weight").read();
  using still = new Sgd(gpu, encoder.weights, "encoder", { ...options, momentum: 0 });
  calls.length = 0;
  const reduce = ({ gradients, losses: recorded }: RecordedStep) => {
    assertEquals(recorded, losses);
    calls.push("reduce");
    gradients.clear();
    return Promise.resolve();
  };
  await recordStep({ objective, optimizer: still, step: 0 }, { ...input, reduce });
  assertEquals(calls, ["record", "reduce", "after"]);
  assertClose(await encoder.weights.values.get("conv1.weight").read(), before, 0, "weights");
  assertEquals(trained.step, 16);
  objective.release();
});
