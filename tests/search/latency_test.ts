/** Times of subnets: taken in turns, with their spread, and kept when stopped. */
import { assert, assertEquals } from "@std/assert";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { Encoder } from "../../src/nn/encoder.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { latencyOf, latencyRounds, measureLatencies } from "../../src/search/latency.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { gpuTest } from "../helpers.ts";

const space = new SearchSpace({
  block: "basic",
  stem: { kind: "3x3", widths: [4, 8] },
  widths: [[4], [8]],
  depths: [[1], [1]],
  strides: [1, 2],
});

Deno.test("a latency is the median of its rounds with their quartiles", () => {
  assertEquals(latencyOf(8, [5, 1, 2, 4, 3]), {
    ...{ batch: 8, msPerImage: 3, lowerQuartile: 2, upperQuartile: 4, rounds: 5 },
  });
  assertEquals(latencyOf(1, [1.23456, 1.23456]).msPerImage, 1.235);
});

gpuTest("subnets are measured in turns, on every batch, until they are stopped", async (gpu) => {
  const encoder = new Encoder(
    gpu,
    new ElasticResNet(space),
    { kind: "linear", hidden: 0, dimension: 8 },
    false,
  );
  await encoder.initialise(1, { head: "kaiming", lastBatchnorm: 1 });
  const batches = [1, 3].map((images) => Tensor.zeros(gpu, [images, 3, 8, 8]));
  const architectures = [space.max, space.min];
  const all = await measureLatencies(encoder, architectures, batches, {
    signal: new AbortController().signal,
  });
  for (const latencies of all) {
    assertEquals(latencies.map(({ batch, rounds }) => [batch, rounds]), [[1, latencyRounds], [
      3,
      latencyRounds,
    ]]);
    for (const { msPerImage, lowerQuartile, upperQuartile } of latencies) {
      assert(0 < lowerQuartile && lowerQuartile <= msPerImage && msPerImage <= upperQuartile);
    }
  }

  // In turns: stopped after three measurements, the first round is complete and the second is not.
  const stopped = async (after: number) => {
    const controller = new AbortController();
    let measured = 0;
    const onMeasured = () => ++measured === after && controller.abort();
    const found = await measureLatencies(encoder, architectures, batches, {
      signal: controller.signal,
      onMeasured: () => void onMeasured(),
    });
    return found.map((latencies) => latencies.map(({ rounds }) => rounds));
  };
  assertEquals(await stopped(3), [[1, 1], [1, 1]]);
  assertEquals(await stopped(1), [[1, 1], []]);
  for (const batch of batches) batch.release();
});
