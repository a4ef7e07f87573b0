/** What the tape passes on, keeps, refuses and gives back. */
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { GradientError, LifetimeError, ShapeError } from "../../src/errors.ts";
import { add, average, relu, scale } from "../../src/tensor/ops/elementwise.ts";
import { l2Normalise } from "../../src/tensor/ops/l2_normalise.ts";
import { linear } from "../../src/tensor/ops/linear.ts";
import { infoNce, softmaxCrossEntropy } from "../../src/tensor/ops/softmax.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, gpuTest, randomTensor, randomValues } from "../helpers.ts";
import { frozen, gradients, ones, randomParameter } from "./tape_helpers.ts";

gpuTest("gradients of several consumers add up, whatever the operations", async (gpu) => {
  using input = randomTensor(gpu, [6, 8], 1);
  using keys = randomTensor(gpu, [6, 8], 2);
  using queue = randomTensor(gpu, [20, 8], 3);
  using labels = Tensor.from(gpu, Uint32Array.of(0, 1, 2, 3, 4, 5));
  const weights = [4, 5].map((seed) => frozen(randomParameter(gpu, "weight", [8, 8], seed)));
  const heads: ((tape: Tape) => Tensor)[] = [
    (tape) => infoNce(tape, input, keys, queue, 0.5),
    (tape) => softmaxCrossEntropy(tape, linear(tape, input, weights[0]), labels),
    (tape) => softmaxCrossEntropy(tape, relu(tape, linear(tape, input, weights[1])), labels),
    (tape) => infoNce(tape, l2Normalise(tape, input), keys, queue, 0.2),
  ];
  const alone: Float32Array[] = [];
  for (const head of heads) alone.push((await gradients(gpu, [input], (tape) => [head(tape)]))[0]);
  const sum = alone[0].map((_, at) => alone.reduce((total, one) => total + one[at], 0));
  const [together] = await gradients(gpu, [input], (tape) => heads.map((head) => head(tape)));
  assertClose(together, sum, 1e-5, "several starts");
  const [added] = await gradients(
    gpu,
    [input],
    (tape) => [heads.map((head) => head(tape)).reduce((a, b) => add(tape, a, b))],
  );
  assertClose(added, sum, 1e-5, "one sum");
  const [mean] = await gradients(gpu, [input], (tape) => [average(tape, heads.map((head) => head(tape)))]);
  assertClose(mean, sum.map((value) => value / heads.length), 1e-5, "their mean");
  const weighted = [0.5, -2, 0, 3];
  const [weightedSum] = await gradients(gpu, [input], (tape) => [
    heads.map((head, at) => scale(tape, head(tape), weighted[at])).reduce((a, b) => add(tape, a, b)),
  ]);
  const expected = sum.map((_, at) =>
    weighted.reduce((total, weight, head) => total + weight * alone[head][at], 0)
  );
  assertClose(weightedSum, expected, 1e-5, "weighted");
});

gpuTest("values of losses are read later, together", async (gpu) => {
  using logits = randomTensor(gpu, [4, 3], 1);
  using labels = Tensor.from(gpu, Uint32Array.of(0, 1, 2, 0));
  using log = Tensor.zeros(gpu, [3]);
  for (let step = 0; step < 3; step++) {
    using tape = new Tape(gpu, true);
    tape.watch(logits);
    const loss = scale(tape, softmaxCrossEntropy(tape, logits, labels), step);
    assertEquals(loss.shape, []);
    gpu.stream.copy(loss, log.slice(step, []));
    tape.backward(loss);
  }
  const [none, once, twice] = await log.read();
  assertEquals(none, 0);
  assert(once > 0.5);
  assertAlmostEquals(twice, 2 * once, 1e-6);
});

gpuTest("gradients given twice for one result add up, and stay the caller's", async (gpu) => {
  using input = randomTensor(gpu, [8], 1);
  using first = randomTensor(gpu, [8], 2);
  using second = randomTensor(gpu, [8], 3);
  const { used } = gpu.pool.use;
  const [found] = await gradients(gpu, [input], (tape) => {
    const result = scale(tape, input, 2);
    return [[result, first], [result.view([2, 4]), second.view([2, 4])]];
  });
  const [a, b] = await Promise.all([first.read(), second.read()]);
  assertClose(found, a.map((value, at) => 2 * (value + b[at])), 1e-6, "the sum");
  assertEquals(gpu.pool.use.used, used);
  const [scalar] = await gradients(gpu, [input], (tape) => {
    const loss = scale(tape, input.slice(0, []), 3);
    return [loss, loss];
  });
  assertEquals([...scalar], [6, 0, 0, 0, 0, 0, 0, 0]);
});

gpuTest("no gradient flows through a detached value", async (gpu) => {
  using input = randomTensor(gpu, [4], 1);
  const stopped = await gradients(gpu, [input], (tape) => {
    const result = scale(tape, input, 5);
    return [[add(tape, result, scale(tape, result.detach().view([2, 2]).view([4]), 100)), ones(gpu, [4])]];
  });
  assertEquals([...stopped[0]], [5, 5, 5, 5]);

  // What infoNce has no gradient for must be a constant.
  using queue = randomTensor(gpu, [6, 4], 2);
  using tape = new Tape(gpu, true);
  const rows = input.view([1, 4]);
  tape.watch(input);
  const [query, keys] = [scale(tape, rows, 2), scale(tape, rows, 3)];
  assertThrows(() => infoNce(tape, query, keys, queue, 1), GradientError, "infoNce has no gradient for");
  assertThrows(() => infoNce(tape, query, keys.view([1, 4]), queue, 1), GradientError);
  assertThrows(() => infoNce(tape, query, rows, queue, 1), GradientError);
  tape.backward(infoNce(tape, query, keys.detach(), queue, 1));
  tape.take(input)!.release();
});

