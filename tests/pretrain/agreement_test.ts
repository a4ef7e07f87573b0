/** Agreement of two views, and of the smallest architecture with the teacher, as runs measure them. */
import { assert, assertAlmostEquals, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import type { Config } from "../../src/config/schema.ts";
import { extractFeatures } from "../../src/evaluate/features.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { Agreement } from "../../src/pretrain/agreement.ts";
import { CollapseAlarm } from "../../src/pretrain/collapse_alarm.ts";
import { startRun } from "../../src/pretrain/pretrain.ts";
import { openRunData, type RunData } from "../../src/pretrain/run_data.ts";
import { PretrainState } from "../../src/pretrain/state.ts";
import { SpreadWatch } from "../../src/pretrain/watch.ts";
import { evaluationBatches } from "../../src/pretrain/watched_features.ts";
import { rankSubnets } from "../../src/search/rank_subnets.ts";
import { type EvaluationMetrics, isEvaluation, readMetrics } from "../../src/store/metrics.ts";
import { readSafetensors } from "../../src/store/safetensors.ts";
import { gpuTest, randomValues } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";
import { collectingHooks, run, smallRun } from "./small_run.ts";

/** A run that holds nothing out, ready to be watched, whose encoders differ. */
async function prepared(
  gpu: Gpu,
  config: Config,
  use: (state: PretrainState, data: RunData) => Promise<void>,
): Promise<void> {
  const data = await openRunData(gpu, config, collectingHooks().hooks);
  const state = new PretrainState(gpu, config);
  await state.initialise();
  const { values } = state.momentumEncoder!.weights;
  for (const [name, tensor] of values.entries()) {
    const noise = randomValues(tensor.length, name.length);
    tensor.write((await tensor.read()).map((value, at) => value + 0.05 * noise[at]));
  }
  try {
    await use(state, data);
  } finally {
    state.release();
    data.release();
  }
  assertEquals(gpu.pool.use.used, 0);
}

const unlabelled = { source: "synthetic:24", heldOut: 0 };

gpuTest(
  "alignment is the mean squared distance of two views' normalised features",
  (gpu) =>
    prepared(gpu, smallRun({ data: unlabelled, training: { batch: 8 } }), async (state, data) => {
      const { encoder, space } = state;
      const { statistics } = encoder;
      const found = await new Agreement(state, state.config, data.bank!).measure(statistics);
      assertEquals(found!.images, 24);
      const [first, second] = await data.views.views(2 ** 32 - 1, [data.train, data.train]);
      const features = [
        await extractFeatures(encoder, space.max, "pooled", [first], statistics),
        await extractFeatures(encoder, space.max, "pooled", [second], statistics),
      ];
      const { rows, dimension } = features[0];
      let sum = 0;
      for (let row = 0; row < rows; row++) {
        const [x, y] = features.map((
          { values },
        ) => [...values.slice(row * dimension, (row + 1) * dimension)]);
        const [a, b] = [Math.hypot(...x), Math.hypot(...y)];
        sum += x.reduce((total, value, at) => total + (value / a - y[at] / b) ** 2, 0);
      }
      assert(sum > 0);
      assertAlmostEquals(found!.alignment!, sum / rows, 1e-5 * sum / rows);
    }),
);

gpuTest(
  "the smallest's likeness to the teacher is the score that a search gives it",
  (gpu) =>
    prepared(gpu, smallRun({ data: unlabelled, training: { batch: 8 } }), async (state, data) => {
      const { space, encoder, momentumEncoder } = state;
      const found = await new Agreement(state, state.config, data.bank!).measure(undefined);
      const { candidates } = (await rankSubnets(gpu, {
        student: encoder,
        teacher: momentumEncoder!,
        images: {
          source: "the images",
          count: data.train.length,
          async load(first, end) {
            for await (const images of evaluationBatches(data.views, data.train.subarray(first, end), 64)) {
              return images;
            }
            throw new Error("no images");
          },
          digest: () => Promise.resolve(""),
        },
        imageSize: 16,
        candidates: [space.min],
        similarity: { metric: "cosine" },
      })).ranking!;
      assertAlmostEquals(found!.smallest!, candidates[0].score, 1e-5);
      assert(Math.abs(found!.smallest!) < 0.999);
    }),
);

gpuTest(
  "an evaluation changes nothing, and finds the same again",
  (gpu) =>
    prepared(gpu, smallRun({ data: unlabelled, training: { batch: 8 } }), async (state, data) => {
      const contents = async () => {
        const values: number[] = [];
        for (const one of [state.encoder, state.momentumEncoder!]) {
          for (const [, tensor] of one.statistics.arena.entries()) values.push(...await tensor.read());
        }
        return values;
      };
      const before = await contents();
      const watch = new SpreadWatch(state, state.config, data.bank!);
      const lines = [await watch.evaluate(0, 0), await watch.evaluate(0, 0)];
      assertEquals(lines[0], lines[1]);
      assertEquals(await contents(), before);
    }),
);

gpuTest("views that are not augmented, and one architecture, have nothing to compare", async (gpu) => {
  const measured = async (changes: Parameters<typeof smallRun>[0]) => {
    let keys: string[] | undefined;
    await prepared(
      gpu,
      smallRun({ data: unlabelled, training: { batch: 8 }, ...changes }),
      async (state, data) => {
        const found = await new Agreement(state, state.config, data.bank!).measure(undefined);
        keys = found && Object.keys(found);
      },
    );
    return keys;
  };
  const single = { widths: [[4], [8], [8], [12]] };
  assertEquals(await measured({}), ["images", "alignment", "smallest"]);
  assertEquals(await measured({ augmentation: "none" }), ["images", "smallest"]);
  assertEquals(await measured({ space: single }), ["images", "alignment"]);
  assertEquals(await measured({ space: single, augmentation: "none" }), undefined);
});

gpuTest(
  "an objective without a momentum encoder has no teacher to be like",
  (gpu) =>
    prepared(gpu, smallRun({ data: unlabelled, training: { batch: 8 } }), async (state, data) => {
      const { space, encoder } = state;
      const found = await new Agreement({ gpu, space, encoder }, state.config, data.bank!).measure(undefined);
      assertEquals(Object.keys(found!), ["images", "alignment"]);
    }),
);

gpuTest(
  "features that are not finite are null in every measure",
  (gpu) =>
    prepared(gpu, smallRun({ data: unlabelled, training: { batch: 8 } }), async (state, data) => {
      const weight = state.encoder.weights.values.get("layer4.0.bn2.weight");
      weight.write(new Float32Array(weight.length).fill(NaN));
      const line = await new SpreadWatch(state, state.config, data.bank!).evaluate(1, 1);
      assertEquals([line.spread, line.agreement], [null, { images: 24, alignment: null, smallest: null }]);
    }),
);

gpuTest("being watched leaves the weights as they are, byte for byte", (gpu) =>
  withFolder(async (folder) => {
    const weights: Map<string, unknown>[] = [];
    for (const every of [0, 1]) {
      await run(
        gpu,
        `${folder}/${every}`,
        smallRun({ data: { ...unlabelled, source: "synthetic:48" }, knn: { every } }),
      );
      const { tensors } = await readSafetensors(`${folder}/${every}/checkpoints/last.safetensors`);
      weights.push(tensors);
    }
    assertEquals(weights[0], weights[1]);
    assertEquals((await readMetrics(`${folder}/0/metrics.jsonl`)).filter(isEvaluation), []);
    const lines = (await readMetrics(`${folder}/1/metrics.jsonl`)).filter(isEvaluation);
    assertEquals(
      lines.map(({ agreement }) => Object.keys(agreement!)),
      Array(3).fill(["images", "alignment", "smallest"]),
    );
    assertNotEquals(lines[0].agreement, lines[2].agreement);
  }));

gpuTest(
  "a run whose features collapse says so while it goes on, once",
  (gpu) =>
    withFolder(async (folder) => {
      // A weight decay that leaves hardly anything of the weights.
      const config = smallRun({
        data: unlabelled,
        training: { batch: 8, epochs: 4 },
        optimizer: { learningRate: 0.9, weightDecay: 1, momentum: 0, schedule: "constant" },
        moco: { momentum: 0.5 },
      });
      const { hooks, warnings } = collectingHooks();
      await startRun(gpu, `${folder}/run`, config, hooks);
      const said = warnings.filter((text) => text.includes("have collapsed"));
      assertEquals(said.length, 1, warnings.join("\n"));
      assertStringIncludes(said[0], "After 1 epoch: The features have collapsed");
      assertStringIncludes(said[0], "optimizer.weightDecay");
    }),
);

Deno.test("the alarm is raised anew when features collapse anew, and not for a run that was collapsed", () => {
  const line = (step: number, effectiveRank: number): EvaluationMetrics => ({
    ...{ step, epoch: step },
    spread: { images: 64, dimension: 64, effectiveRank, meanCosine: 0.5, deadShare: 0 },
  });
  const alarm = new CollapseAlarm([]);
  const heard = [20, 1.5, 1.2, 20, 1.4].map((rank, step) => alarm.hear(line(step, rank)) !== undefined);
  assertEquals(heard, [false, true, false, false, true]);
  assertEquals(new CollapseAlarm([line(0, 20), line(1, 1.5)]).hear(line(2, 1.2)), undefined);
});
