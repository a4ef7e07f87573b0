/** Subnets judged by several protocols on the same features. */
import { assertEquals, assertRejects } from "@std/assert";
import { linearDefaults, linearProbe } from "../../src/evaluate/linear.ts";
import { openRunData, type RunData } from "../../src/pretrain/run_data.ts";
import { PretrainState } from "../../src/pretrain/state.ts";
import { KnnWatch } from "../../src/pretrain/watch.ts";
import { WatchedFeatures } from "../../src/pretrain/watched_features.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { Judge } from "../../src/studies/judge.ts";
import { gpuTest } from "../helpers.ts";
import { collectingHooks, smallRun } from "../pretrain/small_run.ts";

async function withRun(
  gpu: Gpu,
  features: "pooled" | "projection",
  use: (judge: Judge, state: PretrainState, data: RunData, read: () => number) => Promise<void>,
): Promise<void> {
  const config = smallRun({
    data: { source: "synthetic:72", heldOut: 24, imageSize: 16, seed: 7 },
    training: { batch: 16, seed: 3 },
    knn: { features },
  });
  const data = await openRunData(gpu, config, collectingHooks().hooks);
  const state = new PretrainState(gpu, config);
  await state.initialise();
  let batches = 0;
  const views = new Proxy(data.views, {
    get(target, name) {
      if (name === "evaluationBatch") batches++;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const { bank, queries } = data.knn!;
  const images = { bank: { ...bank, views }, queries: { ...queries, views } };
  await use(new Judge(state, config, images), state, data, () => batches);
  state.release();
  data.release();
  assertEquals(gpu.pool.use.used, 0);
}

for (const features of ["pooled", "projection"] as const) {
  gpuTest(
    `a subnet is judged by kNN on ${features} features and a linear probe on pooled ones`,
    (gpu) =>
      withRun(gpu, features, async (judge, state, data, read) => {
        const { config, space } = { config: judge.config, space: state.space };
        const subnet = space.min;
        const { knn, linear } = await judge.rightOf(subnet, ["knn", "linear"]);
        // Calibration, bank and queries: one batch each; a second kind of features passes bank and queries again.
        assertEquals(read(), features === "pooled" ? 3 : 5);
        assertEquals(knn, await new KnnWatch(state, config, data.knn!).rightOf(subnet));

        const reader = new WatchedFeatures(state, config, data.knn!.bank);
        const labelled = await reader.recalibrated(subnet, (statistics) =>
          Promise.all([data.knn!.bank, data.knn!.queries].map(async (images) => {
            const { indices, ...rows } = await reader.read(subnet, images, statistics, "pooled");
            return {
              ...rows,
              labels: Int32Array.from(indices, (index) =>
                images.labels[index]),
            };
          })));
        const [bank, queries] = labelled;
        const { predictions } = await linearProbe(bank, queries, { ...linearDefaults, seed: 7 });
        assertEquals(
          linear,
          Uint8Array.from(predictions, (one, at) =>
            Number(one === queries.labels[at])),
        );
        assertEquals((await judge.rightOf(subnet, ["linear"])).linear, linear);
      }),
  );
}

gpuTest(
  "judging ends with the reason of its signal",
  (gpu) =>
    withRun(gpu, "pooled", async (judge, { space }) => {
      const reason = new Error("enough");
      await assertRejects(
        () => judge.rightOf(space.max, ["linear"], AbortSignal.abort(reason)),
        Error,
        "enough",
      );
    }),
);
