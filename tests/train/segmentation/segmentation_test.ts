import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { SearchSpace } from "../../../src/elastic/search_space.ts";
import { ShapeError } from "../../../src/errors.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import type { Arena } from "../../../src/nn/arena.ts";
import { HeadedNetwork } from "../../../src/nn/headed_network.ts";
import { ElasticResNet } from "../../../src/nn/resnet.ts";
import { fcnHead } from "../../../src/nn/segmentation/fcn.ts";
import { purpose, Random } from "../../../src/random.ts";
import { add, scale } from "../../../src/tensor/ops/elementwise.ts";
import { pixelCrossEntropy } from "../../../src/tensor/ops/pixel_cross_entropy.ts";
import { Tape } from "../../../src/tensor/tape.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { Segmentation, type SegmentationDefinition } from "../../../src/train/segmentation/segmentation.ts";
import { lively } from "../../extract/encoders.ts";
import { assertClose, gpuTest, randomTensor } from "../../helpers.ts";

const network = new ElasticResNet(
  new SearchSpace({
    ...{ block: "basic", stem: { kind: "3x3", widths: [4] }, named: {} },
    ...{ widths: [[4], [4], [8], [8]], depths: [[1], [1], [1], [1]], strides: [1, 2, 2, 1] },
  }),
);
const { max } = network.space;
const classes = 3, ignore = 255;
const usual = { auxiliaryWeight: 0.4, ignore, mean: "valid", seed: 5 } as const;

/** Values for all weights and statistics, so that every layer counts; the same with and without an auxiliary classifier. */
function livelyValues(gpu: Gpu): Map<string, Float32Array<ArrayBuffer>> {
  using whole = new HeadedNetwork(gpu, network, headOf(usual), false);
  const { weights, statistics } = whole;
  const named = [...weights.values.entries(), ...statistics.arena.entries()];
  return new Map(
    named.map(([name, { shape }], at) => [name, lively(name, shape, new Random(3, purpose.test, at))]),
  );
}

function headOf(definition: SegmentationDefinition) {
  return fcnHead({
    ...{ classes, channels: [8, 8], width: null, convolutions: 1, joinInput: false },
    auxiliary: definition.auxiliaryWeight > 0,
    dropout: { probability: 0, channels: false },
  });
}

async function livelyObjective(gpu: Gpu, changes: Partial<SegmentationDefinition> = {}) {
  const definition = { ...usual, ...changes };
  const objective = new Segmentation(gpu, network, headOf(definition), definition);
  await objective.initialise(livelyValues(gpu));
  return objective;
}

function labelsOf(values: (at: number) => number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: 2 * 12 * 10 }, (_, at) => values(at));
}
const someLabels = labelsOf((at) => at % 7 === 0 ? ignore : (at * at) % classes);

/** Records one pass over two images of 12 x 10 pixels. */
async function record(gpu: Gpu, objective: Segmentation, values = someLabels, seed = 1) {
  using images = randomTensor(gpu, [2, 3, 12, 10], seed);
  using labels = Tensor.from(gpu, values, [2, 12, 10]);
  using losses = Tensor.zeros(gpu, [1]);
  const terms = objective.terms && Tensor.zeros(gpu, [objective.terms.length, 1]);
  objective.encoder.weights.gradients!.clear();
  await objective.record({
    ...{ views: [{ images }], architectures: [max], losses, labels },
    ...terms && { terms },
  });
  const loss = (await losses.read())[0];
  const parts = terms ? [...await terms.read()] : [];
  terms?.release();
  return { loss, parts, gradients: await contents(objective.encoder.weights.gradients!) };
}

async function contents(arena: Arena): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  for (const [name, tensor] of arena.entries()) found.set(name, [...await tensor.read()]);
  return found;
}

