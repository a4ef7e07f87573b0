import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { extractCommand } from "../../src/cli/extract.ts";
import { readModel } from "../../src/extract/model_file.ts";
import { writeSafetensors } from "../../src/store/safetensors.ts";
import { randomValues } from "../helpers.ts";
import { cliTest, createRun, runInProcess } from "./run_command.ts";

const extract = (...args: string[]) => runInProcess(extractCommand, args);

cliTest("extract writes one file, calibrated on the run's images", async (folder) => {
  await createRun(`${folder}/run`);
  const file = `${folder}/new/small.safetensors`;
  const args = ["--run", `${folder}/run`, "--arch", "inner", "--out", file, "--calibrate", "20", "--json"];
  const { status, out, err } = await extract(...args);
  assertEquals(status, 0, err);
  const { run, models } = JSON.parse(out);
  assertEquals([run, models.length], [`${folder}/run`, 1]);
  const [{ macs, params, ...rest }] = models;
  assertEquals(rest, {
    arch: "8-8.6.16-1.2.1",
    file,
    loader: null,
    calibration: { images: 20, source: "synthetic:40" },
  });
  assert(macs > params && params > 0);
  const model = await readModel(file);
  assertEquals(model.input, { imageSize: 16, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] });
  assert(model.weights.get("bn1.running_var")!.data.every((value) => value > 0 && value !== 1));

  // The same choice of images, the same bytes.
  const bytes = await Deno.readFile(file);
  await extract(...args);
  assertEquals(await Deno.readFile(file), bytes);
});

cliTest("extract writes several architectures into a folder, each once", async (folder) => {
  await createRun(`${folder}/run`);
  const several = ["--run", `${folder}/run`, "--calibrate", "0", "--out", `${folder}/out`];
  const { status, out, err } = await extract(...several, "--arch", "min", "--arch", "max", "--arch", "max");
  assertEquals(status, 0, err);
  assertStringIncludes(out, "8-8.12.16-2.2.2");
  const files = async () =>
    (await Array.fromAsync(Deno.readDir(`${folder}/out`))).map(({ name }) => name).sort();
  assertEquals(await files(), ["4-4.6.16-1.1.1.safetensors", "8-8.12.16-2.2.2.safetensors"]);

  await writeRanking(`${folder}/ranking.json`);
  const ranked = await extract(
    ...several,
    ...["--from", `${folder}/ranking.json`, "--best-per-group", "--format", "onnx"],
  );
  assertEquals(ranked.status, 0, ranked.err);
  assertEquals((await files()).filter((name) => name.endsWith(".onnx")), [
    "4-4.6.16-1.1.1.onnx",
    "8-8.6.16-1.2.1.onnx",
  ]);
});

/** A ranking of four architectures in two groups. */
async function writeRanking(path: string): Promise<void> {
  const ranking = [["4-4.6.16-1.1.1", 5, 0.5], ["8-4.6.16-1.1.1", 8, 0.4], ["inner", 15, 0.9], [
    "max",
    19,
    0.8,
  ]]
    .map(([arch, macs, score]) => ({ arch, macs, params: macs, score }));
  const groups = [{ from: 0, to: 10 }, { from: 10, to: 20 }];
  await Deno.writeTextFile(path, JSON.stringify({ metric: "cosine", groups, ranking }));
}

cliTest("extract chooses from the run's own ranking, within a budget", async (folder) => {
  const run = `${folder}/run`;
  await createRun(run);
  const args = ["--run", run, "--calibrate", "0"];
  const missing = await extract(...args, "--frontier", "--out", `${folder}/none`);
  assertEquals(missing.status, 2);
  assertStringIncludes(missing.err, `deno task search --run ${run}`);
  await Deno.mkdir(`${run}/search`);
  await writeRanking(`${run}/search/ranking.json`);
  const chosen = async (...choice: string[]) => {
    const { status, out, err } = await extract(...args, "--json", ...choice);
    assertEquals(status, 0, err);
    return { err, archs: JSON.parse(out).models.map(({ arch }: { arch: string }) => arch) };
  };
  const out = ["--out", `${folder}/many`];
  const [cheap, inner] = ["4-4.6.16-1.1.1", "8-8.6.16-1.2.1"];
  assertEquals((await chosen("--frontier", ...out)).archs, [cheap, inner]);
  assertEquals((await chosen("--top", "2", ...out)).archs, [inner, "8-8.12.16-2.2.2"]);
  assertEquals((await chosen("--best-per-group", "--top", "2", "--macs", "..18", ...out)).archs, [
    cheap,
    "8-4.6.16-1.1.1",
    inner,
  ]);
  const best = await chosen("--best", "--macs", "6..14", "--out", `${folder}/best.onnx`);
  assertEquals(best.archs, ["8-4.6.16-1.1.1"]);
  assertStringIncludes(best.err, "8-4.6.16-1.1.1 has the highest score of those ranked");
  assert((await Deno.stat(`${folder}/best.onnx`)).isFile);
  assertEquals((await chosen("--best", "--params", "..0.007K", ...out)).archs, [cheap]);
  const none = await extract(...args, "--best", "--macs", "..2", ...out);
  assertEquals(none.status, 2);
  assertStringIncludes(none.err, "They have 5 to 19 MACs");
});

