import { assert, assertEquals } from "@std/assert";
import { startRun } from "../../src/pretrain/pretrain.ts";
import { gpuTest } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";
import { collectingHooks, smallRun } from "./small_run.ts";

gpuTest(
  "a run tells of each step, of parts of a long one, and of evaluations",
  (gpu) =>
    withFolder(async (folder) => {
      // So short that every step is long.
      gpu.stream.submission.partSeconds = 1e-4;
      const told: (number | string)[] = [];
      const { hooks } = collectingHooks();
      await startRun(gpu, `${folder}/run`, smallRun({ training: { epochs: 1 } }), {
        ...hooks,
        onPart: (done) => void told.push(done),
        onEvaluating: () => void told.push("kNN"),
      });
      assertEquals(told.filter((one) => one === "kNN").length, 2);
      const parts = told.filter((one) => one !== "kNN") as number[];
      assertEquals([0, 1, 2, 3].every((step) => parts.includes(step)), true, String(parts));
      assertEquals(parts, parts.toSorted((a, b) => a - b));
      assert(parts.some((done) => done % 1 > 0), String(parts));
      assertEquals(gpu.stream.submission.onPart, undefined);
    }),
);
