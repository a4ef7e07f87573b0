import { assert, assertAlmostEquals, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import type { LabelledFeatures } from "../../src/evaluate/knn.ts";
import { accuracyOf, linearProbe } from "../../src/evaluate/linear.ts";
import { sgdProbe, sgdProbeDefaults, type SgdProbeSettings } from "../../src/evaluate/sgd_probe.ts";
import { purpose, Random } from "../../src/random.ts";

/** Points of about unit scale around a centre a class. */
function clusters(rows: number, classes: number, dimension: number, spread: number, seed: number) {
  const centres = new Random(7, purpose.test);
  const centre = Array.from({ length: classes * dimension }, () => centres.normal());
  const random = new Random(seed, purpose.test, 1);
  const labels = Int32Array.from({ length: rows }, (_, row) => row % classes);
  const values = Float32Array.from(
    { length: rows * dimension },
    (_, at) =>
      0.3 *
      (centre[labels[Math.floor(at / dimension)] * dimension + at % dimension] + spread * random.normal()),
  );
  return { rows, dimension, values, labels } satisfies LabelledFeatures;
}

/** The descent written out: a list of weights for each class, every row by itself. */
function descend(
  train: LabelledFeatures,
  test: LabelledFeatures,
  classes: number,
  { learningRate, momentum, weightDecay, epochs, milestones, batch, seed }: SgdProbeSettings,
): Int32Array {
  const { dimension } = train;
  const row = (
    { values }: LabelledFeatures,
    at: number,
  ) => [...values.subarray(at * dimension, (at + 1) * dimension), 1];
  const start = new Random(seed, purpose.linearProbe);
  const weights = Array.from({ length: classes }, () => new Array<number>(dimension + 1).fill(0));
  for (let column = 0; column < dimension; column++) {
    for (let one = 0; one < classes; one++) weights[one][column] = 0.01 * start.normal();
  }
  const velocities = weights.map((own) => own.map(() => 0));
  const logits = (input: number[]) =>
    weights.map((own) => own.reduce((sum, weight, at) => sum + weight * input[at], 0));
  let rate = learningRate;
  for (let epoch = 0; epoch < epochs; epoch++) {
    if (milestones.includes(epoch)) rate *= 0.1;
    const order = [...new Random(seed, purpose.linearProbe, 1 + epoch).permutation(train.rows)];
    while (order.length > 0) {
      const chosen = order.splice(0, batch);
      const gradients = weights.map((own) =>
        own.map((weight, at) => at < dimension ? weightDecay * weight : 0)
      );
      for (const at of chosen) {
        const input = row(train, at), powers = logits(input).map(Math.exp);
        const sum = powers.reduce((a, b) => a + b);
        gradients.forEach((own, one) => {
          const residual = powers[one] / sum - Number(train.labels[at] === one);
          own.forEach((_, column) => own[column] += residual * input[column] / chosen.length);
        });
      }
      weights.forEach((own, one) =>
        own.forEach((_, column) => {
          velocities[one][column] = momentum * velocities[one][column] + gradients[one][column];
          own[column] -= rate * velocities[one][column];
        })
      );
    }
  }
  return Int32Array.from(test.labels, (_, at) => {
    const found = logits(row(test, at));
    return found.indexOf(Math.max(...found));
  });
}

Deno.test("the descent is the published one, step for step", async () => {
  const train = clusters(103, 3, 5, 3, 1), test = clusters(200, 3, 5, 3, 2);
  for (
    const changes of [
      {},
      { batch: 32, epochs: 7, milestones: [3, 5] },
      { batch: 10, epochs: 3, learningRate: 0.5, weightDecay: 0.01, seed: 4 },
    ]
  ) {
    const settings = { ...sgdProbeDefaults, ...changes };
    const result = await sgdProbe(train, test, settings);
    assertEquals(result.predictions, descend(train, test, 3, settings), JSON.stringify(changes));
    assertEquals(result.accuracy, accuracyOf(result.predictions, test.labels));
    assert(result.accuracy > 0.4 && result.accuracy < 0.9, String(result.accuracy));
  }
  const { learningRate, momentum, weightDecay, epochs, milestones, batch } = sgdProbeDefaults;
  assertEquals([learningRate, momentum, weightDecay, epochs, milestones, batch], [
    30,
    0.9,
    0,
    100,
    [60, 80],
    256,
  ]);
});

Deno.test("both solvers come to the same classifier, where the descent has time", async () => {
  const train = clusters(400, 4, 8, 1.8, 1), test = clusters(400, 4, 8, 1.8, 2);
  const exact = await linearProbe(train, test);
  const descent = await sgdProbe(train, test, {
    ...sgdProbeDefaults,
    batch: 400,
    epochs: 800,
    learningRate: 3,
  });
  const published = await sgdProbe(train, test);
  const agreement = accuracyOf(descent.predictions, exact.predictions);
  assert(agreement > 0.97, String(agreement));
  assertAlmostEquals(descent.accuracy, exact.accuracy, 0.02);
  assertAlmostEquals(published.accuracy, exact.accuracy, 0.02);
  assertEquals([descent.regularisation, descent.validated], [0, []]);
  const early = await sgdProbe(train, test, {
    ...sgdProbeDefaults,
    epochs: 1,
    learningRate: 0.01,
    momentum: 0,
  });
  assertEquals([descent.converged, early.converged], [true, false]);
});

Deno.test("the same seed gives the same weights, another others", async () => {
  const train = clusters(60, 3, 6, 3, 1), test = clusters(300, 3, 6, 3, 2);
  const short = { ...sgdProbeDefaults, epochs: 2, batch: 16 };
  const first = await sgdProbe(train, test, short);
  assertEquals(await sgdProbe(train, test, short), first);
  assertNotEquals((await sgdProbe(train, test, { ...short, seed: 2 })).predictions, first.predictions);
});

Deno.test("what cannot be learned from is refused, and a signal ends the descent", async () => {
  const train = clusters(40, 2, 4, 1, 1);
  const one = { ...train, labels: train.labels.map(() => 0) };
  await assertRejects(() => sgdProbe(one, train), DataError, "at least 2 classes; these have 1");
  const broken = { ...train, values: train.values.with(3, Infinity) };
  await assertRejects(() => sgdProbe(broken, train), DataError, "not finite");
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => sgdProbe(train, train, sgdProbeDefaults, signal), Error, "enough");
});
