import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import sharp from "sharp";
import type { Command } from "../../src/cli/command.ts";
import { embedCommand } from "../../src/cli/embed.ts";
import { extractCommand } from "../../src/cli/extract.ts";
import type { Flags } from "../../src/cli/flags.ts";
import { openSource } from "../../src/data/source.ts";
import { openViews } from "../../src/data/views.ts";
import { extractFeatures } from "../../src/evaluate/features.ts";
import { openModel } from "../../src/extract/model_file.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { readSafetensors, writeSafetensors } from "../../src/store/safetensors.ts";
import { assertClose, randomValues, relativeError } from "../helpers.ts";
import { readNpz } from "../store/read_npz.ts";
import { cliTest, createRun, runInProcess } from "./run_command.ts";

const embed = (...args: string[]) => runInProcess(embedCommand, args);

/** Runs a command that must succeed; returns its JSON. */
async function succeed<F extends Flags, R extends object>(command: Command<F, R>, ...args: string[]) {
  const { status, out, err } = await runInProcess(command, [...args, "--json"]);
  assertEquals(status, 0, err);
  return { result: JSON.parse(out), err };
}

/** Rows that `extractFeatures` computes of a model for images of a source, in one batch. */
async function expectedRows(model: string, spec: string, indices: number[]) {
  using gpu = await openGpu();
  const { encoder, network: { space }, input } = await openModel(gpu, model);
  const source = await openSource(spec, { imageSize: input.imageSize, resize: input.resize, seed: 3 });
  const views = await openViews(gpu, source, { ...input, augmentation: "none", seed: 0 });
  const { images } = await views.evaluationBatch(Uint32Array.from(indices));
  const { values } = await extractFeatures(encoder, space.max, "pooled", [images]);
  source.release();
  return values;
}

function picture(seed: number) {
  const raw = Uint8Array.from({ length: 24 * 20 * 3 }, (_, at) => (at * (seed + 3) * 31) % 251);
  return sharp(raw, { raw: { width: 24, height: 20, channels: 3 } }).png().toBuffer();
}

cliTest(
  "a run's features are those of the model that extract cuts out on the same images",
  async (folder) => {
    await createRun(`${folder}/run`);
    const run = ["--run", `${folder}/run`, "--arch", "inner"];
    const data = ["--data", "synthetic:23", "--calibrate", "20"];
    await succeed(extractCommand, ...run, ...data, "--out", `${folder}/m.safetensors`);
    const fromRun = await succeed(embedCommand, ...run, ...data, "--out", `${folder}/new/run.safetensors`);
    assertEquals(fromRun.result, {
      arch: "8-8.6.16-1.2.1",
      data: "synthetic:23",
      images: 23,
      dimension: 16,
      labelled: true,
      skipped: [],
      calibration: { images: 20, source: "synthetic:23" },
      file: `${folder}/new/run.safetensors`,
    });
    const model = ["--model", `${folder}/m.safetensors`];
    const fromModel = await succeed(
      embedCommand,
      ...[...model, "--data", "synthetic:23", "--seed", "3", "--out", `${folder}/model.safetensors`],
    );
    assertEquals(fromModel.result, { ...fromRun.result, file: `${folder}/model.safetensors` });

    const one = await readSafetensors(`${folder}/new/run.safetensors`);
    const other = await readSafetensors(`${folder}/model.safetensors`);
    assertEquals([...one.tensors.keys()], ["features", "labels", "indices"]);
    assertEquals(one.metadata, other.metadata);
    assertEquals(one.metadata.arch, "8-8.6.16-1.2.1");
    assertEquals([one.metadata.source, one.metadata.imageSize], ["synthetic:23", "16"]);
    assertEquals(JSON.parse(one.metadata.calibration), { images: 20, source: "synthetic:23" });
    assertEquals(one.tensors.get("features")!.shape, [23, 16]);
    assertEquals(one.tensors.get("labels")!.data, Int32Array.from({ length: 23 }, (_, index) => index % 10));
    assertEquals(one.tensors.get("indices")!.data, Int32Array.from({ length: 23 }, (_, index) => index));
    const rows = (file: typeof one) => file.tensors.get("features")!.data as Float32Array;
    const indices = Array.from({ length: 23 }, (_, index) => index);
    const expected = await expectedRows(`${folder}/m.safetensors`, "synthetic:23", indices);
    assert(new Set(expected).size > 100, "the features vary");
    assertClose(rows(other), expected, 1e-6, "the model's features");
    assertClose(rows(one), rows(other), 1e-5, "the run's features");
  },
);

