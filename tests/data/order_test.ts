import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
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

Deno.test("without shards the order is what it always was", () => {
  assertEquals([...epochOrder(range(12), 3, 2)], [5, 4, 8, 2, 7, 11, 0, 3, 1, 10, 9, 6]);
});

/** Number of shards that each run of images comes from. */
function shardsOf(order: Uint32Array, shards: Uint32Array, start: number, length: number): Set<number> {
  const shardOf = (index: number) => shards.findLastIndex((first) => first <= index);
  return new Set(Array.from(order.subarray(start, start + length), shardOf));
}

Deno.test("an epoch over shards visits every image once, few shards at a time, in another order each epoch", () => {
  // 40 shards of 2000 images, every seventh held out.
  const shards = Uint32Array.from({ length: 40 }, (_, shard) => 2000 * shard);
  const indices = range(80_000).filter((index) => index % 7 !== 0);
  const order = epochOrder(indices, 1, 4, shards);
  assertEquals(order.slice().sort(), indices);
  assertEquals(epochOrder(indices, 1, 4, shards), order);
  assertNotEquals(epochOrder(indices, 1, 5, shards), order);
  assertNotEquals(epochOrder(indices, 2, 4, shards), order);
  // Eight shards have some 13 700 images: they are shuffled through each other, and come before those of others.
  const first = shardsOf(order, shards, 0, 64);
  assertEquals(shardsOf(order, shards, 0, 13_000).size, 8);
  assert(first.size > 4, `64 images come from ${first.size} shards`);
  const last = shardsOf(order, shards, indices.length - 13_000, 13_000);
  assertEquals([last.size, [...last].filter((shard) => first.has(shard))], [8, []]);
});

Deno.test("small shards are taken together until there are images enough; empty ones count for nothing", () => {
  const shards = Uint32Array.from({ length: 200 }, (_, shard) => shard < 100 ? 100 * shard : 10_000);
  const order = epochOrder(range(10_000), 1, 0, shards);
  assertEquals(order.slice().sort(), range(10_000));
  assert(shardsOf(order, shards, 0, 8000).size > 80);
  assertEquals([...epochOrder(Uint32Array.of(), 1, 0, Uint32Array.of(0))], []);
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
