import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { DataError, UsageError } from "../../src/errors.ts";
import {
  isEvaluation,
  isKnn,
  isStep,
  type KnnMetrics,
  readMetrics,
  type StepMetrics,
} from "../../src/store/metrics.ts";
import { RunFolder } from "../../src/store/run_folder.ts";
import { withFolder } from "./with_folder.ts";

const config = { seed: 7, space: { stem: [16], widths: [[8, 16]] } };

const stepLine = (step: number): StepMetrics => ({
  ...{ step, epoch: Math.floor(step / 100), loss: 6.25 - step / 1000, lr: 0.06, imagesPerSecond: 180.5 },
});
const knnLine: KnnMetrics = { step: 0, epoch: 0, knn: 0.21, knnPixels: 0.16, images: 512, bank: 2048 };

Deno.test("a new run has its configuration with the version, and the fixed paths", () =>
  withFolder(async (parent) => {
    const path = join(parent, "runs", "demo");
    const folder = await RunFolder.create(path, config, "0.1.0");
    assertEquals(JSON.parse(await Deno.readTextFile(join(path, "config.json"))), {
      version: "0.1.0",
      ...config,
    });
    assertEquals(await folder.readConfig(), { version: "0.1.0", config });
    assertEquals(folder.lastCheckpointPath, join(path, "checkpoints", "last.safetensors"));
    assertEquals(folder.epochCheckpointPath(12), join(path, "checkpoints", "epoch-12.safetensors"));
    assertEquals(folder.metricsPath, join(path, "metrics.jsonl"));
    assertEquals(folder.reportPath, join(path, "report.html"));
    assertEquals((await Deno.stat(join(path, "checkpoints"))).isDirectory, true);
    assertEquals(await folder.checkpoints(), []);
    const others = ["x.safetensors", "epoch-02.safetensors", "epoch-1.safetensors.0123abcd.partial"];
    for (const name of ["epoch-9.safetensors", "last.safetensors", "epoch-10.safetensors", ...others]) {
      await Deno.writeTextFile(join(path, "checkpoints", name), "");
    }
    assertEquals((await folder.checkpoints()).map(({ name, epoch }) => [name, epoch]), [
      ["last", undefined],
      ["epoch-10", 10],
      ["epoch-9", 9],
    ]);
    assertEquals(await folder.readMetrics(), []);
  }));

Deno.test("starting over an existing run is refused and leaves it alone", () =>
  withFolder(async (path) => {
    const folder = await RunFolder.create(path, config, "0.1.0");
    await Deno.writeTextFile(folder.lastCheckpointPath, "");
    const error = await assertRejects<Error>(
      () => RunFolder.create(path, { seed: 8 }, "0.1.0"),
      UsageError,
      "Use --resume to continue it, or another --out",
    );
    assertEquals(error.message.includes(path), true);
    assertEquals((await folder.readConfig()).config, config);
  }));

Deno.test("a folder with other files in it is fine, a file is not", () =>
  withFolder(async (path) => {
    const notes = join(path, "notes.txt");
    await Deno.writeTextFile(notes, "");
    await assertRejects(() => RunFolder.create(notes, config, "0.1.0"), UsageError, "is a file");
    await RunFolder.create(path, config, "0.1.0");
    assertEquals(await RunFolder.holdsRun(path), true);
  }));

Deno.test("a run that was killed while it was created can be opened, and does not block another", () =>
  withFolder(async (path) => {
    await RunFolder.create(path, config, "0.1.0");
    assertEquals(await RunFolder.occupant(path), undefined);
    await (await RunFolder.create(path, config, "0.1.0")).discard();
    assertEquals(await Array.fromAsync(Deno.readDir(path)), []);
  }));

for (const name of ["config.json", "report.html", "metrics.jsonl", "checkpoints/epoch-3.safetensors"]) {
  Deno.test(`a folder with somebody's ${name} is not started in, and keeps it`, () =>
    withFolder(async (path) => {
      if (name.includes("/")) await Deno.mkdir(join(path, "checkpoints"));
      await Deno.writeTextFile(join(path, name), "mine");
      await assertRejects(() => RunFolder.create(path, config, "0.1.0"), UsageError, name.split("/")[0]);
      assertEquals(await Deno.readTextFile(join(path, name)), "mine");
    }));
}