cliTest(
  "more images than a batch, the largest architecture by default, running statistics",
  async (folder) => {
    await createRun(`${folder}/run`);
    const file = `${folder}/f.safetensors`;
    const args = ["--run", `${folder}/run`, "--data", "synthetic:300", "--calibrate", "0", "--out", file];
    const { result } = await succeed(embedCommand, ...args);
    assertEquals([result.arch, result.images, result.calibration], ["8-8.12.16-2.2.2", 300, null]);
    const { tensors, metadata } = await readSafetensors(file);
    assertEquals(metadata.calibration, "none");
    const model = `${folder}/m.safetensors`;
    await succeed(
      extractCommand,
      "--run",
      `${folder}/run`,
      "--arch",
      "max",
      "--calibrate",
      "0",
      "--out",
      model,
    );
    const last = await expectedRows(model, "synthetic:300", [255, 256, 299]);
    const features = tensors.get("features")!.data as Float32Array;
    const row = (index: number) => features.subarray(16 * index, 16 * index + 16);
    assertClose([...row(255), ...row(256), ...row(299)], last, 1e-5, "rows around the end of a batch");
  },
);

cliTest("a folder in the order of its paths; a broken image is named and has no row", async (folder) => {
  await createRun(`${folder}/run`);
  await Deno.mkdir(`${folder}/images/b`, { recursive: true });
  await Deno.mkdir(`${folder}/images/a`);
  for (const [index, name] of ["b/2", "a/1", "a/3", "b/9"].entries()) {
    await Deno.writeFile(`${folder}/images/${name}.png`, await picture(index));
  }
  const broken = `${folder}/images/a/2.png`;
  await Deno.writeFile(broken, (await picture(9)).subarray(0, 200));
  const spec = `folder:${folder}/images`;
  const file = `${folder}/f.safetensors`;
  const args = ["--run", `${folder}/run`, "--data", spec, "--out", file];
  const { result, err } = await succeed(embedCommand, ...args);
  assertEquals([result.images, result.skipped.length, result.skipped[0].path], [4, 1, broken]);
  assertEquals(err.split(broken).length, 2, err);
  assertStringIncludes(err, "1 of 5 images could not be read and have no row");
  const { tensors, metadata } = await readSafetensors(file);
  assertEquals(tensors.get("indices")!.data, Int32Array.of(0, 2, 3, 4));
  assertEquals(tensors.get("labels")!.data, Int32Array.of(0, 0, 1, 1));
  assertEquals([metadata.classes, metadata.sourceImages], ['["a","b"]', "5"]);
  assertEquals(JSON.parse(metadata.files), ["a/1.png", "a/3.png", "b/2.png", "b/9.png"]);

  // The same rows in the other formats.
  const values = [...tensors.get("features")!.data as Float32Array];
  const npz = `${folder}/f.npz`;
  await succeed(embedCommand, ...args.with(-1, npz));
  const arrays = await readNpz(npz);
  assertEquals(arrays.get("features"), { descr: "<f4", shape: [4, 16], values });
  assertEquals(arrays.get("labels")!.values, [0, 0, 1, 1]);
  assertEquals(arrays.get("indices")!.values, [0, 2, 3, 4]);
  assertEquals(arrays.get("files")!.values, JSON.parse(metadata.files));
  const { files: _, ...rest } = metadata;
  assertEquals(JSON.parse(arrays.get("metadata")!.values[0] as string), rest);
  const csv = `${folder}/f.csv`;
  const { err: said } = await succeed(embedCommand, ...args.with(-1, csv));
  assertStringIncludes(said, 'the column "file" says which image each row is of');
  const [head, ...lines] = (await Deno.readTextFile(csv)).trimEnd().split("\n").map((line) =>
    line.split(",")
  );
  assertEquals(head, ["file", "label", ...Array.from({ length: 16 }, (_, index) => `f${index}`)]);
  assertEquals(lines.map((cells) => cells.slice(0, 2).join()), [
    "a/1.png,a",
    "a/3.png,a",
    "b/2.png,b",
    "b/9.png,b",
  ]);
  assertEquals(lines.flatMap((cells) => cells.slice(2).map((cell) => Math.fround(Number(cell)))), values);

  // The same images without the broken one, under the statistics of a model.
  const model = `${folder}/m.safetensors`;
  await succeed(extractCommand, "--run", `${folder}/run`, "--arch", "max", "--out", model, "--data", spec);
  const again = `${folder}/again.safetensors`;
  await succeed(embedCommand, "--model", model, "--data", spec, "--out", again);
  await Deno.remove(broken);
  assertClose(
    (await readSafetensors(again)).tensors.get("features")!.data as Float32Array,
    await expectedRows(model, spec, [0, 1, 2, 3]),
    1e-5,
    "features of the sound images",
  );

  await Deno.writeFile(broken, new Uint8Array(9));
  await Deno.remove(again);
  const strict = await embed("--model", model, "--data", spec, "--out", again, "--strict");
  assertEquals(strict.status, 1);
  assertMatch(strict.err, /a\/2\.png" is broken: .*without --strict to skip it/);
  const left = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  assert(!left.some((name) => name.startsWith("again")), left.join(" "));
});

cliTest("a model's metadata say how photos become its input", async (folder) => {
  await createRun(`${folder}/run`);
  await Deno.mkdir(`${folder}/images`);
  for (const name of ["1", "2"]) {
    await Deno.writeFile(`${folder}/images/${name}.png`, await picture(Number(name)));
  }
  const spec = `folder:${folder}/images`;
  const model = `${folder}/m.safetensors`;
  await succeed(
    extractCommand,
    "--run",
    `${folder}/run`,
    "--arch",
    "max",
    "--calibrate",
    "0",
    "--out",
    model,
  );
  const embedded = async () => {
    const out = `${folder}/features.safetensors`;
    await succeed(embedCommand, "--model", model, "--data", spec, "--out", out);
    const { tensors, metadata } = await readSafetensors(out);
    const { resize, centerCrop } = JSON.parse(metadata.preprocessing);
    return { features: tensors.get("features")!.data as Float32Array, sides: [resize, centerCrop] };
  };
  const usual = await embedded();
  assertEquals(usual.sides, [18, 16]);
  const { tensors, metadata } = await readSafetensors(model);
  const preprocessing = JSON.stringify({ ...JSON.parse(metadata.preprocessing), resize: 20 });
  await writeSafetensors(model, tensors, { ...metadata, preprocessing });
  const other = await embedded();
  assertEquals(other.sides, [20, 16]);
  assertClose(other.features, await expectedRows(model, spec, [0, 1]), 1e-5, "images resized to 20");
  assert(relativeError(other.features, usual.features) > 1e-3, "the resize matters");
});

cliTest("ready-made inputs without labels give features and indices alone", async (folder) => {
  await createRun(`${folder}/run`);
  const images = randomValues(5 * 3 * 256, 1);
  const path = `${folder}/images.safetensors`;
  await writeSafetensors(path, [["images", { dtype: "F32", shape: [5, 3, 16, 16], data: images }]]);
  const file = `${folder}/f.safetensors`;
  const args = ["--run", `${folder}/run`, "--arch", "min", "--data", `tensor:${path}`, "--out", file];
  const { result } = await succeed(embedCommand, ...args);
  assertEquals([result.images, result.labelled], [5, false]);
  const written = await readSafetensors(file);
  assertEquals([...written.tensors.keys()], ["features", "indices"]);
  assert(!("files" in written.metadata));
  const csv = `${folder}/f.csv`;
  await succeed(embedCommand, ...args.with(-1, csv));
  assertStringIncludes(await Deno.readTextFile(csv), `\ntensor:${path}#4,,`);
});

cliTest("embed refuses what it cannot do, with the reason", async (folder) => {
  await createRun(`${folder}/run`);
  const run = ["--run", `${folder}/run`];
  const out = ["--out", `${folder}/f.safetensors`];
  const data = ["--data", "synthetic:8"];
  const refused = async (expected: number, message: string, ...args: string[]) => {
    const { status, out, err } = await embed(...args);
    assertStringIncludes(err, message);
    assertEquals([status, out], [expected, ""]);
  };
  await refused(2, "--run DIR or --model FILE is missing", ...data, ...out);
  await refused(2, "--run and --model are given", ...run, "--model", "m.safetensors", ...data, ...out);
  await refused(2, "--data SPEC is missing", ...run, ...out);
  await refused(2, "Leave --arch out", "--model", "m.safetensors", "--arch", "max", ...data, ...out);
  await refused(2, "--calibrate is given", "--model", "m.safetensors", "--calibrate", "9", ...data, ...out);
  await refused(2, "--calibrate cannot be 1", ...run, "--calibrate", "1", ...data, ...out);
  await refused(2, "unknown ending", ...run, ...data, "--out", "f.npy");
  await refused(2, "Allowed: .safetensors, .npz, .csv", ...run, ...data, "--out", "f.npy");
  await refused(2, "--mean goes with a --model FILE.onnx only", ...run, "--mean", "0,0,0", ...data, ...out);
  const onnx = ["--model", "m.onnx"];
  await refused(2, '--std cannot be "1,1"', ...onnx, "--std", "1,1", ...data, ...out);
  await refused(2, '--std cannot be "1,0,1"', ...onnx, "--std", "1,0,1", ...data, ...out);
  await refused(1, `Cannot read ${folder}/none.onnx`, "--model", `${folder}/none.onnx`, ...data, ...out);
  await refused(2, "max, min, inner", ...run, "--arch", "r50", ...data, ...out);
  await refused(2, '"photos" does not exist; give the folder', ...run, "--data", "photos", ...out);
  await refused(1, "is not a run folder", "--run", `${folder}/none`, ...data, ...out);
  await refused(1, "there is no such file", "--model", `${folder}/none.safetensors`, ...data, ...out);
  await refused(1, "need at least 2", ...run, "--data", "synthetic:1", ...out);
  const checkpoint = `${folder}/run/checkpoints/last.safetensors`;
  await refused(1, "is a checkpoint, not an extracted model", "--model", checkpoint, ...data, ...out);
  const wide = { dtype: "F32", shape: [4, 3, 20, 20], data: randomValues(4 * 3 * 400, 1) } as const;
  await writeSafetensors(`${folder}/wide.safetensors`, [["images", wide]]);
  const tensor = ["--data", `tensor:${folder}/wide.safetensors`];
  await refused(1, "images of 20 x 20 pixels", ...run, "--calibrate", "0", ...tensor, ...out);
  await Deno.mkdir(`${folder}/images`);
  await Deno.writeFile(`${folder}/images/x.png`, new Uint8Array(5));
  const images = ["--data", `folder:${folder}/images`];
  await refused(1, "none of the 1 images", ...run, "--calibrate", "0", ...images, ...out);
  await Deno.writeTextFile(`${folder}/a`, "");
  await refused(2, "which is a file", ...run, ...data, "--out", `${folder}/a/f.safetensors`);
});

cliTest("an interrupt ends with 130 and leaves no file", async (folder) => {
  await createRun(`${folder}/run`);
  const root = new URL("../../", import.meta.url).pathname;
  const out = `${folder}/out/f.safetensors`;
  const process = new Deno.Command("deno", {
    args: [
      ...[
        "run",
        "--no-prompt",
        "--allow-read",
        "--allow-write",
        "--allow-env=SCION_DEBUG,XDG_RUNTIME_DIR,DENO_WEBGPU_BACKEND",
      ],
      ...["src/cli/embed.ts", "--run", `${folder}/run`, "--calibrate", "0"],
      ...["--data", "synthetic:1000000", "--out", out],
    ],
    cwd: root,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  // The partial file grows once the work is under way, when the interrupt is the command's to handle.
  const names = () => Array.fromAsync(Deno.readDir(`${folder}/out`)).catch(() => []);
  while (!(await names()).some(({ name }) => name.endsWith(".partial"))) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  process.kill("SIGINT");
  const { code, stdout, stderr } = await process.output();
  const decoder = new TextDecoder();
  assertEquals([code, decoder.decode(stdout)], [130, ""]);
  assertStringIncludes(decoder.decode(stderr), "Stopping; no file is written.");
  assertEquals(await Array.fromAsync(Deno.readDir(`${folder}/out`)), []);
});
