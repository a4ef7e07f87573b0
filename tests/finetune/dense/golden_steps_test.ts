/**
 * Two whole training steps of narrow FCNs, Faster and Mask R-CNNs against torchvision's from the same weights: images,
 * losses, gradients, momentum and weight decay, through the loop and the optimiser of `deno task finetune`.
 */
import { assert, assertEquals } from "@std/assert";
import { parseFineTuneConfig } from "../../../src/finetune/config.ts";
import { detectorSettings } from "../../../src/finetune/detection/settings.ts";
import type { GivenWithImages } from "../../../src/finetune/dense/batches.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import type { TrainingImages } from "../../../src/nn/detection/losses.ts";
import type { StepMetrics } from "../../../src/store/metrics.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { Detection } from "../../../src/train/detection/detection.ts";
import type { NetworkObjective, TrainedNetwork } from "../../../src/train/network_objective.ts";
import { Sgd } from "../../../src/train/optimizer.ts";
import { TrainingState } from "../../../src/train/state.ts";
import { Trainer } from "../../../src/train/trainer.ts";
import { type GoldenCase, goldenCases, gpuTest } from "../../helpers.ts";
import { goldenResNet, goldenSegmentation, torchvisionName } from "../../train/segmentation/golden_fcn.ts";

/** Weights and statistics by name. */
type Values = ReadonlyMap<string, Float32Array>;

/** What two steps made. */
interface TwoSteps {
  /** Before them, between them, and after them. */
  readonly states: readonly Values[];
  readonly lines: readonly StepMetrics[];
}

async function valuesOf(gpu: Gpu, { weights, statistics }: TrainedNetwork): Promise<Values> {
  const named = [...weights.values.entries(), ...statistics.arena.entries()];
  const contents = await gpu.read(...named.map(([, tensor]) => tensor));
  return new Map(named.map(([name], at) => [name, new Float32Array(contents[at])]));
}

/** Relative error of a tensor's update, by norms, and of a loss; PyTorch itself differs by up to 3e-5 in single precision. */
const tolerance = 1e-4;

/** Trains for two epochs of one step. */
async function trainTwice(
  gpu: Gpu,
  one: GoldenCase,
  objective: NetworkObjective<TrainedNetwork>,
  batch: { images(): Tensor; given(): GivenWithImages },
): Promise<TwoSteps> {
  const { optimizer: settings } = parseFineTuneConfig({
    optimizer: { ...one.parameters.sgd, schedule: "constant" },
  }, "test");
  using optimizer = new Sgd(gpu, objective.encoder.weights, "network", settings);
  const states: Values[] = [];
  const lines: StepMetrics[] = [];
  const trainer = new Trainer<never>({
    gpu,
    state: new TrainingState(objective, optimizer),
    plan: {
      epochs: 2,
      batch: 2,
      lastBatch: "drop",
      seed: 1,
      logEvery: 1,
      checkpointEvery: 0,
      evaluateEvery: 0,
      schedule: settings,
      passesPerStep: 1,
      passes: () => [{ role: "largest", architecture: goldenResNet(one).space.max }],
    },
    keeper: {
      lastCheckpoint: "none",
      append: (...added) => Promise.resolve(void lines.push(...added)),
      save: async () => void states.push(await valuesOf(gpu, objective.encoder)),
    },
    views: {
      prefetch: () => {},
      ready: () => Promise.resolve(),
      views: () => Promise.resolve([batch.images()]),
    },
    images: Uint32Array.of(0, 1),
    given: batch.given,
    evaluated: false,
    observer: { onSteps: () => {}, onEvaluation: () => {} },
    signal: new AbortController().signal,
  });
  await trainer.run();
  return { states, lines };
}

const norm = (values: ArrayLike<number>) => Math.hypot(...Array.from(values));

/** Fails unless a step is torchvision's: what it adds to each tensor, by norms. What stays there stays here, to the bit. */
function assertSteps(one: GoldenCase, { states, lines }: TwoSteps, theirs: (name: string) => string): void {
  const names = [...states[0].keys()];
  for (const name of names) {
    const { data } = one.get(`updates.${theirs(name)}`);
    const { length } = states[0].get(name)!;
    assertEquals(data.length, 2 * length, name);
    for (const step of [0, 1]) {
      const expected = data.subarray(step * length, (step + 1) * length);
      const [before, after] = [states[step], states[step + 1]].map((state) => state.get(name)!);
      const difference = Array.from(expected, (value, at) => after[at] - before[at] - value);
      const size = norm(expected);
      if (size === 0) {
        assertEquals(after, before, `${name} in step ${step + 1}`);
        continue;
      }
      const error = norm(difference) / size;
      assert(error < tolerance, `update ${step + 1} of ${name}: relative error ${error.toExponential(2)}`);
    }
  }
  lines.forEach(({ loss, lossTerms }, step) => {
    for (const [name, value] of Object.entries({ ...lossTerms, loss })) {
      const expected = one.get(`losses.${name}`).data[step];
      const error = Math.abs(value - expected) / expected;
      assert(error < tolerance, `${name} in step ${step + 1}: relative error ${error.toExponential(2)}`);
    }
  });
}

