/** Epochs of the largest architecture alone, before the others join. */
import { assertEquals } from "@std/assert";
import { isStep, readMetrics } from "../../src/store/metrics.ts";
import { gpuTest } from "../helpers.ts";
import { assertSameRun, run, smallRun } from "./small_run.ts";
import { collectingHooks } from "./small_run.ts";
import { startRun } from "../../src/pretrain/pretrain.ts";

gpuTest("the largest architecture trains alone first, and a resumed run keeps to it", async (gpu) => {
  const folder = await Deno.makeTempDir();
  try {
    const config = smallRun({
      sandwich: { aloneEpochs: 1 },
      training: { epochs: 2, batch: 16, logEvery: 1 },
      knn: { every: 0 },
    });
    await run(gpu, `${folder}/whole`, config);
    const steps = (await readMetrics(`${folder}/whole/metrics.jsonl`)).filter(isStep);
    assertEquals(steps.map(({ lossMax }) => lossMax !== undefined), new Array(steps.length).fill(true));
    assertEquals(steps.map(({ lossMin }) => lossMin !== undefined), steps.map(({ epoch }) => epoch >= 1));
    const { hooks } = collectingHooks({ stopAtOnce: true });
    await startRun(gpu, `${folder}/parts`, config, hooks);
    await run(gpu, `${folder}/parts`, "resume");
    await assertSameRun(`${folder}/parts`, `${folder}/whole`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
