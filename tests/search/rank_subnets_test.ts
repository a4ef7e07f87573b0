/** Ranking as a library's user calls it, without commands or files. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { GpuError, UsageError } from "../../src/errors.ts";
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

gpuTest(
  "a preference and a budget choose among the same scores; what nothing keeps to is refused",
  async (gpu) => {
    const request = {
      ...await encoders(gpu),
      images: imagesOn(gpu),
      imageSize: 16,
      candidates: [...space.enumerate()],
      similarity: { metric: "cka" },
      batch: 12,
      groupSize: 4e5,
    } as const;
    const { ranking: plain, imageBlocks } = await rankSubnets(gpu, request);
    assertEquals(imageBlocks, 24);
    const { ranking } = await rankSubnets(gpu, { ...request, prefer: "params" });
    const byName = (all: typeof plain) => all!.candidates.toSorted((a, b) => a.arch < b.arch ? -1 : 1);
    assertEquals(byName(ranking), byName(plain));
    for (const { best, from, to } of ranking!.groups) {
      const alike = plain!.candidates.filter(({ macs, tiedWithBest }) =>
        tiedWithBest && macs >= from && macs < to
      );
      assertEquals(best.params, Math.min(...alike.map(({ params }) => params)));
    }
    // Another seed draws other images, and changes no score.
    const other = await rankSubnets(gpu, { ...request, seed: 1 });
    assertEquals(
      other.ranking!.candidates.map(({ score }) => score),
      plain!.candidates.map(({ score }) => score),
    );
    assert(
      other.ranking!.candidates.some(({ interval }, at) =>
        interval![0] !== plain!.candidates[at].interval![0]
      ),
    );

    const few = { ...request.images, count: 8 };
    const withoutIntervals = await rankSubnets(gpu, { ...request, images: few, batch: 8 });
    assertEquals(withoutIntervals.imageBlocks, 0);
    assert(
      withoutIntervals.ranking!.candidates.every((one) => !("interval" in one) && !("tiedWithBest" in one)),
    );
    await assertRejects(
      () => rankSubnets(gpu, { ...request, images: few, batch: 8, prefer: "macs" }),
      UsageError,
      "at least 10 images",
    );
    let measurements = 0;
    const tooFast = { ...request, latency: { to: 1e-6 }, measureBest: 1 };
    await assertRejects(
      () => rankSubnets(gpu, tooFast, { onMeasure: (count) => void (measurements += count) }),
      UsageError,
      "takes at most 0.000001 ms for a single image",
    );
    assertEquals(measurements, latencyRounds * plain!.groups.length);

    // Stopped before anything is measured, nothing is claimed.
    const controller = new AbortController();
    const stopped = await rankSubnets(gpu, { ...request, latency: { to: 1e6 } }, {
      signal: controller.signal,
      onScored: () => controller.abort(new Error("enough")),
    });
    assertEquals(stopped.ranking, undefined);
  },
);

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
