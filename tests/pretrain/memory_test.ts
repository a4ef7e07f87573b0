/** Device memory stays where it is, whatever architecture comes up. */
import { assert, assertEquals } from "@std/assert";
import { startRun } from "../../src/pretrain/pretrain.ts";
import { gpuTest } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";
import { collectingHooks, smallRun } from "./small_run.ts";

gpuTest(
  "no memory is added after thirty steps of random architectures, and all is given back",
  (gpu) =>
    withFolder(async (folder) => {
      const config = smallRun({
        data: { source: "synthetic:240", heldOut: 0 },
        sandwich: { largest: false, smallest: false, random: 2 },
        training: { batch: 8, epochs: 2 },
        knn: { every: 0 },
      });
      const held = new Map<number, { bytes: number; buffers: number }>();
      const onSteps = (step: number) => {
        held.set(step, { bytes: gpu.pool.use.held, buffers: gpu.pool.use.buffers });
      };
      const { steps } = await startRun(gpu, `${folder}/run`, config, collectingHooks({ onSteps }).hooks);
      assertEquals(steps, 60);
      assert(held.get(30)!.bytes > 0);
      assertEquals(held.get(60), held.get(30));
      assertEquals(gpu.pool.use.used, 0);
    }),
);