/** The pictures of a case, whose bytes stand for (byte - 128) / 64; 0 beyond an image's size. */
function pictures(gpu: Gpu, one: GoldenCase, sizes?: readonly { height: number; width: number }[]): Tensor {
  const { data, shape } = one.get("images");
  const [, , rows, columns] = shape;
  const values = Float32Array.from(data, (byte, at) => {
    const image = Math.floor(at / (3 * rows * columns)),
      y = Math.floor(at / columns) % rows,
      x = at % columns;
    const inside = !sizes || y < sizes[image].height && x < sizes[image].width;
    return inside ? (byte - 128) / 64 : 0;
  });
  return Tensor.from(gpu, values, shape);
}

gpuTest("two training steps of an FCN are torchvision's", async (gpu) => {
  const [one] = await goldenCases("fcn_steps");
  using objective = await goldenSegmentation(gpu, one);
  const { data, shape } = one.get("labels");
  const found = await trainTwice(gpu, one, objective, {
    images: () => pictures(gpu, one),
    given: () => ({ labels: Tensor.from(gpu, Uint32Array.from(data), shape) }),
  });
  assertSteps(one, found, torchvisionName);
});

/** The detector of a case, as a configuration describes it: its samplers take everything. */
async function goldenDetection(
  gpu: Gpu,
  one: GoldenCase,
  theirs: (name: string) => string,
): Promise<Detection> {
  const {
    classes,
    channels,
    hidden,
    masks,
    maskChannels,
    canonicalScale,
    anchors,
    proposals,
    frozenBatchnorm,
  } = one.parameters;
  const { detection } = parseFineTuneConfig({
    detection: {
      ...{ channels, hidden, maskConvolutions: 1, maskChannels, canonicalScale, anchorSizes: anchors },
      ...{ trainingProposals: proposals, proposalSamples: 65536, regionSamples: 65536, regionShare: 1 },
    },
  }, "test");
  const settings = detectorSettings(masks ? "mask-rcnn" : "faster-rcnn", classes - 1, detection);
  const objective = new Detection(gpu, goldenResNet(one), { settings, frozenBatchnorm, seed: 1 });
  const { weights, statistics } = objective.encoder;
  const names = [...weights.values.entries(), ...statistics.arena.entries()].map(([name]) => name);
  await objective.initialise(new Map(names.map((name) => [name, one.get(`weight.${theirs(name)}`).data])));
  return objective;
}

function objectsOf(one: GoldenCase): TrainingImages {
  const size = ([height, width]: number[]) => ({ height, width });
  const sizes = one.parameters.sizes.map(size);
  return {
    sizes,
    padded: size(one.parameters.padded),
    objects: sizes.map((_: unknown, image: number) => {
      const labels = [...one.get(`labels${image}`).data];
      const boxes = one.get(`boxes${image}`).data;
      if (!one.parameters.masks) return { boxes, labels };
      const { data, shape: [, height, width] } = one.get(`masks${image}`);
      const masks = labels.map((_, at) =>
        Uint8Array.from(data.subarray(at * height * width, (at + 1) * height * width))
      );
      return { boxes, labels, masks };
    }),
  };
}

for (const name of ["faster_rcnn", "faster_rcnn_frozen", "mask_rcnn", "mask_rcnn_frozen"]) {
  gpuTest(`two training steps are torchvision's: ${name}`, async (gpu) => {
    const one = (await goldenCases("detector_steps")).find((one) => one.name === `${name}_steps`)!;
    const ofBody = /^(conv1|bn1|layer\d)\b/;
    const theirs = (name: string) => ofBody.test(name) ? `backbone.body.${name}` : name;
    using objective = await goldenDetection(gpu, one, theirs);
    const objects = objectsOf(one);
    const found = await trainTwice(gpu, one, objective, {
      images: () => pictures(gpu, one, objects.sizes),
      given: () => ({ objects }),
    });
    assertSteps(one, found, theirs);
  });
}
