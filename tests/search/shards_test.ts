/** A search in shards is the search in one piece, to the last bit. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { DataError, UsageError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { choosePlaces, type Task } from "../../src/search/places.ts";
import { rankScores } from "../../src/search/rank_scores.ts";
import { rankSubnets } from "../../src/search/rank_subnets.ts";
import type { Ranking } from "../../src/search/ranking.ts";
import type { BatchnormMode } from "../../src/search/runner.ts";
import { OtherSearchError, type SavedSearch } from "../../src/search/saved_search.ts";
import { prepareSearch, type ScoreRequest } from "../../src/search/scoring.ts";
import { mergeShards, type NamedShard, scoreShard } from "../../src/search/shards.ts";
import { type SimilarityOptions, tableFormat } from "../../src/search/similarity/options.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { livelyEncoder } from "../extract/encoders.ts";
import { gpuTest, randomValues } from "../helpers.ts";

const definition = {
  block: "basic",
  stem: { kind: "3x3", widths: [4, 8] },
  widths: [[4, 8], [8, 12]],
  depths: [[1, 2], [1, 2]],
  strides: [1, 2],
  named: {},
} as const;
const groupSize = 5e5;
const imageSize = 16;
const count = 20;
const pixels = randomValues(count * 3 * imageSize ** 2, 5);
const { signal } = new AbortController();

function requestOn(
  gpu: Gpu,
  similarity: SimilarityOptions,
  task: Task = "classification",
  batchnorm: BatchnormMode = "batch",
) {
  const [student, teacher] = [livelyEncoder(gpu, definition, 1), livelyEncoder(gpu, definition, 2)];
  const length = 3 * imageSize ** 2;
  const images = {
    source: "random",
    count,
    load: (first: number, end: number) =>
      Promise.resolve(
        Tensor.from(gpu, pixels.slice(first * length, end * length), [
          end - first,
          3,
          imageSize,
          imageSize,
        ]),
      ),
    digest: () => Promise.resolve("twenty"),
  };
  const candidates = [...student.network.space.enumerate()];
  const batch = 6;
  return { student, teacher, images, imageSize, candidates, similarity, task, batchnorm, batch };
}

async function shardsOf(gpu: Gpu, request: ScoreRequest, shards: number): Promise<NamedShard[]> {
  const found: NamedShard[] = [];
  for (let index = 0; index < shards; index++) {
    const { collected } = await scoreShard(gpu, request, { index, count: shards });
    found.push({ name: `shard ${index}`, ...collected! });
  }
  return found;
}

async function merged(request: ScoreRequest, shards: readonly NamedShard[]): Promise<Ranking> {
  const { student: { network }, similarity } = request;
  const places = choosePlaces(network, request.task!, similarity.metric);
  const scored = await mergeShards(network, places, tableFormat(similarity), shards);
  const session = { signal, measure: () => Promise.reject(new Error("nothing is to be measured")) };
  const { ranking } = await rankScores(
    scored,
    { groupSize, imageSize },
    { prefer: "macs", seed: 3 },
    session,
  );
  return ranking!;
}

const cases: [SimilarityOptions, Task, BatchnormMode][] = [
  [{ metric: "cosine" }, "classification", "batch"],
  [{ metric: "cosine" }, "classification", "recalibrated"],
  [{ metric: "affinity" }, "detection", "batch"],
  [{ metric: "affinity" }, "detection", "recalibrated"],
  [{ metric: "cka" }, "classification", "batch"],
  [{ metric: "cka", samples: "positions" }, "detection", "recalibrated"],
];

for (const [similarity, task, batchnorm] of cases) {
  gpuTest(`shards rank as one piece: ${Object.values(similarity)} for ${task}, ${batchnorm}`, async (gpu) => {
    const request = requestOn(gpu, similarity, task, batchnorm);
    const { ranking } = await rankSubnets(gpu, { ...request, groupSize, prefer: "macs", seed: 3 });
    assertEquals(
      new Set(ranking!.candidates.map(({ score }) => score)).size,
      32,
      "candidates are told apart",
    );
    assert(ranking!.candidates.every(({ interval }) => interval![0] < interval![1]));
    for (const shards of [1, 2, 3, 5]) {
      const parts = await shardsOf(gpu, request, shards);
      assertEquals(await merged(request, parts.toReversed()), ranking, `${shards} shards`);
    }
  });
}

gpuTest("more shards than candidates, and than images for intervals", async (gpu) => {
  const whole = requestOn(gpu, { metric: "affinity" }, "segmentation");
  const request = {
    ...whole,
    candidates: whole.candidates.slice(3, 12),
    images: { ...whole.images, count: 8 },
    batch: 4,
  };
  const { ranking, imageBlocks } = await rankSubnets(gpu, { ...request, groupSize, seed: 3 });
  assertEquals(imageBlocks, 0);
  const parts = await shardsOf(gpu, request, 12);
  assert(parts.some(({ candidates }) => candidates.length === 0));
  assert(parts.filter(({ candidates }) => candidates.length > 0).length > 2, "more than the two stems");
  const { student: { network } } = request;
  const places = choosePlaces(network, "segmentation", "affinity");
  const scored = await mergeShards(network, places, tableFormat(request.similarity), parts);
  const session = { signal, measure: () => Promise.resolve(new Map()) };
  assertEquals((await rankScores(scored, { groupSize, imageSize }, {}, session)).ranking, ranking);
});

gpuTest("a shard has the batches and blocks of images of the whole search", async (gpu) => {
  const request = requestOn(gpu, { metric: "affinity" }, "detection");
  const wanted = { ...request, batch: 20 };
  const whole = await prepareSearch(gpu, wanted);
  const small = { ...wanted, candidates: whole.tree.candidates.slice(0, 1) };
  const batchOf = async (one: ScoreRequest, memory: number) =>
    (await prepareSearch(gpu, { ...one, memory })).batch;
  let memory = 2e6;
  while (await batchOf(wanted, memory) === await batchOf(small, memory)) memory -= 5e3;
  const limited = await prepareSearch(gpu, { ...wanted, memory });
  assert(await batchOf(small, memory) > limited.batch, "a part alone would have more");
  const { batch, blocks, part, settings } = await prepareSearch(gpu, { ...wanted, memory }, {
    index: 0,
    count: 32,
  });
  assert(part.candidates.length < 32);
  assertEquals([batch, blocks], [limited.batch, limited.blocks]);
  assertEquals(settings, { ...limited.settings, shard: "0/32" });
});

gpuTest("an interrupted shard goes on, and no other in its place", async (gpu) => {
  const request = requestOn(gpu, { metric: "cosine" });
  const [shard, other] = [{ index: 1, count: 3 }, { index: 2, count: 3 }];
  const { collected: whole } = await scoreShard(gpu, request, shard);
  const controller = new AbortController();
  let blocks = 0;
  let saved: SavedSearch | undefined;
  const { collected } = await scoreShard(gpu, request, shard, {
    signal: controller.signal,
    onBlock: () => ++blocks === 20 && controller.abort(new Error("enough")),
    save: (search) => {
      saved = search;
      return Promise.resolve();
    },
  });
  assertEquals([collected, saved!.settings.shard], [undefined, "1/3"]);
  const resumed = await scoreShard(gpu, { ...request, saved: saved! }, shard);
  assertEquals(resumed.collected, whole);
  const error = await assertRejects(
    () => scoreShard(gpu, { ...request, saved: saved! }, other),
    OtherSearchError,
  );
  assertEquals([error.setting, error.saved, error.wanted], ["shard", "1/3", "2/3"]);
});

gpuTest("shards that are not the parts of one search are refused", async (gpu) => {
  const request = requestOn(gpu, { metric: "affinity" }, "detection");
  const parts = await shardsOf(gpu, request, 3);
  const [first, second, last] = parts;
  const refused = (message: string, kind: typeof DataError | typeof UsageError, ...shards: NamedShard[]) =>
    assertRejects(() => merged(request, shards), kind, message);
  const other = { ...second, settings: { ...second.settings, seed: "9" } };
  await refused("shard 1 has another seed (9) than shard 0 (none)", UsageError, first, other);
  const { collected } = await scoreShard(gpu, request, { index: 3, count: 4 });
  const foreign = { name: "foreign", ...collected! };
  await refused("foreign has another shard (number of shards: 4)", UsageError, ...parts, foreign);
  await refused("shard 0 and copy both hold shard 0/3", UsageError, first, { ...first, name: "copy" });
  await refused("are not the parts of the search's 32", DataError, first, last);
  const short = { ...second, sums: second.sums.subarray(2) };
  await refused("Search that shard again", DataError, first, short, last);
  // The way to a shard's first candidate is computed by the one before it, too.
  assertEquals(await merged(request, parts), await merged(request, [last, first, second]));
  const changed = { ...second, imageSums: second.imageSums.map((value) => value + 0.001) };
  await refused("shard 1 and shard 2 collected different sums for c2 of", DataError, first, changed, last);
});
