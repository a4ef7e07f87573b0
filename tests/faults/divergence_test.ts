/** Training that diverges: told with step, pass and tensor; the checkpoint from before is kept, and can be gone on from. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { TrainingError } from "../../src/errors.ts";
import { loadCheckpoint, saveCheckpoint } from "../../src/pretrain/checkpoint.ts";
import { stateTensors } from "../../src/train/state_file.ts";
import { PretrainState } from "../../src/pretrain/state.ts";
import { readSafetensors } from "../../src/store/safetensors.ts";
import { cliTest } from "../cli/run_command.ts";
import { gpuTest } from "../helpers.ts";
import { smallRun } from "../pretrain/small_run.ts";
import { withFolder } from "../store/with_folder.ts";
import { pretrain } from "./run_files.ts";

/** Whether all of a checkpoint's values are finite. */
async function isFinite(path: string): Promise<boolean> {
  const { tensors } = await readSafetensors(path);
  return [...tensors.values()].every(({ data }) =>
    [...data].every((value) => Number.isFinite(Number(value)))
  );
}

for (const rate of ["1e30", "1e38"]) {
  cliTest(
    `a rate of ${rate} on a step that is saved leaves the checkpoint from before, and the run goes on`,
    async (folder) => {
      const run = `${folder}/run`, last = `${run}/checkpoints/last.safetensors`;
      assertEquals((await pretrain(folder, "--out", run, "--epochs", "1")).status, 0);
      const good = await Deno.readFile(last);
      // Three steps an epoch: a batch of all images makes every step the last of an epoch, and so one that is saved.
      const { status, err } = await pretrain(
        folder,
        ...["--out", run, "--resume", "--epochs", "4", "--set", `optimizer.learningRate=${rate}`],
        ...["--set", "optimizer.schedule=constant", "--set", "training.checkpointEvery=1"],
      );
      assertEquals(status, 1, err);
      assertMatch(err, /(The loss of the \w+ architecture is|no longer finite after step).*learning rate/);
      assertMatch(err, /(encoder_[qk]|optimizer\.momentum\.encoder_q)\.[\w.]+/);
      assertStringIncludes(err, `The last good checkpoint is ${last}, of step 3.`);
      assertEquals(await Deno.readFile(last), good);
      assertEquals(await Deno.stat(`${run}/checkpoints/epoch-2.safetensors`).catch(() => "none"), "none");

      const mended = await pretrain(folder, "--out", run, "--resume", "--set", "optimizer.learningRate=0.01");
      assertEquals(mended.status, 0, mended.err);
      assert(await isFinite(last));
      assertEquals((await readSafetensors(last)).metadata.step, "12");
    },
  );
}

cliTest("every step is one that is saved: the diverged one is not", async (folder) => {
  const run = `${folder}/run`, last = `${run}/checkpoints/last.safetensors`;
  const everyStep = ["--set", "training.batch=48", "--set", "moco.queue=48", "--epochs", "5"];
  const { status, err } = await pretrain(
    folder,
    "--out",
    run,
    ...everyStep,
    "--set",
    "optimizer.learningRate=1e25",
  );
  assertEquals(status, 1, err);
  const [, step] = /The last good checkpoint is .*, of step (\d+)\./.exec(err)!;
  assertEquals((await readSafetensors(last)).metadata.step, step);
  assert(await isFinite(last));
});

gpuTest(
  "each tensor of the state is looked at before it is saved, and after it was loaded",
  (gpu) =>
    withFolder(async (folder) => {
      const state = new PretrainState(gpu, smallRun());
      await state.initialise();
      const path = `${folder}/checkpoint.safetensors`;
      await saveCheckpoint(state, 0, path);
      const good = await Deno.readFile(path);
      for (const [name, tensor] of stateTensors(state)) {
        const values = await tensor.read();
        const damaged = values.slice();
        damaged[damaged.length - 1] = name.length % 2 ? NaN : -Infinity;
        tensor.write(damaged);
        await assertRejects(() => saveCheckpoint(state, 0, path), TrainingError, `${name} is not finite`);
        tensor.write(values);
      }
      assertEquals(await Deno.readFile(path), good);
      await loadCheckpoint(path, state);
      state.release();
    }),
);
