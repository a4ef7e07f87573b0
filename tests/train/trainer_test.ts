/** The loop leaves a state that an interrupted step has not touched, wherever in the step the interrupt comes. */
import { assertEquals } from "@std/assert";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { Sgd } from "../../src/train/optimizer.ts";
import { TrainingState } from "../../src/train/state.ts";
import { recordStep } from "../../src/train/step.ts";
import { Supervised } from "../../src/train/supervised/supervised.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { gpuTest, randomTensor } from "../helpers.ts";

const network = new ElasticResNet(
  new SearchSpace({
    block: "basic",
    stem: { kind: "3x3", widths: [4] },
    widths: [[4], [4]],
    depths: [[1], [1]],
    strides: [1, 2],
    named: {},
  }),
);

gpuTest(
  "an interrupt before anything of a step was submitted takes nothing of the state away",
  async (gpu) => {
    using objective = new Supervised(gpu, network, { classes: 2, seed: 1 });
    await objective.initialise();
    using optimizer = new Sgd(gpu, objective.encoder.weights, "encoder", { momentum: 0.9, weightDecay: 0 });
    const controller = new AbortController();
    const state = new TrainingState(objective, optimizer);
    const statistics = async () => {
      const values: number[][] = [];
      for (const [, tensor] of objective.encoder.statistics.arena.entries()) {
        values.push([
          ...await tensor.read(),
        ]);
      }
      return values;
    };
    const saved: number[][][] = [];
    // Made before, since an upload hands what is recorded to the device.
    const images = [0, 1, 2].map((step) => randomTensor(gpu, [4, 3, 8, 8], step));
    const labels = [0, 1, 2].map(() => Tensor.from(gpu, Uint32Array.of(0, 1, 0, 1)));
    const trainer = new Trainer<never>({
      gpu,
      state,
      plan: {
        epochs: 1,
        batch: 4,
        lastBatch: "drop",
        seed: 1,
        logEvery: 1,
        checkpointEvery: 0,
        evaluateEvery: 0,
        schedule: {
          learningRate: 0.1,
          schedule: "constant",
          warmupEpochs: 0,
          milestones: [],
          stepFactor: 1,
          power: 1,
          floor: 0,
        },
        passesPerStep: 1,
        passes: () => [{ role: "largest", architecture: network.space.max }],
      },
      keeper: {
        lastCheckpoint: "nowhere",
        append: () => Promise.resolve(),
        async save() {
          saved.push(await statistics());
        },
      },
      views: {
        prefetch() {},
        ready: () => Promise.resolve(),
        async views(step) {
          if (step === 2) {
            // Long enough that the step looks for an interrupt before it submits anything.
            await new Promise((resolve) => setTimeout(resolve, 300));
            controller.abort(new Error("stop"));
          }
          return [images[step]];
        },
      },
      images: Uint32Array.from({ length: 16 }, (_, index) => index),
      given: () => ({ labels: labels.pop()! }),
      evaluated: true,
      observer: { onSteps() {}, onEvaluation() {} },
      signal: controller.signal,
    });
    const { interrupted, steps } = await trainer.run();
    assertEquals([interrupted, steps], [true, 2]);
    const left = await statistics();
    // Two steps without an interrupt end with the same statistics.
    using other = new Supervised(gpu, network, { classes: 2, seed: 1 });
    await other.initialise();
    using descent = new Sgd(gpu, other.encoder.weights, "encoder", { momentum: 0.9, weightDecay: 0 });
    const trained = { objective: other, optimizer: descent, step: 0 };
    using losses = Tensor.zeros(gpu, [1]);
    for (let step = 0; step < 2; step++) {
      using images = randomTensor(gpu, [4, 3, 8, 8], step);
      using labels = Tensor.from(gpu, Uint32Array.of(0, 1, 0, 1));
      await recordStep(trained, {
        views: [{ images }],
        architectures: [network.space.max],
        losses,
        labels,
        learningRate: 0.1,
      });
      await gpu.finish();
    }
    const expected: number[][] = [];
    for (const [, tensor] of other.encoder.statistics.arena.entries()) {
      expected.push([
        ...await tensor.read(),
      ]);
    }
    assertEquals(left, expected);
    assertEquals(saved.at(-1), expected);
  },
);
