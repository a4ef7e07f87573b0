import { assertEquals, assertRejects } from "@std/assert";
import { ShapeError } from "../../../src/errors.ts";
import { SearchSpace } from "../../../src/elastic/search_space.ts";
import { Encoder } from "../../../src/nn/encoder.ts";
import { ElasticResNet } from "../../../src/nn/resnet.ts";
import { softmaxCrossEntropy } from "../../../src/tensor/ops/softmax.ts";
import { Tape } from "../../../src/tensor/tape.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { classifierHead, Supervised } from "../../../src/train/supervised/supervised.ts";
import { assertClose, gpuTest, randomTensor } from "../../helpers.ts";

const space = new SearchSpace({
  block: "basic",
  stem: { kind: "3x3", widths: [4] },
  widths: [[4, 8], [8]],
  depths: [[1], [1]],
  strides: [1, 2],
  named: {},
});

gpuTest("loss and gradients of a step are those of its passes on a tape, added up", async (gpu) => {
  const network = new ElasticResNet(space);
  using objective = new Supervised(gpu, network, { classes: 3, seed: 5 });
  await objective.initialise();
  using images = randomTensor(gpu, [6, 3, 8, 8], 1);
  using labels = Tensor.from(gpu, Uint32Array.of(0, 1, 2, 0, 1, 1));
  using losses = Tensor.zeros(gpu, [2]);
  const architectures = [space.max, space.min];
  const { weights } = objective.encoder;
  weights.gradients!.clear();
  assertEquals(objective.viewOrders(Uint32Array.of(4, 2), 3), [{ batch: Uint32Array.of(4, 2) }]);
  await objective.record({ views: [{ images }], architectures, losses, labels });

  const other = new Encoder(gpu, network, classifierHead(3), true);
  await other.initialise(5, { head: "uniform", lastBatchnorm: 1 });
  other.weights.gradients!.clear();
  const expected: number[] = [];
  for (const architecture of architectures) {
    using tape = new Tape(gpu, true);
    const pass = other.pass({ tape, training: true, batchnormGroups: 1 });
    const logits = other.project(pass, other.features(pass, images, architecture).pooled);
    assertEquals(logits.shape, [6, 3]);
    const loss = softmaxCrossEntropy(tape, logits, labels);
    expected.push(...await loss.read() as Float32Array);
    tape.backward(loss);
  }
  assertEquals([...await losses.read()], expected);
  for (const [name, gradient] of weights.gradients!.entries()) {
    const wanted = await other.weights.gradients!.get(name).read();
    assertClose(await gradient.read(), wanted, 0, name);
    assertEquals(wanted.some((value) => value !== 0), true, name);
  }
  other.release();

  await assertRejects(
    () => objective.record({ views: [{ images }], architectures, losses }),
    ShapeError,
    "needs labels",
  );
});

gpuTest(
  "a dropped step leaves statistics as they were; the classifier starts within 1 / sqrt(features)",
  async (gpu) => {
    using objective = new Supervised(gpu, new ElasticResNet(space), { classes: 3, seed: 5 });
    await objective.initialise();
    const { encoder } = objective;
    const weight = await encoder.weights.values.get("fc.weight").read();
    const bound = 1 / Math.sqrt(8);
    assertEquals(
      weight.every((value) => Math.abs(value) <= bound) && weight.some((value) => value !== 0),
      true,
    );
    const statistics = async () => {
      const [name] = [...encoder.statistics.arena.entries()].map(([name]) => name);
      return [...await encoder.statistics.arena.get(name).read()];
    };
    const before = await statistics();
    using images = randomTensor(gpu, [6, 3, 8, 8], 1);
    using labels = Tensor.from(gpu, Uint32Array.of(0, 1, 2, 0, 1, 1));
    using losses = Tensor.zeros(gpu, [1]);
    objective.beginStep();
    await objective.record({ views: [{ images }], architectures: [space.max], losses, labels });
    assertEquals((await statistics()).join() === before.join(), false);
    objective.undoStep();
    assertEquals(await statistics(), before);
  },
);
