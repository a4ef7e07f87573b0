import { assertEquals, assertThrows } from "@std/assert";
import { DataError, UsageError } from "../../src/errors.ts";
import { chooseBatch } from "../../src/search/batch_size.ts";
import { batchBounds } from "../../src/data/chosen_images.ts";
import { walkMemory } from "../../src/search/memory.ts";
import { choosePlaces } from "../../src/search/places.ts";
import { searchRounds } from "../../src/search/search.ts";
import { buildTree } from "../../src/search/tree.ts";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { published } from "../elastic/spaces.ts";

const network = new ElasticResNet(new SearchSpace(published));

const { space } = network;
const question = {
  tree: buildTree(network, [...space.enumerate()], choosePlaces(network, "detection", "affinity")),
  imageSize: 224,
  similarity: { metric: "affinity", positions: 49 },
  mode: "batch",
} as const;
const request = {
  batch: 64,
  images: 256,
  source: "folder:photos",
  fewest: 2,
  memory: Infinity,
  fixed: 1e9,
  largest: 2 ** 31,
};

Deno.test("a batch is what is wanted where it fits, else the largest that does", () => {
  assertEquals(chooseBatch(question, request), 64);
  assertEquals(chooseBatch(question, { ...request, images: 40 }), 40);
  const memory = request.fixed + walkMemory(question, 20, 256).total;
  assertEquals(chooseBatch(question, { ...request, memory }), 20);
  assertEquals(chooseBatch(question, { ...request, memory: memory - 1 }), 19);
  // A map of the first stage: 4 bytes x 320 channels x 56 x 56.
  const largest = 4 * 320 * 56 ** 2 * 10;
  assertEquals(chooseBatch(question, { ...request, largest }), 10);
});

Deno.test("what cannot fit is refused with what it needs", () => {
  const needed = request.fixed + walkMemory(question, 2, 256).total;
  assertThrows(
    () => chooseBatch(question, { ...request, memory: needed - 1 }),
    UsageError,
    `needs ${needed} bytes with batches of 2 images`,
  );
  assertEquals(chooseBatch(question, { ...request, memory: needed }), 2);
  assertThrows(
    () => chooseBatch(question, { ...request, largest: 1e6 }),
    UsageError,
    "that this adapter binds at once",
  );
});

Deno.test("too few images for the metric are refused", () => {
  assertThrows(
    () => chooseBatch(question, { ...request, images: 3, fewest: 4 }),
    DataError,
    "folder:photos has 3 images; a batch needs at least 4",
  );
  assertThrows(
    () => chooseBatch(question, { ...request, images: 5, batch: 4, fewest: 4 }),
    UsageError,
    "leave a batch of 2",
  );
});

Deno.test("batches are equal, as far as that goes", () => {
  assertEquals(batchBounds(10, 4), [[0, 3], [3, 6], [6, 10]]);
  assertEquals(batchBounds(8, 4), [[0, 4], [4, 8]]);
  assertEquals(batchBounds(3, 4), [[0, 3]]);
  assertEquals(searchRounds(8, 4, "batch"), [[[0, 4]], [[4, 8]]]);
  assertEquals(searchRounds(8, 4, "recalibrated"), [[[0, 4], [4, 8]]]);
});
