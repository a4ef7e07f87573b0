/** Whole runs with a teacher: interrupted and resumed the same, searched, and refused when the teacher has changed. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Config } from "../../../src/config/schema.ts";
import { LoadedImages } from "../../../src/data/loaded_images.ts";
import { DataError } from "../../../src/errors.ts";
import type { RunData } from "../../../src/pretrain/run_data.ts";
import { openTeacher, withTeacherDimension } from "../../../src/pretrain/teacher/teacher.ts";
import { planRun } from "../../../src/pretrain/dry_run.ts";
import { openEncoder } from "../../../src/pretrain/encoder_file.ts";
import { resumeRun, startRun } from "../../../src/pretrain/pretrain.ts";
import { rankSubnets } from "../../../src/search/rank_subnets.ts";
import { readSafetensors, writeSafetensors } from "../../../src/store/safetensors.ts";
import { gpuTest, randomValues } from "../../helpers.ts";
import { withFolder } from "../../store/with_folder.ts";
import { assertSameRun, collectingHooks, metricsLines, run, smallRun } from "../small_run.ts";

/** Features of 64 images, of a dimension that no tile divides. */
async function writeFeatures(path: string, seed: number): Promise<string> {
  await writeSafetensors(path, [
    ["features", { dtype: "F32", shape: [64, 11], data: randomValues(64 * 11, seed) }],
  ], {});
  return `features:${path}`;
}

/** Starts a run, stops it after each wait for the device, and resumes it until it is done. */
async function assertResumes(gpu: Parameters<typeof run>[0], folder: string, config: Config): Promise<void> {
  const whole = await run(gpu, `${folder}/whole`, config);
  const path = `${folder}/parts`;
  let outcome = await startRun(gpu, path, config, collectingHooks({ stopAtOnce: true }).hooks);
  for (let part = 0; outcome.interrupted && part < 10; part++) {
    outcome = await resumeRun(gpu, path, {}, collectingHooks({ stopAtOnce: true }).hooks);
  }
  assertEquals(outcome.steps, whole.steps);
  await assertSameRun(path, `${folder}/whole`);
}

gpuTest(
  "a teacher alone: no queue; resumed the same; search compares what the teacher taught",
  (gpu) =>
    withFolder(async (folder) => {
      const teacher = await writeFeatures(`${folder}/f.safetensors`, 1);
      // A queue that is smaller than the batch does not matter where there is none.
      const config = smallRun({
        distillation: { teacher },
        moco: { queue: 1 },
        training: { epochs: 1, logEvery: 2 },
        knn: { features: "projection" },
      });
      const { plan } = await planRun(gpu, config);
      assertEquals([plan.memory.device.queue, plan.memory.host.teacher], [0, 4 * 64 * 11]);
      await assertResumes(gpu, folder, config);
      const path = `${folder}/whole/checkpoints/last.safetensors`;
      const { tensors } = await readSafetensors(path);
      assertEquals([...tensors.keys()].filter((name) => /queue|fc/.test(name)), []);
      assertEquals(tensors.get("encoder_k.distillation.weight")!.shape, [11, 12]);
      assert((await metricsLines(`${folder}/whole`)).every((line) => !line.includes("lossTerms")));

      const { encoder: student } = await openEncoder(gpu, path, "encoder_q");
      const { encoder: average } = await openEncoder(gpu, path, "encoder_k");
      using images = await LoadedImages.open(gpu, "synthetic:24", { imageSize: 16 });
      const { ranking, tree } = await rankSubnets(gpu, {
        student,
        teacher: average,
        images,
        imageSize: 16,
        candidates: [...student.network.space.enumerate()] as never,
        similarity: { metric: "cosine" },
      });
      assertEquals(tree.places.map(({ name }) => name), ["projection"]);
      const scores = ranking!.candidates.map(({ score }) => score);
      assertEquals(scores.length, 4);
      assert(scores.every((score) => score > -1 && score <= 1) && new Set(scores).size > 1, scores.join());
      student.release();
      average.release();
    }),
);

gpuTest(
  "a teacher beside momentum contrast: each term is told, resumed the same; another teacher is refused",
  (gpu) =>
    withFolder(async (folder) => {
      const file = `${folder}/f.safetensors`;
      const teacher = await writeFeatures(file, 1);
      const config = smallRun({
        distillation: { teacher, moco: 0.5, weight: 2 },
        training: { epochs: 1, logEvery: 2 },
      });
      await assertResumes(gpu, folder, config);
      const lines = (await metricsLines(`${folder}/whole`)).map((line) => JSON.parse(line));
      const logged = lines.filter(({ loss }) => loss !== undefined);
      assertEquals(logged.length, 2);
      for (const { loss, lossTerms: { moco, distillation } } of logged) {
        assert(Math.abs(loss - (0.5 * moco + 2 * distillation)) < 1e-5 * loss, `${loss}`);
        assert(distillation > 0 && distillation < 2);
      }
      const { tensors } = await readSafetensors(`${folder}/whole/checkpoints/last.safetensors`);
      assertEquals(tensors.get("queue")!.shape, [32, 8]);
      assertEquals(tensors.get("encoder_q.distillation.weight")!.shape, [11, 12]);
      assert(tensors.has("encoder_q.fc.weight"));

      await writeFeatures(file, 2);
      const { hooks } = collectingHooks();
      await assertRejects(
        () => resumeRun(gpu, `${folder}/whole`, {}, hooks),
        DataError,
        "no longer gives the features that the run began with",
      );
    }),
);

gpuTest(
  "the network that a run begins with is kept in its checkpoints",
  (gpu) =>
    withFolder(async (folder) => {
      const config = smallRun({ distillation: { teacher: "self" }, training: { epochs: 1, logEvery: 2 } });
      await assertResumes(gpu, folder, config);
      const { tensors } = await readSafetensors(`${folder}/whole/checkpoints/last.safetensors`);
      const own = [...tensors.keys()].filter((name) => name.startsWith("teacher."));
      assert(own.includes("teacher.conv1.weight"));
      assertEquals(own.filter((name) => /distillation|running/.test(name)), []);
    }),
);

gpuTest(
  "where another image stands in for one that broke meanwhile, its own features are learned",
  (gpu) =>
    withFolder(async (folder) => {
      const teacher = await writeFeatures(`${folder}/f.safetensors`, 1);
      const config = await withTeacherDimension(smallRun({ distillation: { teacher } }));
      const broken = new Set<number>();
      const data = {
        source: { kind: "images", name: "folder:photos", length: 64, broken },
        train: Uint32Array.from({ length: 64 }, (_, at) => at),
        record: { list: { kind: "made", files: [] } },
      } as unknown as RunData;
      const { targets } = await openTeacher(gpu, config, data, { onWarning: () => {} });
      const rows = async (...images: number[]) => {
        using tensor = targets!(Uint32Array.from(images));
        assertEquals(tensor.shape, [images.length, 11]);
        return await tensor.read();
      };
      const values = randomValues(64 * 11, 1);
      const row = (image: number) => [...values.subarray(11 * image, 11 * image + 11)];
      assertEquals([...await rows(5, 63)], [...row(5), ...row(63)]);
      broken.add(5).add(6).add(63);
      assertEquals([...await rows(5, 63)], [...row(7), ...row(0)]);
    }),
);
