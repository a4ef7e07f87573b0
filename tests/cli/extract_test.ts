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

  const groups = [{ from: 0, to: 1, best: { arch: "4-4.6.16-1.1.1" } }, { best: { arch: "inner" } }];
  await Deno.writeTextFile(`${folder}/ranking.json`, JSON.stringify({ metric: "cosine", groups }));
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
  await refused(2, "--from needs --best-per-group", "--run", at, "--from", "r.json", "--out", folder);
  await refused(
    2,
    "--best-per-group needs --from",
    "--run",
    at,
    "--arch",
    "min",
    "--best-per-group",
    "--out",
    file,
  );
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
