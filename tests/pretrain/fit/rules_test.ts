import { assert, assertEquals } from "@std/assert";
import {
  chooseBank,
  chooseBatch,
  chooseEpochs,
  chooseEpochsOfSelf,
  chooseHeldOut,
  chooseLearningRate,
  chooseNeighbours,
  chooseQueue,
  chooseWorkers,
} from "../../../src/pretrain/fit/rules.ts";

Deno.test("what is held out: a fifth, at most 1000, nothing where kNN would not look", () => {
  assertEquals(chooseHeldOut({ images: 300, classes: 5 }, true).value, 60);
  assertEquals(chooseHeldOut({ images: 20_000, classes: 10 }, true).value, 1000);
  assertEquals(chooseHeldOut({ images: 300, classes: undefined }, true).value, 0);
  assertEquals(chooseHeldOut({ images: 300, classes: 5 }, false).value, 0);
});

Deno.test("batches: for the device, smaller for few images, with whole groups, no larger than a given queue", () => {
  assertEquals(chooseBatch(16_000, true, 1, undefined).value, 64);
  assertEquals(chooseBatch(16_000, false, 1, undefined).value, 256);
  assertEquals(chooseBatch(2029, true, 1, undefined).value, 32);
  assertEquals(chooseBatch(5000, false, 1, undefined).value, 128);
  assertEquals(chooseBatch(40, true, 1, undefined).value, 16);
  assertEquals(chooseBatch(10, true, 1, undefined).value, 10);
  assertEquals(chooseBatch(300, true, 5, undefined).value, 15);
  assertEquals(chooseBatch(16_000, false, 8, 50).value, 48);
});

Deno.test("the queue holds whole batches, at most a quarter of the images, at least one batch", () => {
  for (const training of [16, 75, 300, 1600, 19_000, 1_000_000]) {
    const { value: batch } = chooseBatch(training, true, 1, undefined);
    const { value } = chooseQueue(training, batch);
    assertEquals(value % batch, 0);
    assert(value === batch || value <= training / 4, `${training}: ${value}`);
    assert(value <= 65_536);
  }
  assertEquals(chooseQueue(300, 32).value, 64);
  assertEquals(chooseQueue(1_000_000, 256).value, 65_536);
});

Deno.test("learning rate, workers, bank, neighbours", () => {
  assertEquals([16, 64, 256].map((batch) => chooseLearningRate(batch).value), [0.03, 0.06, 0.12]);
  assertEquals(
    [chooseWorkers(2, true), chooseWorkers(32, true), chooseWorkers(32, false)].map((c) => c.value),
    [
      2,
      4,
      16,
    ],
  );
  assertEquals(chooseBank(240, true).value, 240);
  assertEquals([chooseBank(1e6, true).value, chooseBank(1e6, false).value], [4096, 50_000]);
  assertEquals(chooseNeighbours(1200, 30).value, 20);
  assertEquals(chooseNeighbours(50_000, 10).value, 200);
  assertEquals(chooseNeighbours(3, 3).value, 3);
});

Deno.test("epochs: what fits an hour, not too few, at most 200 but for few images", () => {
  assertEquals(chooseEpochs(16_000, 250, 55).value, 60);
  assertEquals(chooseEpochs(1600, 25, 600).value, 20);
  assertEquals(chooseEpochs(5000, 78, 6000).value, 13);
  assertEquals(chooseEpochs(20_000, 312, 6000).value, 5);
  assertEquals(chooseEpochs(16_000, 250, 1).value, 200);
  assertEquals(chooseEpochs(300, 9, 1).value, 800);
  assertEquals(chooseEpochs(1000, 15, 1).value, 400);
  assertEquals(chooseEpochs(300, 9, 9.1).value, 360);
  assertEquals(chooseEpochs(20_000, 312, 25.2).value, 130);
  assertEquals(chooseEpochsOfSelf(39).value, 8);
  assertEquals(chooseEpochsOfSelf(1000).value, 5);
});
