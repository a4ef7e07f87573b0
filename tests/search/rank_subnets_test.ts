/** Ranking as a library's user calls it, without commands or files. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { GpuError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { Encoder } from "../../src/nn/encoder.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { latencyRounds } from "../../src/search/latency.ts";
import { rankSubnets } from "../../src/search/rank_subnets.ts";
import { OtherSearchError, type SavedSearch } from "../../src/search/saved_search.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { gpuTest, randomValues } from "../helpers.ts";

const space = new SearchSpace({
  block: "basic",
  stem: { kind: "3x3", widths: [4, 8] },
  widths: [[4, 8], [8, 12]],
  depths: [[1, 2], [1]],
  strides: [1, 2],
});

async function encoders(gpu: Gpu) {
  const network = new ElasticResNet(space);
  const make = async (seed: number) => {
    const encoder = new Encoder(gpu, network, { kind: "linear", hidden: 0, dimension: 8 }, false);
    await encoder.initialise(seed, { head: "kaiming", lastBatchnorm: 1 });
    return encoder;
  };
  return { student: await make(1), teacher: await make(2) };
}

const pixels = randomValues(24 * 3 * 256, 5);
const imagesOn = (gpu: Gpu) => ({
  source: "random",
  count: 24,
  load: (first: number, end: number) =>
    Promise.resolve(Tensor.from(gpu, pixels.slice(first * 768, end * 768), [end - first, 3, 16, 16])),
  digest: () => Promise.resolve("24"),
});

gpuTest("a whole space is ranked, interrupted anywhere, and goes on to the same ranking", async (gpu) => {
  const request = {
    ...await encoders(gpu),
    images: imagesOn(gpu),
    imageSize: 16,
    candidates: [...space.enumerate()],
    similarity: { metric: "affinity" },
    task: "detection",
    batch: 8,
    measureBest: 1,
  } as const;
  const calls: string[] = [];
  const whole = await rankSubnets(gpu, request, {
    onStart: ({ architectures, batch, done, total }) =>
      calls.push(`${architectures} ${batch} ${done} ${total > 0}`),
    onScored: () => void calls.push("scored"),
    onMeasure: (measurements) => calls.push(`measure ${measurements}`),
    onMeasured: () => calls.push("measured"),
  });
  const { ranking } = whole;
  assertEquals(ranking!.candidates.length, 16);
  assertEquals(calls.filter((call) => call === "measured").length, ranking!.groups.length * latencyRounds);
  assertEquals(calls.slice(0, 3), [
    "16 8 0 true",
    "scored",
    `measure ${ranking!.groups.length * latencyRounds}`,
  ]);
  assert(ranking!.groups.every(({ best }) => best.msPerImage! > 0));

  const scores = (found: typeof ranking) =>
    found!.candidates.map(({ arch, score, interval, tiedWithBest }) => [arch, score, interval, tiedWithBest]);
  for (const after of [1, 9]) {
    const controller = new AbortController();
    let saved: SavedSearch | undefined, blocks = 0;
    const interrupted = await rankSubnets(gpu, request, {
      signal: controller.signal,
      onBlock: () => ++blocks === after && controller.abort(new Error("enough")),
      save: (search) => {
        saved = search;
        return Promise.resolve();
      },
    });
    assertEquals(interrupted.ranking, undefined);
    const resumed = await rankSubnets(gpu, { ...request, saved: saved!, measureBest: 0 });
    assertEquals(scores(resumed.ranking), scores(ranking));
    const error = await assertRejects(
      () => rankSubnets(gpu, { ...request, saved: saved!, similarity: { metric: "cka" } }),
      OtherSearchError,
    );
    assertEquals([error.setting, error.saved], ["metric", '{"metric":"affinity"}']);
  }
});

gpuTest("encoders of another device are refused", async (gpu) => {
  using other = await openGpu();
  const images = imagesOn(gpu);
  const candidates = [space.max];
  await assertRejects(
    async () =>
      await rankSubnets(gpu, {
        ...await encoders(other),
        images,
        imageSize: 16,
        candidates,
        similarity: { metric: "cosine" },
      }),
    GpuError,
    "another device",
  );
});
