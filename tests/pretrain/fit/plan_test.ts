import { assert, assertEquals, assertRejects } from "@std/assert";
import sharp from "sharp";
import { parseSettings } from "../../../src/config/load.ts";
import { parseSet } from "../../../src/config/overrides.ts";
import { ConfigurationError } from "../../../src/errors.ts";
import { planRun } from "../../../src/pretrain/dry_run.ts";
import { withUsualBatch } from "../../../src/pretrain/fit/fit.ts";
import { startRun } from "../../../src/pretrain/pretrain.ts";
import { gpuTest } from "../../helpers.ts";
import { withFolder } from "../../store/with_folder.ts";
import { assertSameRun, collectingHooks, run, smallConfig, smallRun } from "../small_run.ts";

/** The small networks with nothing given that images and device can decide about. */
function openSettings(...sets: string[]) {
  const { space, head } = smallConfig;
  return parseSettings({ space, head, data: { imageSize: 16 } }, "test", sets.map(parseSet));
}

Deno.test("where the images are not known, the batch is the device's", () => {
  assertEquals(withUsualBatch(openSettings(), true).training.batch, 64);
  assertEquals(withUsualBatch(openSettings(), false).training.batch, 256);
  assertEquals(withUsualBatch(openSettings("moco.queue=24"), true).training.batch, 24);
  assertEquals(withUsualBatch(openSettings("training.batch=8"), true).training.batch, 8);
});

gpuTest("everything that is open is decided, and said with its reason", async (gpu) => {
  const { config, plan } = await planRun(gpu, openSettings("data.source=synthetic:1000"));
  assert(!JSON.stringify(config).includes("auto"));
  assertEquals([config.data.heldOut, config.knn.bank, config.knn.neighbours], [200, 800, 40]);
  assertEquals([config.training.batch, config.moco.queue, config.optimizer.learningRate], [16, 192, 0.03]);
  assertEquals(plan.automatic.map(({ field }) => field).sort(), [
    "data.heldOut",
    "data.workers",
    "knn.bank",
    "knn.neighbours",
    "moco.queue",
    "optimizer.learningRate",
    "training.batch",
    "training.epochs",
  ]);
  assert(plan.automatic.every(({ reason }) => reason.length > 8));
  assertEquals(plan.images, { training: 800, heldOut: 200 });
  assertEquals(plan.steps, 50 * config.training.epochs);
  assert(plan.secondsPerStep! > 0 && plan.seconds! >= plan.steps * plan.secondsPerStep! * 0.99);
  assert(Date.parse(plan.ends!) > Date.now());
});

gpuTest("what is given stays, and the rest goes with it", async (gpu) => {
  const settings = openSettings(
    "data.source=synthetic:1000",
    "training.batch=20",
    "training.epochs=3",
    "data.heldOut=0",
    "optimizer.learningRate=0.5",
  );
  const { config, plan } = await planRun(gpu, settings);
  assertEquals([config.training.batch, config.training.epochs, config.data.heldOut], [20, 3, 0]);
  assertEquals([config.optimizer.learningRate, config.moco.queue], [0.5, 240]);
  assert(plan.automatic.every(({ field }) => !/batch|epochs|heldOut|learningRate/.test(field)));
  const queue = await planRun(
    gpu,
    openSettings("data.source=synthetic:1000", "moco.queue=12", "training.epochs=1"),
  );
  assertEquals(queue.config.training.batch, 12);
  await assertRejects(
    () => planRun(gpu, openSettings("data.source=synthetic:100", "training.batch=200", "training.epochs=1")),
    ConfigurationError,
    "training.batch",
  );
});

gpuTest("a run without keys has no queue to decide about", async (gpu) => {
  const given = [
    "data.source=synthetic:100",
    "moco.queue=4",
    "training.epochs=1",
    "distillation.teacher=self",
  ];
  const { config, plan } = await planRun(gpu, openSettings(...given));
  assertEquals([config.training.batch, plan.memory.device.queue], [16, 0]);
  const open = await planRun(gpu, openSettings(...given, "moco.queue=auto"));
  assert(open.plan.automatic.every(({ field }) => field !== "moco.queue"));
});

gpuTest(
  "a flat folder of few images fits from the start to the last step",
  (gpu) =>
    withFolder(async (folder) => {
      await Deno.mkdir(`${folder}/flat`);
      for (let number = 0; number < 20; number++) {
        const background = { r: 12 * number, g: 80, b: 100 };
        const image = sharp({ create: { width: 24, height: 20, channels: 3, background } });
        await Deno.writeFile(`${folder}/flat/${number}.png`, await image.png().toBuffer());
      }
      const settings = {
        ...openSettings("training.epochs=2"),
        data: { ...openSettings().data, source: `${folder}/flat` },
      };
      const { config, plan } = await planRun(gpu, settings, { unmeasuredSteps: 8 });
      assertEquals([config.data.heldOut, config.training.batch, config.moco.queue], [0, 16, 16]);
      assertEquals([plan.steps, plan.secondsPerStep, plan.seconds, plan.ends], [2, null, null, null]);
      assert(plan.automatic.every(({ field }) => !field.startsWith("knn.")));
      const { hooks, warnings } = collectingHooks();
      const outcome = await startRun(gpu, `${folder}/run`, config, hooks);
      assertEquals([outcome.steps, warnings.filter((text) => !text.includes("moco.queue"))], [2, []]);
    }),
);

gpuTest(
  "measuring leaves no trace: the run has the bits that it has without",
  (gpu) =>
    withFolder(async (folder) => {
      const config = smallRun();
      await run(gpu, `${folder}/before`, config);
      const { used } = gpu.pool.use;
      await planRun(gpu, config);
      assertEquals(gpu.pool.use.used, used);
      await run(gpu, `${folder}/after`, config);
      await assertSameRun(`${folder}/after`, `${folder}/before`);
    }),
);