cliTest("a loader lies beside each model, and is not written over what is no loader", async (folder) => {
  await createRun(`${folder}/run`);
  const args = ["--run", `${folder}/run`, "--calibrate", "0", "--loader", "--json"];
  const { status, out, err } = await extract(
    ...args,
    "--arch",
    "min",
    "--arch",
    "max",
    "--out",
    `${folder}/out`,
  );
  assertEquals(status, 0, err);
  const loaders = JSON.parse(out).models.map(({ loader }: { loader: string }) => loader);
  assertEquals(loaders, [`${folder}/out/load_4_4_6_16_1_1_1.py`, `${folder}/out/load_8_8_12_16_2_2_2.py`]);
  assertStringIncludes(await Deno.readTextFile(loaders[1]), '"8-8.12.16-2.2.2.safetensors")');
  const one = ["--arch", "min", "--out", `${folder}/m.safetensors`];
  assertEquals((await extract(...args, ...one)).status, 0);
  assertEquals((await extract(...args, ...one)).status, 0);
  await Deno.writeTextFile(`${folder}/load_m.py`, "print('mine')\n");
  const refused = await extract(...args, ...one);
  assertEquals(refused.status, 2);
  assertStringIncludes(refused.err, "load_m.py exists and is not a loader");
});

cliTest("extract uses all images of a small source, and says so", async (folder) => {
  await createRun(`${folder}/run`);
  const file = `${folder}/small.onnx`;
  const { status, out, err } = await extract(
    ...["--run", `${folder}/run`, "--arch", "min", "--out", file, "--data", "synthetic:5", "--json"],
  );
  assertEquals(status, 0, err);
  assertStringIncludes(err, "synthetic:5 has only 5 images");
  assertEquals(JSON.parse(out).models[0].calibration, { images: 5, source: "synthetic:5" });
});

cliTest("extract refuses what it cannot do, with the reason", async (folder) => {
  const run = await createRun(`${folder}/run`);
  const at = `${folder}/run`;
  const file = `${folder}/m.safetensors`;
  const refused = async (expected: number, message: string, ...args: string[]) => {
    const { status, out, err } = await extract(...args);
    assertStringIncludes(err, message);
    assertEquals([status, out], [expected, ""]);
  };
  const wide = { shape: [4, 3, 20, 20], data: randomValues(4 * 3 * 400, 1) };
  await writeSafetensors(`${folder}/images.safetensors`, [["images", { dtype: "F32", ...wide }]]);
  await Deno.writeTextFile(`${folder}/other.json`, "{}");

  await refused(2, "--arch ARCH is missing", "--run", at, "--out", file);
  await refused(2, "unknown ending", "--run", at, "--arch", "min", "--out", `${folder}/m.pt`);
  await refused(
    2,
    "--format onnx contradicts",
    "--run",
    at,
    "--arch",
    "min",
    "--out",
    file,
    "--format",
    "onnx",
  );
  await refused(2, "is a file name", "--run", at, "--arch", "min", "--arch", "max", "--out", file);
  await refused(2, "--from needs --best", "--run", at, "--from", "r.json", "--out", folder);
  const min = ["--run", at, "--arch", "min", "--out", file];
  await refused(2, "--arch and --best-per-group are given", ...min, "--best-per-group");
  await refused(2, "--arch and --from are given", ...min, "--from", "r.json", "--frontier");
  await refused(2, "choose from a ranking, but --arch is given", ...min, "--macs", "..3M");
  await refused(2, "--best and --frontier are given", "--run", at, "--best", "--frontier", "--out", folder);
  await refused(2, "--best and --top are given", "--run", at, "--best", "--top", "3", "--out", folder);
  await refused(2, "--macs needs --best, --top N", "--run", at, "--macs", "..3M", "--out", folder);
  await refused(2, '--macs cannot be "3M..1M"', "--run", at, "--best", "--macs", "3M..1M", "--out", folder);
  await refused(
    2,
    "--loader is for .safetensors",
    "--run",
    at,
    "--arch",
    "min",
    "--loader",
    "--out",
    `${folder}/m.onnx`,
  );
  await refused(2, "is a file name", "--run", at, "--frontier", "--out", file);
  await refused(2, "unknown ending", "--run", at, "--best", "--out", `${folder}/best.pth`);
  await refused(
    2,
    "stage 2 width 7 is not one of 6, 12",
    "--run",
    at,
    "--arch",
    "4-4.7.16-1.1.1",
    "--out",
    file,
  );
  await refused(2, "max, min, inner", "--run", at, "--arch", "r50", "--out", file);
  await refused(
    2,
    "--calibrate cannot be 1",
    "--run",
    at,
    "--arch",
    "min",
    "--out",
    file,
    "--calibrate",
    "1",
  );
  await refused(2, "which is a file", "--run", at, "--arch", "min", "--out", `${folder}/other.json/m.onnx`);
  await refused(1, "is not a run folder", "--run", `${folder}/none`, "--arch", "min", "--out", file);
  const from = ["--best-per-group", "--out", `${folder}/out`];
  await refused(1, "there is no such file", "--run", at, "--from", `${folder}/none.json`, ...from);
  await refused(1, "is no ranking: groups", "--run", at, "--from", `${folder}/other.json`, ...from);
  const one = ["--run", at, "--arch", "min", "--out", file];
  await refused(1, "need at least 2", ...one, "--data", "synthetic:1");
  await refused(1, "images of 20 x 20 pixels", ...one, "--data", `tensor:${folder}/images.safetensors`);
  await refused(2, "does not exist", ...one, "--data", `folder:${folder}/none`);

  const bytes = await Deno.readFile(run.lastCheckpointPath);
  await Deno.writeFile(run.lastCheckpointPath, bytes.subarray(0, bytes.length - 4));
  await refused(1, "is truncated", ...one);
  await Deno.writeFile(run.lastCheckpointPath, new TextEncoder().encode("no checkpoint at all"));
  await refused(1, "is not a safetensors file", ...one);
});
