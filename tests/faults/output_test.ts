/** `--out` that would destroy something: refused, and what is there keeps its bytes. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { embedCommand } from "../../src/cli/embed.ts";
import { extractCommand } from "../../src/cli/extract.ts";
import { searchCommand } from "../../src/cli/search.ts";
import { writeSafetensors } from "../../src/store/safetensors.ts";
import { cliTest, createRun, runInProcess } from "../cli/run_command.ts";
import { pretrain, snapshot } from "./run_files.ts";

cliTest("nothing is written over an input, a checkpoint or a file of others", async (folder) => {
  const run = `${folder}/run`, last = `${run}/checkpoints/last.safetensors`;
  await createRun(run);
  const model = `${folder}/model.safetensors`,
    onnx = `${folder}/model.onnx`,
    features = `${folder}/f.safetensors`;
  const extract = (out: string, ...more: string[]) =>
    runInProcess(extractCommand, [
      ...["--run", run, "--arch", "min", "--out", out],
      ...(more.includes("--data") ? [] : ["--calibrate", "0"]),
      ...more,
    ]);
  const embed = (out: string, ...from: string[]) =>
    runInProcess(embedCommand, [
      ...(from.length > 0 ? from : ["--run", run, "--data", "synthetic:8", "--calibrate", "0"]),
      ...["--out", out],
    ]);
  const search = (out: string, ...more: string[]) =>
    runInProcess(searchCommand, ["--run", run, "--all", "--images", "8", "--out", out, ...more]);

  // Twice each: earlier outputs of the same command are replaced.
  for (let time = 0; time < 2; time++) {
    for (
      const done of [
        await extract(model),
        await extract(onnx),
        await embed(features),
        await search(`${folder}/s`),
      ]
    ) {
      assertEquals(done.status, 0, done.err);
    }
  }
  const images = `${folder}/images.safetensors`;
  const pixels = { dtype: "F32", shape: [8, 3, 16, 16], data: new Float32Array(8 * 3 * 256) } as const;
  await writeSafetensors(images, [["images", pixels]]);
  await Deno.writeTextFile(`${folder}/notes.safetensors`, "mine");
  await Deno.writeTextFile(`${folder}/notes.onnx`, "mine");
  await Deno.mkdir(`${folder}/folder.safetensors`);
  await Deno.symlink(last, `${folder}/symbolic.safetensors`);
  await Deno.link(last, `${folder}/hard.safetensors`);
  await Deno.symlink(`${run}/checkpoints`, `${folder}/linked`);
  await Deno.symlink(`${folder}/nowhere.safetensors`, `${folder}/dangling.safetensors`);
  await Deno.mkdir(`${folder}/others`);
  await Deno.writeTextFile(`${folder}/others/ranking.json`, '{"version": 3}');
  await Deno.mkdir(`${folder}/reports`);
  await Deno.writeTextFile(`${folder}/reports/report.html`, "mine");
  await Deno.mkdir(`${folder}/photos`);
  await Deno.mkdir(`${folder}/several`);
  await Deno.writeTextFile(`${folder}/several/4-4.6.16-1.1.1.safetensors`, "mine");

  const before = await snapshot(folder);
  const relative = `${folder}/./run/../run/checkpoints/last.safetensors`;
  const refused: Record<string, () => Promise<{ status: number; err: string }>> = {
    "is among the checkpoints of a run": () => extract(last),
    "checkpoints of a run ": () => extract(relative),
    "checkpoints of a run  ": () => extract(`${folder}/linked/last.safetensors`),
    "checkpoints of a run   ": () => extract(`${run}/checkpoints/epoch-99.safetensors`),
    "checkpoints of a run    ": () => embed(last),
    "is the input": () => extract(`${folder}/symbolic.safetensors`),
    "is the input ": () => extract(`${folder}/hard.safetensors`),
    "is the input  ": () => embed(`${folder}/hard.safetensors`),
    [`is the input ${model}`]: () => embed(model, "--model", model, "--data", "synthetic:8"),
    [`is the input ${images}`]: () => embed(images, "--model", model, "--data", `tensor:${images}`),
    [`is the input ${images} `]: () => extract(images, "--data", `tensor:${images}`),
    "is a symbolic link to nothing": () => extract(`${folder}/dangling.safetensors`),
    "is a folder, expected a file": () => extract(`${folder}/folder.safetensors`),
    "exists and is not an extracted model": () => extract(`${folder}/notes.safetensors`),
    "exists and is not an extracted model ": () => extract(`${folder}/notes.onnx`),
    "exists and is not an extracted model  ": () => extract(features),
    "is not an extracted model": () => extract(`${folder}/several`, "--arch", "max"),
    "exists and is not a file of features": () => embed(model),
    "is the folder of a run": () => search(run),
    "is the folder of a run's checkpoints": () => search(`${folder}/linked`),
    "holds a ranking.json that is not of a search": () => search(`${folder}/others`),
    "holds a report.html that is not of a search": () => search(`${folder}/reports`),
    [`is the input ${folder}/photos`]: () => search(`${folder}/photos`, "--data", `folder:${folder}/photos`),
    [`is the input ${folder}/photos `]: () =>
      pretrain(folder, "--out", `${folder}/photos`, "--data", `folder:${folder}/photos`),
    "is the folder of a run's checkpoints ": () => pretrain(folder, "--out", `${folder}/linked`),
    "holds a run already": () => pretrain(folder, "--out", run),
    "holds a run already (report.html)": () => pretrain(folder, "--out", `${folder}/reports`),
    "is a file, expected a folder": () => pretrain(folder, "--out", images),
  };
  for (const [message, command] of Object.entries(refused)) {
    const { status, err } = await command();
    assertEquals(status, 2, `${message}: ${err}`);
    assertStringIncludes(err, message.trimEnd());
    const { "small.json": _, ...after } = await snapshot(folder);
    assertEquals(after, before, message);
  }
});
