import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { ConfigurationError } from "../../src/errors.ts";
import { batchCount, batchesOf, epochOrder } from "../../src/data/order.ts";
import { splitHeldOut } from "../../src/data/split.ts";

const range = (length: number) => Uint32Array.from({ length }, (_, index) => index);

Deno.test("a split is a partition that the seed decides", () => {
  const split = splitHeldOut(100, 30, 5);
  assertEquals([split.train.length, split.heldOut.length], [70, 30]);
  assertEquals(Uint32Array.from([...split.train, ...split.heldOut]).sort(), range(100));
  assertEquals(split.train, split.train.slice().sort());
  assertEquals(splitHeldOut(100, 30, 5), split);
  assertNotEquals(splitHeldOut(100, 30, 6).heldOut, split.heldOut);
  assertEquals(splitHeldOut(4, 0, 5), { train: range(4), heldOut: new Uint32Array() });
});

Deno.test("a split that leaves nothing to train on is refused", () => {
  assertThrows(() => splitHeldOut(10, 10, 0), ConfigurationError, "data.heldOut is 10");
  assertThrows(() => splitHeldOut(10, -1, 0), ConfigurationError, "data.heldOut is -1");
});

Deno.test("an epoch's order is a permutation of the given images, another one each epoch", () => {
  const indices = Uint32Array.from(range(50), (index) => 3 * index);
  const order = epochOrder(indices, 1, 4);
  assertEquals(order.slice().sort(), indices);
  assertNotEquals(order, indices);
  assertEquals(epochOrder(indices, 1, 4), order);
  assertNotEquals(epochOrder(indices, 1, 5), order);
  assertNotEquals(epochOrder(indices, 2, 4), order);
});

Deno.test("the last, smaller batch is kept or dropped", () => {
  const order = range(10);
  const lengths = (batchSize: number, dropLast: boolean) =>
    batchesOf(order, { batchSize, dropLast }).map((batch) => batch.length);
  assertEquals(lengths(4, false), [4, 4, 2]);
  assertEquals(lengths(4, true), [4, 4]);
  assertEquals(lengths(5, true), [5, 5]);
  assertEquals(lengths(10, true), [10]);
  assertEquals(lengths(16, false), [10]);
  assertEquals(batchesOf(order, { batchSize: 4, dropLast: false })[2], Uint32Array.of(8, 9));
});

Deno.test("no batch at all is refused", () => {
  assertThrows(() => batchCount(10, { batchSize: 16, dropLast: true }), ConfigurationError, "at most 10");
  assertThrows(() => batchCount(10, { batchSize: 0, dropLast: false }), ConfigurationError, "batch size 0");
});