Deno.test("opening what is no run says why", () =>
  withFolder(async (path) => {
    assertEquals(await RunFolder.holdsRun(path), false);
    await assertRejects(() => RunFolder.open(path), DataError, "it has no config.json");
    await assertRejects(() => RunFolder.open(join(path, "none")), DataError, "it does not exist");
    for (const name of ["checkpoints/epoch-3.safetensors", "metrics.jsonl"]) {
      const run = join(path, name.replace(/\W/g, "_"));
      await Deno.mkdir(join(run, "checkpoints"), { recursive: true });
      assertEquals(await RunFolder.lacksConfig(run), false);
      await Deno.writeTextFile(join(run, name), "");
      assertEquals(await RunFolder.lacksConfig(run), true);
      await assertRejects(() => RunFolder.open(run), DataError, "config.json is missing");
    }
  }));

Deno.test("a damaged configuration is named", () =>
  withFolder(async (path) => {
    const folder = await RunFolder.create(path, config, "0.1.0");
    await Deno.writeTextFile(folder.configPath, '{"seed":');
    await assertRejects(() => folder.readConfig(), DataError, folder.configPath);
    await Deno.writeTextFile(folder.configPath, '{"seed": 7}');
    await assertRejects(() => folder.readConfig(), DataError, "has no version");
  }));

Deno.test("metrics are one JSON object a line, in order", () =>
  withFolder(async (path) => {
    const folder = await RunFolder.create(path, config, "0.1.0");
    await folder.appendMetrics(knnLine);
    const spread = { images: 64, dimension: 8, effectiveRank: 5.2, meanCosine: 0.7, deadShare: 0 };
    const unlabelled = [{ step: 30, epoch: 1, spread }, { step: 35, epoch: 2, spread: null }];
    await folder.appendMetrics(stepLine(20), ...unlabelled, stepLine(40));
    const lines = [knnLine, stepLine(20), ...unlabelled, stepLine(40)];
    assertEquals(
      await Deno.readTextFile(folder.metricsPath),
      lines.map((line) => JSON.stringify(line) + "\n").join(""),
    );
    assertEquals(await folder.readMetrics(), lines);
    assertEquals(lines.map(isKnn), [true, false, false, false, false]);
    assertEquals(lines.map(isEvaluation), [true, false, true, true, false]);
    assertEquals(lines.map(isStep), [false, true, false, false, true]);
  }));

Deno.test("resuming leaves exactly the lines an uninterrupted run would have at that step", () =>
  withFolder(async (path) => {
    const folder = await RunFolder.create(path, config, "0.1.0");
    await folder.appendMetrics(knnLine, stepLine(20), stepLine(40));
    const atCheckpoint = await Deno.readTextFile(folder.metricsPath);
    await folder.appendMetrics(stepLine(60), { ...knnLine, step: 60, epoch: 1 });
    await Deno.writeTextFile(folder.metricsPath, '{"step":80,"epoch":0,"lo', { append: true });

    assertEquals((await folder.readMetrics()).length, 5, "a reader passes over the torn line");
    await folder.truncateMetrics(40);
    assertEquals(await Deno.readTextFile(folder.metricsPath), atCheckpoint);
    await folder.appendMetrics(stepLine(60));
    assertEquals((await folder.readMetrics()).map(({ step }) => step), [0, 20, 40, 60]);
    await folder.truncateMetrics(-1);
    assertEquals(await Deno.readTextFile(folder.metricsPath), "");
  }));

Deno.test("a whole last line that lacks only its end of line is kept", () =>
  withFolder(async (path) => {
    const folder = await RunFolder.create(path, config, "0.1.0");
    await folder.appendMetrics(stepLine(20), stepLine(40));
    const whole = await Deno.readTextFile(folder.metricsPath);
    await Deno.writeTextFile(folder.metricsPath, whole.trimEnd());
    await folder.truncateMetrics(40);
    assertEquals(await Deno.readTextFile(folder.metricsPath), whole);
  }));

Deno.test("a damaged line before the end is named and nothing is thrown away", () =>
  withFolder(async (path) => {
    const folder = await RunFolder.create(path, config, "0.1.0");
    for (const bad of ["oops", "null", "{}", '{"step":1.5,"epoch":0,"loss":1}', '{"step":20,"epoch":0}']) {
      const text = `${JSON.stringify(stepLine(20))}\n${bad}\n${JSON.stringify(stepLine(40))}\n`;
      await Deno.writeTextFile(folder.metricsPath, text);
      await assertRejects(() => folder.truncateMetrics(20), DataError, "line 2, is no metrics line");
      await assertRejects(() => readMetrics(folder.metricsPath), DataError, "line 2, is no metrics line");
      assertEquals(await Deno.readTextFile(folder.metricsPath), text);
    }
  }));