gpuTest("loss and gradients are those of the head's outputs on a tape", async (gpu) => {
  using objective = await livelyObjective(gpu);
  assertEquals(objective.terms, ["pixels", "auxiliary"]);
  assertEquals(objective.viewOrders(Uint32Array.of(4, 2), 0), [{ batch: Uint32Array.of(4, 2) }]);
  const { loss, parts, gradients } = await record(gpu, objective);

  using other = new HeadedNetwork(gpu, network, headOf(usual), true);
  await other.initialise(5, livelyValues(gpu));
  other.weights.gradients!.clear();
  using images = randomTensor(gpu, [2, 3, 12, 10], 1);
  using labels = Tensor.from(gpu, someLabels, [2, 12, 10]);
  using tape = new Tape(gpu, true);
  const [logits, auxiliary] = other.run(other.pass({ tape, training: true, batchnormGroups: 1 }), images);
  assertEquals([logits.shape, auxiliary.shape], [[2, classes, 3, 3], [2, classes, 3, 3]]);
  const main = pixelCrossEntropy(tape, logits, labels, { ignore, mean: "valid" });
  const side = pixelCrossEntropy(tape, auxiliary, labels, { ignore, mean: "valid" });
  const sum = add(tape, main, scale(tape, side, usual.auxiliaryWeight));
  const expected = [...await main.read(), ...await side.read()];
  const [total] = await sum.read();
  tape.backward(sum);
  assertEquals([loss, ...parts], [total, ...expected]);
  assertEquals(gradients, await contents(other.weights.gradients!));
  for (const [name, values] of gradients) assert(values.some((value) => value !== 0), name);
});

gpuTest("without an auxiliary classifier there is one term, and no such weights", async (gpu) => {
  using objective = await livelyObjective(gpu, { auxiliaryWeight: 0 });
  using both = await livelyObjective(gpu);
  assertEquals(objective.terms, undefined);
  const names = [...objective.encoder.weights.shapes.parameters.keys()];
  assertEquals(names.filter((name) => name.includes("aux")), []);
  const { loss } = await record(gpu, objective);
  const { loss: sum, parts: [main, side] } = await record(gpu, both);
  assertEquals(loss, main);
  assertClose([sum], [main + usual.auxiliaryWeight * side], 1e-6, "weighted sum");
});

gpuTest("ignored pixels count for nothing; a mean over all pixels divides by them, too", async (gpu) => {
  using objective = await livelyObjective(gpu);
  const { gradients, loss } = await record(gpu, objective);
  // What the ignored pixels would be else does matter.
  const whole = await record(gpu, objective, someLabels.map((value) => value === ignore ? 0 : value));
  assertNotEquals(whole.loss, loss);

  using all = await livelyObjective(gpu, { mean: "all" });
  const share = someLabels.filter((value) => value !== ignore).length / someLabels.length;
  const other = await record(gpu, all);
  assertClose([other.loss], [loss * share], 1e-5, "loss over all pixels");
  for (const [name, values] of other.gradients) {
    assertClose(values, gradients.get(name)!.map((value) => value * share), 1e-4, name);
  }

  const none = await record(gpu, objective, labelsOf(() => ignore));
  assertEquals([none.loss, ...none.parts], [0, 0, 0]);
  for (const [name, values] of none.gradients) assert(values.every((value) => value === 0), name);
});

gpuTest("a dropped step leaves statistics as they were; labels are needed", async (gpu) => {
  using objective = await livelyObjective(gpu);
  const { statistics } = objective.encoder;
  const before = await contents(statistics.arena);
  objective.beginStep();
  await record(gpu, objective);
  const after = await contents(statistics.arena);
  for (const [name, values] of after) assertNotEquals(values, before.get(name), name);
  objective.undoStep();
  assertEquals(await contents(statistics.arena), before);

  using images = randomTensor(gpu, [2, 3, 12, 10], 1);
  using losses = Tensor.zeros(gpu, [1]);
  await assertRejects(
    () => objective.record({ views: [{ images }], architectures: [max], losses }),
    ShapeError,
    "needs labels",
  );
});
