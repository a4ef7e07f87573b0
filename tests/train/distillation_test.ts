/** Distillation as an objective: all subnets learn, the frozen network stays, a dropped step leaves nothing. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { ShapeError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { Distillation, type DistillationDefinition } from "../../src/train/distillation/distillation.ts";
import { Sgd } from "../../src/train/optimizer.ts";
import { recordStep } from "../../src/train/step.ts";
import { assertClose, gpuTest, randomTensor, randomValues } from "../helpers.ts";

const space = new SearchSpace({
  block: "basic",
  stem: { kind: "3x3", widths: [4] },
  widths: [[4, 8], [8, 12]],
  depths: [[1], [1]],
  strides: [1, 2],
  named: {},
});

async function open(gpu: Gpu, teacher: DistillationDefinition["teacher"]): Promise<Distillation> {
  const objective = new Distillation(gpu, new ElasticResNet(space), {
    teacher,
    initialisation: { head: "kaiming", lastBatchnorm: 1 },
    momentum: 0.5,
  });
  await objective.initialise();
  return objective;
}

gpuTest(
  "all subnets learn a teacher's features at once, of a dimension that no tile divides",
  async (gpu) => {
    using objective = await open(gpu, { features: 7 });
    using optimizer = new Sgd(gpu, objective.encoder.weights, "encoder_q", { momentum: 0.9, weightDecay: 0 });
    using images = randomTensor(gpu, [8, 3, 8, 8], 1);
    using targets = randomTensor(gpu, [8, 7], 2);
    using losses = Tensor.zeros(gpu, [3]);
    const architectures = [space.max, space.min, space.resolve("4-4.12-1.1")];
    const trained = { objective, optimizer, step: 0 };
    const input = { views: [{ images }], architectures, losses, targets, learningRate: 0.1 };
    await recordStep(trained, input);
    const first = await losses.read();
    for (let step = 0; step < 30; step++) await recordStep(trained, input);
    const last = await losses.read();
    first.forEach((loss, pass) => assert(last[pass] < 0.4 * loss, `pass ${pass}: ${loss} -> ${last[pass]}`));

    // The moving average follows, running statistics too: no images pass through it.
    for (const name of ["bn1.running_mean", "bn1.running_var"]) {
      const [own, average] = [objective.encoder, objective.momentumEncoder].map(({ statistics }) =>
        statistics.arena.get(name)
      );
      assertClose(await average.read(), await own.read(), 0.1, name);
    }
    await assertRejects(() => objective.record({ ...input, targets: undefined }), ShapeError, "no targets");
    using wrong = randomTensor(gpu, [8, 8], 2);
    await assertRejects(() => objective.record({ ...input, targets: wrong }), ShapeError, "[8, 7]");
  },
);

gpuTest("the network that a run begins with teaches itself; the head starts as the identity", async (gpu) => {
  using objective = await open(gpu, { features: "self" });
  const { encoder } = objective;
  // What a run begins with may come from elsewhere.
  const name = "layer2.0.conv2.weight";
  const other = randomValues(encoder.weights.values.get(name).length, 3);
  await objective.initialise(new Map([[name, other]]));
  const [, arena] = objective.sources.find(([name]) => name === "teacher.")!;
  if (arena instanceof Tensor) throw new Error("the frozen network is an arena");
  const held = () => arena.get(name).read();
  assertEquals(await held(), other);
  assertEquals(
    await objective.momentumEncoder.weights.values.get(name).read(),
    await held(),
  );

  const [rows, columns] = encoder.weights.values.get("distillation.weight").shape;
  assertEquals([rows, columns], [12, 12]);
  const identity = Array.from({ length: 144 }, (_, at) => at % 13 === 0 ? 1 : 0);
  assertEquals([...await encoder.weights.values.get("distillation.weight").read()], identity);

  using optimizer = new Sgd(gpu, encoder.weights, "encoder_q", { momentum: 0.9, weightDecay: 0 });
  using images = randomTensor(gpu, [8, 3, 8, 8], 1);
  using losses = Tensor.zeros(gpu, [2]);
  const input = { views: [{ images }], architectures: [space.max, space.min], losses, learningRate: 0.05 };
  const trained = { objective, optimizer, step: 0 };
  await recordStep(trained, input);
  const first = await losses.read();
  // The largest architecture begins where the teacher is.
  assert(Math.abs(first[0]) < 1e-6, `${first[0]}`);
  for (let step = 0; step < 30; step++) await recordStep(trained, input);
  const last = await losses.read();
  assert(last[1] < 0.5 * first[1], `smallest: ${first[1]} -> ${last[1]}`);
  assertEquals(await held(), other);
});

gpuTest("a step that is dropped leaves the running statistics as they were", async (gpu) => {
  using objective = await open(gpu, { features: 5 });
  using images = randomTensor(gpu, [4, 3, 8, 8], 1);
  using targets = randomTensor(gpu, [4, 5], 2);
  using losses = Tensor.zeros(gpu, [1]);
  const mean = objective.encoder.statistics.arena.get("bn1.running_mean");
  const before = await mean.read();
  objective.beginStep();
  objective.encoder.weights.gradients!.clear();
  await objective.record({ views: [{ images }], architectures: [space.max], losses, targets });
  assert((await mean.read()).some((value, at) => value !== before[at]));
  objective.undoStep();
  assertEquals(await mean.read(), before);
});
