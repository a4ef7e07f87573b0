import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import { fineTune, type FineTuneTask } from "../../src/finetune/fine_tune.ts";
import { batchFor } from "../../src/finetune/settings.ts";
import { openTrainingViews } from "../../src/finetune/training_images.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { readSafetensors, writeSafetensors } from "../../src/store/safetensors.ts";
import { gpuTest } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";
import { bitsOf, smallModel, withTask } from "./small_task.ts";

const rates = { learningRate: 0.05, headFactor: 10 };
const { signal } = new AbortController();

async function bits(gpu: Gpu, task: FineTuneTask): Promise<Map<string, number[]>> {
  using state = await fineTune(gpu, task, rates, { signal });
  return await bitsOf(state);
}

gpuTest(
  "the same seed gives the same bits, another one others; the head's rate is a factor of the network's",
  async (gpu) => {
    await withTask(gpu, {}, async (task) => {
      const once = await bits(gpu, task);
      assertEquals(await bits(gpu, task), once);
      assertNotEquals(await bits(gpu, { ...task, settings: { ...task.settings, seed: 2 } }), once);
      assert(once.has("encoder.fc.weight") && once.has("optimizer.momentum.encoder.conv1.weight"));

      // With so low a rate the network stays; its classifier, whose rate is a thousand times that, does not.
      const { model } = task;
      const slow = { learningRate: 1e-12, headFactor: 1e11 };
      using state = await fineTune(gpu, task, slow, { signal });
      const { values } = state.objective.encoder.weights;
      assertEquals(await values.get("conv1.weight").read(), model.weights.get("conv1.weight")!.data);
      using fresh = await fineTune(gpu, task, { ...slow, headFactor: 1 }, { signal });
      assertNotEquals(
        await values.get("fc.weight").read(),
        await fresh.objective.encoder.weights.values.get("fc.weight").read(),
      );
    });
  },
);

gpuTest("interrupted and resumed equals uninterrupted, bit for bit", async (gpu) => {
  await withTask(gpu, {}, (task) =>
    withFolder(async (folder) => {
      const expected = await bits(gpu, task);
      const checkpoint = { path: `${folder}/kept.safetensors`, about: "this one" };
      for (const stopAt of [1, 4]) {
        const controller = new AbortController();
        const stop = new Error("stop");
        const hooks = {
          signal: controller.signal,
          onPart: (done: number) => void (done >= stopAt && controller.abort(stop)),
        };
        const failed = await assertRejects(() => fineTune(gpu, { ...task, checkpoint }, rates, hooks), Error);
        assertEquals(failed, stop);
        const { metadata } = await readSafetensors(checkpoint.path);
        assert(Number(metadata.step) >= stopAt && Number(metadata.step) < 12, metadata.step);
      }
      const steps: number[] = [];
      using state = await fineTune(gpu, { ...task, checkpoint }, rates, {
        signal,
        onPart: (step) => void steps.push(step),
      });
      assert(steps[0] >= 4, `begins at step ${steps[0]}`);
      assertEquals(await bitsOf(state), expected);
    }));
});

gpuTest("what is kept of another fine-tuning, or is damaged, is refused", async (gpu) => {
  await withTask(gpu, { epochs: 1 }, (task) =>
    withFolder(async (folder) => {
      const path = `${folder}/kept.safetensors`;
      const go = (about: string) => bits(gpu, { ...task, checkpoint: { path, about } });
      await go("these weights");
      await assertRejects(() => go("other weights"), DataError, "other images, settings or weights");
      const { tensors, metadata } = await readSafetensors(path);
      for (const [name, value] of [["format", "another"], ["step", "many"], ["losses", "{}"]]) {
        await writeSafetensors(path, tensors, { ...metadata, [name]: value });
        await assertRejects(() => go("these weights"), DataError, "damaged");
      }
      const fewer = new Map(tensors);
      fewer.delete("encoder.fc.bias");
      await writeSafetensors(path, fewer, metadata);
      await assertRejects(() => go("these weights"), DataError, "encoder.fc.bias");
      const bytes = await Deno.readFile(path);
      bytes[bytes.length - 5] ^= 1;
      await Deno.writeFile(path, bytes);
      await assertRejects(() => go("these weights"), DataError);
    }));
});

gpuTest("a model with a classifier is given a new one", async (gpu) => {
  await withTask(gpu, { epochs: 1 }, async (task) => {
    const weights = new Map(task.model.weights);
    weights.set("fc.weight", { dtype: "F32", shape: [2, 16], data: new Float32Array(32) });
    weights.set("fc.bias", { dtype: "F32", shape: [2], data: new Float32Array(2) });
    const model = { ...task.model, classes: ["a", "b"], weights };
    assertEquals(await bits(gpu, { ...task, model }), await bits(gpu, task));
    assertNotEquals(await bits(gpu, { ...task, model: await smallModel(gpu, 2) }), await bits(gpu, task));
  });
});

gpuTest("an image that stands in for a broken one has its own label", async (gpu) => {
  await withTask(gpu, { epochs: 1 }, async (task) => {
    // As if image 3 were seen in place of image 5.
    const shown = (index: number) => index === 5 ? 3 : index;
    const labels = task.labels.map((_, index) => task.labels[shown(index)]);
    assertNotEquals(labels, task.labels);
    assertEquals(await bits(gpu, { ...task, shown }), await bits(gpu, { ...task, labels }));
    assertNotEquals(await bits(gpu, { ...task, shown }), await bits(gpu, task));
  });
  await withFolder(async (folder) => {
    const { default: sharp } = await import("sharp");
    for (const name of ["a/0", "a/1", "b/0"]) {
      await Deno.mkdir(`${folder}/${name[0]}`, { recursive: true });
      const create = { width: 16, height: 16, channels: 3, background: "#806040" } as const;
      await Deno.writeFile(`${folder}/${name}.png`, await sharp({ create }).png().toBuffer());
    }
    await Deno.writeTextFile(`${folder}/a/1.png`, "no picture");
    const warnings: string[] = [];
    const { input } = await smallModel(gpu);
    const request = { data: folder, input, dataSeed: 1, seed: 1, pool: Uint32Array.of(0, 1, 2) };
    const training = await openTrainingViews(gpu, {
      ...request,
      onWarning: (text) => void warnings.push(text),
    });
    assertEquals([0, 1, 2].map((index) => training.shown(index)), [0, 2, 2]);
    training.release();
    assertEquals(warnings.length, 1);
  });
});

Deno.test("a step has an eighth of the images at most, eight at least, and no more than there are", () => {
  assertEquals(
    [[256, 10_000], [256, 800], [256, 40], [256, 5], [4, 40], [64, 100]].map(([batch, images]) =>
      batchFor(batch, images)
    ),
    [256, 100, 8, 5, 4, 12],
  );
});