gpuTest("a value that needs a gradient on another tape is refused there, unless detached", (gpu) => {
  using input = randomTensor(gpu, [4], 1);
  using first = new Tape(gpu, true);
  first.watch(input);
  const result = scale(first, input, 2);
  using second = new Tape(gpu, true);
  second.watch(input);
  for (const value of [result, result.view([2, 2]), result.slice(0, [2])]) {
    assertThrows(() => relu(second, value), GradientError, "another tape");
    assertThrows(() => second.backward([value, value.detach()]), GradientError);
    relu(second, value.detach());
    relu(new Tape(gpu, false), value);
  }
  relu(second, input);
  return Promise.resolve();
});

gpuTest("backward is refused where no gradient can flow", (gpu) => {
  using input = randomTensor(gpu, [4], 1);
  using inference = new Tape(gpu, false);
  const result = relu(inference, input);
  assertThrows(() => inference.backward([result, input]), GradientError, "does not record");
  assertThrows(() => inference.backward(), GradientError, "does not record");
  assertThrows(() => inference.watch(input), GradientError);

  using tape = new Tape(gpu, true);
  assertThrows(() => tape.backward([relu(tape, input), input]), GradientError, "depends on nothing");
  assertThrows(() => tape.backward([input, input]), GradientError);
  tape.watch(input);
  const recorded = relu(tape, input);
  assertThrows(() => tape.backward(recorded), ShapeError, "needs its gradient");
  assertThrows(() => tape.backward([recorded, input.view([2, 2])]), ShapeError);
  assertThrows(() => tape.backward([recorded.detach(), input]), GradientError);
  tape.backward([recorded, input]);
  assertThrows(() => tape.backward([recorded, input]), GradientError, "depends on nothing");
  assertThrows(() => recorded.view([4]), LifetimeError);
  assertThrows(() => relu(tape, recorded), LifetimeError);
  tape.take(input)!.release();

  const over = new Tape(gpu, true);
  over.release();
  for (
    const use of [
      () => over.create([1]),
      () => relu(over, input),
      () => over.backward(),
      () => over.release(),
    ]
  ) {
    assertThrows(use, LifetimeError);
  }
  return Promise.resolve();
});

gpuTest("an operation that forgets an input is found out", (gpu) => {
  using a = randomTensor(gpu, [4], 1);
  using b = randomTensor(gpu, [4], 2);
  using tape = new Tape(gpu, true);
  tape.watch(a);
  tape.watch(b);
  const result = tape.create([4]);
  gpu.stream.copy(a, result);
  tape.record({
    operation: "forgetful",
    result,
    inputs: [a, b],
    backward: (gradient) => gpu.stream.copy(gradient, tape.gradientOf(a)!.tensor),
  });
  const sum = add(tape, result, b);
  assertThrows(() => tape.backward([sum, a]), GradientError, "forgetful gives");
  return Promise.resolve();
});

gpuTest("scopes give back what nobody recorded, also when a part of a network throws", async (gpu) => {
  using input = randomTensor(gpu, [1000], 1);
  const { used } = gpu.pool.use;
  using tape = new Tape(gpu, false);
  assertThrows(() =>
    tape.scope(() => {
      relu(tape, input);
      throw new RangeError("a fault");
    }), RangeError);
  assertEquals(gpu.pool.use.used, used);
  const kept = tape.scope(() => scale(tape, relu(tape, input), 2).view([10, 100]));
  const one = gpu.pool.use.used - used;
  assertEquals([...(await kept.read())], [...randomValues(1000, 1)].map((value) => 2 * Math.max(value, 0)));
  const mine = tape.keep(relu(tape, input));
  assertEquals(gpu.pool.use.used, used + 2 * one);
  tape.discard(kept);
  assertEquals(gpu.pool.use.used, used + one);
  mine.release();
  assertThrows(() => tape.keep(input), GradientError);

  using recorded = new Tape(gpu, true);
  recorded.watch(input);
  const result = recorded.scope(() => relu(recorded, scale(recorded, input, 2)));
  recorded.discard(result);
  assertThrows(() => recorded.keep(result), GradientError);
  assertEquals(gpu.pool.use.used, used + 2 * one);
});

gpuTest("micro-batches add up to the large batch's gradient", async (gpu) => {
  using images = randomTensor(gpu, [8, 64], 1);
  const weight = randomParameter(gpu, "weight", [3, 64], 2);
  const bias = randomParameter(gpu, "bias", [3], 3);
  const run = async (parts: number) => {
    for (const { gradient } of [weight, bias]) gpu.stream.clear(gradient!);
    for (let part = 0; part < parts; part++) {
      const rows = 8 / parts;
      using tape = new Tape(gpu, true);
      const logits = linear(tape, images.slice(part * rows * 64, [rows, 64]), weight, bias);
      using labels = Tensor.from(gpu, Uint32Array.from({ length: rows }, (_, at) => (part * rows + at) % 3));
      tape.backward(scale(tape, softmaxCrossEntropy(tape, logits, labels), 1 / parts));
    }
    return await weight.gradient!.read();
  };
  const whole = await run(1);
  for (const parts of [2, 4, 8]) assertClose(await run(parts), whole, 1e-5, `${parts} parts`);
});
