/** What a run is watched by: kNN with its baseline on raw pixels, the spread of features, the sheet of neighbours. */
import { assert, assertEquals } from "@std/assert";
import { neighbourSheet } from "../../src/pretrain/neighbours.ts";
import { startRun } from "../../src/pretrain/pretrain.ts";
import { openRunData } from "../../src/pretrain/run_data.ts";
import { PretrainState } from "../../src/pretrain/state.ts";
import { KnnWatch, SpreadWatch } from "../../src/pretrain/watch.ts";
import { isKnn, readMetrics } from "../../src/store/metrics.ts";
import { gpuTest } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";
import { collectingHooks, run, smallRun } from "./small_run.ts";

for (const imageSize of [64, 65]) {
  gpuTest(`kNN is compared with raw pixels of ${imageSize}x${imageSize} images`, async (gpu) => {
    const config = smallRun({
      data: { source: "synthetic:24", heldOut: 8, imageSize },
      training: { batch: 8 },
    });
    const data = await openRunData(gpu, config, collectingHooks().hooks);
    const state = new PretrainState(gpu, config);
    await state.initialise();
    const watch = new KnnWatch(state, config, data.knn!);
    const line = await watch.evaluate(0, 0, true);
    assertEquals([line.images, line.bank, line.knnPixels !== undefined], [8, 16, true]);
    assert(line.knn >= 0 && line.knn <= 1);
    assertEquals([line.spread!.images, line.spread!.dimension], [8, 12]);
    assert(line.spread!.effectiveRank > 1 && line.spread!.effectiveRank <= 8);
    assertEquals((await watch.evaluate(1, 0, false)).knnPixels, undefined);
    state.release();
    data.release();
    assertEquals(gpu.pool.use.used, 0);
  });
}

gpuTest(
  "nothing held out: the spread is that of training images, and neighbours leave out the image itself",
  async (gpu) => {
    const config = smallRun({ data: { source: "synthetic:24", heldOut: 0 }, training: { batch: 8 } });
    const data = await openRunData(gpu, config, collectingHooks().hooks);
    const state = new PretrainState(gpu, config);
    await state.initialise();
    assertEquals(data.knn, undefined);
    const line = await new SpreadWatch(state, config, data.bank!).evaluate(3, 1);
    assertEquals([line.step, line.epoch, isKnn(line), line.spread!.images], [3, 1, false, 24]);

    const sheet = await neighbourSheet(state, config, data.bank!, undefined);
    assertEquals([sheet.bank, sheet.heldOut, sheet.rows.length], [24, false, 10]);
    for (const { name, picture, neighbours } of sheet.rows) {
      assert(picture.startsWith("data:image/jpeg;base64,"));
      assertEquals(neighbours.length, 6);
      assert(neighbours.every((neighbour) => neighbour.name !== name));
      const cosines = neighbours.map(({ cosine }) => cosine);
      assertEquals(cosines, cosines.toSorted((a, b) => b - a));
      // The synthetic images have classes, and marks.
      assert(neighbours.every(({ sameClass }) => typeof sameClass === "boolean"));
    }
    state.release();
    data.release();
    assertEquals(gpu.pool.use.used, 0);
  },
);

gpuTest("held-out images are the queries of the sheet", async (gpu) => {
  const config = smallRun();
  const data = await openRunData(gpu, config, collectingHooks().hooks);
  const state = new PretrainState(gpu, config);
  await state.initialise();
  const sheet = await neighbourSheet(state, config, data.bank!, data.knn!.queries);
  assertEquals([sheet.bank, sheet.heldOut], [48, true]);
  const heldOut = new Set(Array.from(data.knn!.queries.indices, (index) => `image ${index}`));
  for (const { name, neighbours } of sheet.rows) {
    assert(heldOut.has(name));
    assert(neighbours.every((neighbour) => !heldOut.has(neighbour.name)));
  }
  state.release();
  data.release();
});

gpuTest(
  "a run that holds nothing out logs its spread at the epochs of kNN, and goes on after them",
  (gpu) =>
    withFolder(async (folder) => {
      const config = smallRun({ data: { source: "synthetic:48", heldOut: 0 }, knn: { every: 1 } });
      const outcome = await run(gpu, `${folder}/run`, config);
      const lines = await readMetrics(`${folder}/run/metrics.jsonl`);
      const measured = lines.filter((line) => "spread" in line);
      assertEquals(measured.map(({ epoch, step }) => [epoch, step]), [[0, 0], [1, 3], [2, 6]]);
      assertEquals([outcome.knn, outcome.neighbours!.rows.length], [undefined, 10]);
      await run(gpu, `${folder}/run`, "resume");
      assertEquals(await readMetrics(`${folder}/run/metrics.jsonl`), lines);
    }),
);

gpuTest(
  "a user who no longer waits when the run is done gets it without the sheet",
  (gpu) =>
    withFolder(async (folder) => {
      const controller = new AbortController();
      const { hooks } = collectingHooks();
      const outcome = await startRun(gpu, `${folder}/run`, smallRun(), {
        ...hooks,
        signal: controller.signal,
        onEvaluation: ({ epoch }) => void (epoch === 2 && controller.abort(new Error("enough"))),
      });
      assertEquals([outcome.steps, outcome.interrupted, outcome.neighbours], [6, false, undefined]);
      assertEquals(gpu.pool.use.used, 0);
    }),
);
