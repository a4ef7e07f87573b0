/** Same seed, same bits; and a run that was interrupted equals one that was not. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { resumeRun, startRun } from "../../src/pretrain/pretrain.ts";
import { gpuTest } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";
import { assertSameRun, collectingHooks, metricsLines, run, smallRun } from "./small_run.ts";

gpuTest("the same seed gives the same bits, another seed others", (gpu) =>
  withFolder(async (folder) => {
    const first = await run(gpu, `${folder}/a`, smallRun());
    await run(gpu, `${folder}/b`, smallRun());
    await run(gpu, `${folder}/c`, smallRun({ training: { seed: 2 } }));
    await assertSameRun(`${folder}/b`, `${folder}/a`);
    assertNotEquals(await metricsLines(`${folder}/c`), await metricsLines(`${folder}/a`));

    assertEquals([first.steps, first.epochs, first.interrupted], [6, 2, false]);
    const lines = (await metricsLines(`${folder}/a`)).map((line) => JSON.parse(line));
    // Evaluations before the first and after each epoch; a line every four steps and one of the last steps.
    assertEquals(lines.map(({ step, knn }) => [step, knn !== undefined]), [
      [0, true],
      [3, true],
      [4, false],
      [6, false],
      [6, true],
    ]);
    assertEquals([first.loss, first.knn], [lines[3].loss, lines[4].knn]);
  }));

const variants = {
  "one pass after the other": {},
  "groups of batchnorm, shuffled, and the query's teacher": {
    moco: { batchnormGroups: 2, shuffle: true, teacher: "same-architecture" },
  },
  "a last, smaller batch that is kept, a queue that is no multiple of it": {
    data: { source: "synthetic:56", heldOut: 16 },
    moco: { queue: 37 },
    training: { lastBatch: "keep" },
  },
};

for (const [name, changes] of Object.entries(variants)) {
  gpuTest(
    `interrupted after every step and resumed, a run is the same: ${name}`,
    (gpu) =>
      withFolder(async (folder) => {
        const config = smallRun(changes);
        const whole = await run(gpu, `${folder}/whole`, config);
        const path = `${folder}/parts`;
        let outcome = await startRun(gpu, path, config, collectingHooks({ stopAtOnce: true }).hooks);
        assertEquals(outcome.steps, 1);
        for (let step = 2; step <= whole.steps; step++) {
          assert(outcome.interrupted);
          outcome = await resumeRun(gpu, path, {}, collectingHooks({ stopAtOnce: true }).hooks);
          assertEquals(outcome.steps, step);
        }
        // The last step is done, its evaluation was interrupted, too.
        assert(outcome.interrupted);
        outcome = await run(gpu, path, "resume");
        assert(!outcome.interrupted);
        await assertSameRun(path, `${folder}/whole`);
        assertEquals([outcome.loss, outcome.knn], [whole.loss, whole.knn]);

        // Nothing is left to do, and nothing changes.
        await run(gpu, path, "resume");
        await assertSameRun(path, `${folder}/whole`);
      }),
  );
}

gpuTest("what a killed process leaves half written does not disturb", (gpu) =>
  withFolder(async (folder) => {
    await run(gpu, `${folder}/whole`, smallRun());
    const path = `${folder}/killed`;
    await startRun(gpu, path, smallRun(), collectingHooks({ stopAtOnce: true }).hooks);
    const checkpoints = `${path}/checkpoints`;
    const checkpoint = await Deno.readFile(`${checkpoints}/last.safetensors`);
    await Deno.writeFile(`${checkpoints}/last.safetensors.partial`, checkpoint.subarray(0, 1000));
    await Deno.writeFile(`${checkpoints}/epoch-1.safetensors.partial`, checkpoint.subarray(0, 2000));
    // Lines of steps after the checkpoint, and one that breaks off.
    const late = { step: 3, epoch: 1, knn: 0.5, images: 16, bank: 48 };
    await Deno.writeTextFile(
      `${path}/metrics.jsonl`,
      `${JSON.stringify(late)}\n{"step":4,"epoch":1,"lo`,
      { append: true },
    );
    await run(gpu, path, "resume");
    await assertSameRun(path, `${folder}/whole`);
  }));

gpuTest(
  "a run that was killed before its first checkpoint starts anew",
  (gpu) =>
    withFolder(async (folder) => {
      await run(gpu, `${folder}/whole`, smallRun());
      const path = `${folder}/killed`;
      await startRun(gpu, path, smallRun(), collectingHooks({ stopAtOnce: true }).hooks);
      await Deno.remove(`${path}/checkpoints/last.safetensors`);
      await run(gpu, path, "resume");
      await assertSameRun(path, `${folder}/whole`);
    }),
);
