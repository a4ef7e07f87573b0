/** Commands that use a run whose last checkpoint or configuration is damaged or gone. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { embedCommand } from "../../src/cli/embed.ts";
import { extractCommand } from "../../src/cli/extract.ts";
import { searchCommand } from "../../src/cli/search.ts";
import { readSafetensors } from "../../src/store/safetensors.ts";
import { cliTest, runInProcess } from "../cli/run_command.ts";
import { copyFolder, flipBit, pretrain, snapshot } from "./run_files.ts";

/** The commands that use a run, each with flags that let it succeed. */
function commands(run: string, out: string) {
  const few = ["--run", run, "--calibrate", "8", "--data", "synthetic:16"];
  return {
    search: (...more: string[]) =>
      runInProcess(searchCommand, ["--run", run, "--arch", "min", "--images", "8", "--out", out, ...more]),
    extract: (...more: string[]) =>
      runInProcess(extractCommand, [...few, "--arch", "min", "--out", `${out}/model.safetensors`, ...more]),
    embed: (...more: string[]) =>
      runInProcess(embedCommand, [...few, "--out", `${out}/features.safetensors`, ...more]),
  };
}

cliTest("no older checkpoint is used in place of a damaged one unless it is named", async (folder) => {
  const whole = `${folder}/whole`;
  assertEquals((await pretrain(folder, "--out", whole)).status, 0);
  const faults: Record<string, (run: string) => Promise<void>> = {
    damaged: (run) => flipBit(`${run}/checkpoints/last.safetensors`, -999, 3),
    missing: (run) => Deno.remove(`${run}/checkpoints/last.safetensors`),
  };
  for (const [fault, inject] of Object.entries(faults)) {
    const run = `${folder}/${fault}`;
    await copyFolder(whole, run);
    await inject(run);
    // The newest one of an epoch is damaged, too.
    await flipBit(`${run}/checkpoints/epoch-2.safetensors`, -999, 3);
    for (const [name, command] of Object.entries(commands(run, `${folder}/${fault}-out`))) {
      const before = await snapshot(run);
      const refused = await command();
      assertEquals([refused.status, refused.out], [1, ""], `${name}: ${refused.err}`);
      assertStringIncludes(refused.err, `${run}/checkpoints/last.safetensors`);
      assertStringIncludes(
        refused.err,
        "The newest whole checkpoint is epoch-1; use it with --checkpoint epoch-1.",
      );
      const named = await command("--checkpoint", "epoch-1");
      assertEquals(named.status, 0, `${name}: ${named.err}`);
      const unknown = await command("--checkpoint", "epoch-7");
      assertEquals(unknown.status, 2, `${name}: ${unknown.err}`);
      assertStringIncludes(unknown.err, "has no such checkpoint. It has");
      assertEquals(await snapshot(run), before);
    }
  }
  // What is made from a named checkpoint is that of this checkpoint.
  const ranking = JSON.parse(await Deno.readTextFile(`${folder}/damaged-out/ranking.json`));
  const { metadata } = await readSafetensors(`${whole}/checkpoints/epoch-1.safetensors`);
  assertEquals(ranking.step, Number(metadata.step));
  // Its winners are cut out of other weights only with a word.
  const from = ["--run", whole, "--from", `${folder}/damaged-out/ranking.json`, "--best-per-group"];
  for (const [checkpoint, warned] of [["epoch-1", false], ["last", true]] as const) {
    const { status, err } = await runInProcess(extractCommand, [
      ...from,
      ...["--checkpoint", checkpoint, "--calibrate", "0", "--out", `${folder}/best-${checkpoint}`],
    ]);
    assertEquals(status, 0, err);
    assertEquals(err.includes(`ranks the weights of step ${ranking.step}, the checkpoint has`), warned, err);
  }
});

cliTest("a run without config.json says so, and is neither used nor written over", async (folder) => {
  const run = `${folder}/run`;
  assertEquals((await pretrain(folder, "--out", run, "--epochs", "1")).status, 0);
  await Deno.remove(`${run}/config.json`);
  const before = await snapshot(run);
  const { search, extract, embed } = commands(run, `${folder}/out`);
  const resume = () => pretrain(folder, "--out", run, "--resume");
  for (const command of [search, extract, embed, resume]) {
    const { status, err } = await command();
    assertEquals(status, 1, err);
    assertStringIncludes(err, `${run}/config.json is missing, beside checkpoints or metrics of a run.`);
  }
  const started = await pretrain(folder, "--out", run);
  assertEquals(started.status, 2, started.err);
  assert(started.err.includes("holds a run already"), started.err);
  assertEquals(await snapshot(run), before);
});
