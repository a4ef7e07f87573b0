import { assert, assertEquals, assertRejects } from "@std/assert";
import { DataError, TrainingError } from "../../src/errors.ts";
import { fineTuneOnGrid, type GridTask } from "../../src/finetune/grid.ts";
import { classOfRow } from "../../src/finetune/predictions.ts";
import { entriesOf, type FineTuneRates } from "../../src/finetune/settings.ts";
import { tunedModel } from "../../src/finetune/tuned_model.ts";
import { readSafetensors, writeSafetensors } from "../../src/store/safetensors.ts";
import { gpuTest } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";
import { bitsOf, withTask } from "./small_task.ts";

const { signal } = new AbortController();
const good = { learningRate: 0.05, headFactor: 10 };

gpuTest(
  "the choice is made on a split of the training images; a rate that diverges is left out and told",
  async (gpu) => {
    const grid = { learningRates: [1e30, 0.05], headFactors: [10], epochs: 1 };
    await withTask(gpu, grid, async (task) => {
      // Only these images may be looked at; labels of others would be errors.
      const indices = task.indices.filter((index) => index < 40);
      const labels = task.labels.map((label, index) => index < 40 ? label : 1_000_000);
      const seen = new Set<number>();
      const { views } = task.evaluation;
      const evaluation: GridTask["evaluation"] = {
        ...task.evaluation,
        labels,
        indices,
        views: {
          height: views.height,
          width: views.width,
          views: () => Promise.reject(new Error("evaluation trains on nothing")),
          prefetch: () => {},
          ready: () => Promise.resolve(),
          evaluationBatch(wanted) {
            wanted.forEach((index) => seen.add(index));
            return views.evaluationBatch(wanted);
          },
          release: () => {},
        },
      };
      const diverged: FineTuneRates[] = [];
      const parts: number[] = [];
      const tuned = await fineTuneOnGrid(gpu, { ...task, indices, labels, evaluation }, {
        signal,
        onDiverged: (rates) => void diverged.push(rates),
        onPart: (done, total) => void parts.push(done / total),
      });
      using state = tuned.state;
      using _ = tuned.statistics;
      assertEquals(diverged, [{ learningRate: 1e30, headFactor: 10 }]);
      assertEquals(tuned.rates, good);
      assertEquals(tuned.validated.map(({ accuracy }) => accuracy === null), [true, false]);
      assert([...seen].every((index) => index < 40));
      assertEquals([parts.at(-1), parts.every((part, at) => at === 0 || part >= parts[at - 1])], [1, true]);

      // What follows is the training on all of the images with what was chosen.
      const alone = await fineTuneOnGrid(gpu, {
        ...task,
        indices,
        labels,
        evaluation,
        settings: { ...task.settings, learningRates: [0.05] },
      }, { signal });
      using single = alone.state;
      using __ = alone.statistics;
      assertEquals(alone.validated, []);
      assertEquals(await bitsOf(state), await bitsOf(single));
      const names = Array.from({ length: 10 }, (_, at) => `class ${at}`);
      const model = await tunedModel(tuned, names, { images: 40, source: "synthetic:48" });
      assertEquals(model.weights.get("fc.weight")!.shape, [10, 16]);
      assertEquals(model.classes, names);
    });
  },
);

gpuTest("where every rate diverges nothing is trained, and the flag to change is named", async (gpu) => {
  await withTask(gpu, { learningRates: [1e29, 1e30], headFactors: [10], epochs: 1 }, async (task) => {
    const error = await assertRejects(
      () => fineTuneOnGrid(gpu, task, { signal }),
      TrainingError,
      "1e+29, 1e+30",
    );
    assert(error.message.includes("--learning-rates"));
    await withFolder(async (folder) => {
      const path = `${folder}/kept.safetensors`;
      const settings = { ...task.settings, learningRates: [1e30] };
      const alone = { ...task, settings, checkpoint: { path, about: "" } };
      await assertRejects(() => fineTuneOnGrid(gpu, alone, { signal }), TrainingError, "--learning-rates");
      assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
    });
  });
});

gpuTest("a choice that was interrupted goes on with the entries that are left", async (gpu) => {
  const grid = { learningRates: [1e30, 0.01, 0.05], headFactors: [10], epochs: 1 };
  await withTask(gpu, grid, (task) =>
    withFolder(async (folder) => {
      const checkpoint = { path: `${folder}/kept.safetensors`, about: "this one" };
      const outcome = async (tuned: Awaited<ReturnType<typeof fineTuneOnGrid>>) => {
        using state = tuned.state;
        using _ = tuned.statistics;
        return { bits: await bitsOf(state), rates: tuned.rates, validated: tuned.validated };
      };
      const expected = await outcome(await fineTuneOnGrid(gpu, task, { signal }));
      // In the third of the four trainings, then in the last.
      for (const [from, part] of [[0, 0.6], [0.5, 0.85]]) {
        const controller = new AbortController();
        const parts: number[] = [];
        const hooks = {
          signal: controller.signal,
          onPart(done: number, total: number) {
            parts.push(done / total);
            if (done / total > part) controller.abort(new Error("stop"));
          },
        };
        await assertRejects(() => fineTuneOnGrid(gpu, { ...task, checkpoint }, hooks), Error, "stop");
        assert(parts[0] >= from, `begins at ${parts[0]}`);
      }
      const parts: number[] = [];
      const resumed = await fineTuneOnGrid(gpu, { ...task, checkpoint }, {
        signal,
        onPart: (done, total) => void parts.push(done / total),
      });
      assertEquals(await outcome(resumed), expected);
      assert(parts[0] > 0.75, `begins at ${parts[0]}`);
      const { tensors, metadata } = await readSafetensors(checkpoint.path);
      await writeSafetensors(checkpoint.path, tensors, { ...metadata, found: "[{}]" });
      await assertRejects(
        () => fineTuneOnGrid(gpu, { ...task, checkpoint }, { signal }),
        DataError,
        "is damaged",
      );
    }));
});

Deno.test("a grid is every rate with every factor; the class is that of the largest logit", () => {
  assertEquals(entriesOf({ learningRates: [1, 2], headFactors: [3, 4] }), [
    { learningRate: 1, headFactor: 3 },
    { learningRate: 1, headFactor: 4 },
    { learningRate: 2, headFactor: 3 },
    { learningRate: 2, headFactor: 4 },
  ]);
  const logits = { rows: 2, dimension: 2, values: Float32Array.of(1, 1000, Math.log(3), 0) };
  assertEquals(classOfRow(logits, 0), { label: 1, probability: 1 });
  const { label, probability } = classOfRow(logits, 1);
  assertEquals([label, Math.abs(probability - 0.75) < 1e-6], [0, true]);
});
