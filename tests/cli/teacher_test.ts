/** `pretrain --teacher`: from the command to the files, on the smallest of runs. */
import { assert, assertEquals } from "@std/assert";
import { pretrainCommand } from "../../src/cli/pretrain.ts";
import { writeSafetensors } from "../../src/store/safetensors.ts";
import { randomValues } from "../helpers.ts";
import { smallConfig } from "../pretrain/small_run.ts";
import { withFolder } from "../store/with_folder.ts";
import { runInProcess } from "./run_command.ts";

Deno.test({
  name:
    "a run with a teacher: planned, trained, resumed, reported; mistakes are told before anything is written",
  // The device's timers and callbacks outlive a test by a moment.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    withFolder(async (folder) => {
      const [config, file, out] = ["small.json", "f.safetensors", "run"].map((name) => `${folder}/${name}`);
      await Deno.writeTextFile(
        config,
        JSON.stringify({ ...smallConfig, training: { ...smallConfig.training, logEvery: 1 } }),
      );
      await writeSafetensors(file, [
        ["features", { dtype: "F32", shape: [64, 6], data: randomValues(64 * 6, 1) }],
      ], {});
      const teacher = ["--teacher", `features:${file}`];
      const pretrain = (...args: string[]) =>
        runInProcess(pretrainCommand, ["--config", config, "--out", out, ...args]);

      const missing = await pretrain("--teacher", `features:${folder}/none.safetensors`);
      assertEquals(missing.status, 1);
      assert(missing.err.includes("none.safetensors"), missing.err);
      const wrong = await pretrain("--teacher", "dinov2");
      assertEquals(wrong.status, 2);
      assert(wrong.err.includes("features:FILE.safetensors, model:FILE.onnx or self"), wrong.err);

      const untaught = await pretrain("--teacher", "self");
      assertEquals(untaught.status, 2);
      assert(untaught.err.includes("--teacher self (distillation.teacher) needs --init FILE"), untaught.err);

      const plan = await pretrain(...teacher, "--dry-run", "--json");
      assertEquals(JSON.parse(plan.out).memory.host.teacher, 4 * 64 * 6);
      assertEquals(await Deno.stat(out).catch(() => undefined), undefined);

      const { status, err } = await pretrain(...teacher, "--epochs", "1", "--set", "distillation.moco=1");
      assertEquals(status, 0, err);
      const { distillation } = JSON.parse(await Deno.readTextFile(`${out}/config.json`));
      assertEquals([distillation.teacher, distillation.dimension, distillation.moco], [
        `features:${file}`,
        6,
        1,
      ]);
      const report = await Deno.readTextFile(`${out}/report.html`);
      for (const text of [`features:${file}, 6 features`, "weighted sum of the losses"]) {
        assert(report.includes(text), text);
      }

      // The same command line resumes; another teacher is another run.
      const again = await pretrain(...teacher, "--epochs", "1", "--set", "distillation.moco=1", "--resume");
      assertEquals(again.status, 0, again.err);
      const other = await pretrain("--teacher", "self", "--resume");
      assertEquals(other.status, 2);
      assert(other.err.includes("--teacher self does not go with --resume"), other.err);
    }),
});
