/** The kNN baseline on raw pixels, and where it is left out. */
import { assert, assertEquals } from "@std/assert";
import { openRunData } from "../../src/pretrain/run_data.ts";
import { PretrainState } from "../../src/pretrain/state.ts";
import { KnnWatch } from "../../src/pretrain/watch.ts";
import { gpuTest } from "../helpers.ts";
import { collectingHooks, smallRun } from "./small_run.ts";

for (const [imageSize, compared] of [[64, true], [65, false]] as const) {
  gpuTest(
    `raw pixels of ${imageSize}x${imageSize} images are ${compared ? "" : "not "}compared`,
    async (gpu) => {
      const config = smallRun({
        data: { source: "synthetic:24", heldOut: 8, imageSize },
        training: { batch: 8 },
      });
      const data = await openRunData(gpu, config, collectingHooks().hooks);
      const state = new PretrainState(gpu, config);
      await state.initialise();
      const watch = new KnnWatch(state, config, data.knn!);
      const line = await watch.evaluate(0, 0, true);
      assertEquals([line.images, line.bank, line.knnPixels !== undefined], [8, 16, compared]);
      assert(line.knn >= 0 && line.knn <= 1);
      assertEquals((await watch.evaluate(1, 0, false)).knnPixels, undefined);
      state.release();
      data.release();
      assertEquals(gpu.pool.use.used, 0);
    },
  );
}
