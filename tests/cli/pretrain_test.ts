import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import sharp from "sharp";
import { executeCommand } from "../../src/cli/command.ts";
import { Logger } from "../../src/cli/logger.ts";
import { pretrainCommand } from "../../src/cli/pretrain.ts";
import { readSafetensors } from "../../src/store/safetensors.ts";
import { assertSameRun, metricsLines, smallConfig } from "../pretrain/small_run.ts";
import { withFolder } from "../store/with_folder.ts";

/** The command in this process, with the small configuration. */
async function pretrain(folder: string, ...args: string[]) {
  let out = "", err = "";
  const logger = new Logger({ write: (text) => void (err += text), isTerminal: false, columns: () => 80 });
  const all = [...await configFlag(folder), ...args];
  const status = await executeCommand(pretrainCommand, all, { logger, print: (text) => void (out += text) });
  return { status, out, err };
}

async function configFlag(folder: string): Promise<string[]> {
  const path = `${folder}/small.json`;
  await Deno.writeTextFile(path, JSON.stringify(smallConfig));
  return ["--config", path];
}

function cliTest(name: string, body: (folder: string) => Promise<void>): void {
  // The device's timers and callbacks outlive a test by a moment.
  Deno.test({ name, sanitizeOps: false, sanitizeResources: false, fn: () => withFolder(body) });
}

const plain = (shade: number) =>
  sharp({ create: { width: 20, height: 24, channels: 3, background: { r: shade, g: 90, b: 200 - shade } } });

/** Writes images of several kinds, and one that breaks off; returns the path of that one. */
async function writeImages(folder: string, whole: number): Promise<string> {
  await Deno.mkdir(folder);
  const noise = Uint8Array.from({ length: 64 * 64 * 3 }, (_, at) => (at * at * 31) % 251);
  const jpeg = await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } }).jpeg().toBuffer();
  for (let number = 0; number < whole; number++) {
    const image = plain(8 * number);
    const kinds = [
      () => image.png(),
      () => image.toColourspace("b-w").png(),
      () => image.ensureAlpha(0.5).png(),
      () => image.jpeg(),
    ];
    const name = `${folder}/${String(number).padStart(2, "0")}.${number % 4 === 3 ? "jpg" : "png"}`;
    await Deno.writeFile(name, await kinds[number % 4]().toBuffer());
  }
  const broken = `${folder}/truncated.jpg`;
  await Deno.writeFile(broken, jpeg.subarray(0, jpeg.length / 2));
  return broken;
}

cliTest("a run: result, files, and the initial checkpoint first", async (folder) => {
  const out = `${folder}/run`;
  const initial = await pretrain(folder, "--out", out, "--epochs", "0", "--json");
  assertEquals(initial.status, 0, initial.err);
  const nothing = { run: out, steps: 0, epochs: 0, loss: null, knn: null, imagesPerSecond: 0 };
  const { seconds: _, ...first } = JSON.parse(initial.out);
  assertEquals(first, nothing);
  const { tensors, metadata } = await readSafetensors(`${out}/checkpoints/last.safetensors`);
  assertEquals([metadata.step, metadata.epoch], ["0", "0"]);
  assertEquals(tensors.get("encoder_q.conv1.weight")!.data, tensors.get("encoder_k.conv1.weight")!.data);
  assert(tensors.get("optimizer.momentum.encoder_q.conv1.weight")!.data.every((value) => value === 0));

  const { status, out: text, err } = await pretrain(
    folder,
    "--out",
    out,
    "--epochs",
    "2",
    "--resume",
    "--json",
  );
  assertEquals(status, 0, err);
  const { run, steps, epochs, loss, knn, seconds, imagesPerSecond, ...rest } = JSON.parse(text);
  assertEquals([run, steps, epochs, rest], [out, 6, 2, {}]);
  assert(loss > 0 && knn >= 0 && knn <= 1 && seconds > 0 && imagesPerSecond > 0);
  const stored = JSON.parse(await Deno.readTextFile(`${out}/config.json`));
  assertEquals([stored.training.epochs, stored.training.batch, typeof stored.version], [2, 16, "string"]);
  assertStringIncludes(await Deno.readTextFile(`${out}/report.html`), "</html>");

  const said = await pretrain(folder, "--out", `${folder}/whole`);
  assertMatch(said.out, /\n\nNext, rank the \d+ subnets:\n {2}deno task search --run \S+\/whole --all\n$/);
  assertEquals(await metricsLines(out), await metricsLines(`${folder}/whole`));
  const whole = await readSafetensors(`${folder}/whole/checkpoints/last.safetensors`);
  const resumed = await readSafetensors(`${out}/checkpoints/last.safetensors`);
  assertEquals(resumed.tensors, whole.tensors);
});

cliTest(
  "an unlabelled folder of all kinds of images: one is broken, named, skipped and counted",
  async (folder) => {
    const broken = await writeImages(`${folder}/images`, 20);
    const flags = ["--data", `folder:${folder}/images`, "--epochs", "1"];
    const { status, out, err } = await pretrain(folder, "--out", `${folder}/run`, ...flags, "--json");
    assertEquals(status, 0, err);
    assertEquals([JSON.parse(out).steps, JSON.parse(out).knn], [1, null]);
    assertStringIncludes(err, `skipping broken image "${broken}"`);
    assertStringIncludes(err, "no kNN: the images have no labels");
    assertMatch(
      err,
      /^epoch 1: effective rank [\d.]+ of \d+, uniformity -[\d.]+, alignment [\d.]+, smallest to teacher -?[\d.]+$/m,
    );
    const report = await Deno.readTextFile(`${folder}/run/report.html`);
    assertStringIncludes(report, "Nearest images");
    assertStringIncludes(report, "Spread of the features");
    assertMatch(err, /warning: 1 image could not be read and was left out\.\n/);

    const strict = await pretrain(folder, "--out", `${folder}/strict`, ...flags, "--strict");
    assertEquals(strict.status, 1);
    assertStringIncludes(strict.err, `error: image "${broken}" is broken`);
  },
);

cliTest("one architecture, a queue beyond the data, and a profile", async (folder) => {
  const { status, err } = await pretrain(
    folder,
    ...["--out", `${folder}/run`, "--epochs", "1", "--profile"],
    ...["--set", "space.widths=[[4],[4],[8],[8]]", "--set", "moco.queue=100"],
  );
  assertEquals(status, 0, err);
  assertStringIncludes(err, "moco.queue holds 100 keys of 48 training images");
  const { tensors } = await readSafetensors(`${folder}/run/checkpoints/last.safetensors`);
  assertEquals(tensors.get("queue_pointer")!.data, Int32Array.of(48));
  const [, line] = (await metricsLines(`${folder}/run`)).map((text) => JSON.parse(text));
  assertEquals([line.loss, line.lossMin, line.lossRandom], [line.lossMax, undefined, undefined]);

  const number = (pattern: RegExp) => Number(err.match(pattern)?.[1]);
  const wall = number(/^steps (\S+) s: /m);
  const parts = number(/kernels (\S+) s/) + number(/idle device (\S+) s/);
  assert(wall > 0 && Math.abs(parts - wall) < 0.02, err);
  assertMatch(err, /^convolution\w* +\d+ +[\d.]+ +[\d.]+ GFLOP\/s +[\d.]+ %$/m);
  assertMatch(err, /^device memory: [\d ]+ bytes in \d+ buffers, 0 in use at the end/m);
});

cliTest("a last, smaller batch is dropped or kept", async (folder) => {
  const images = 40;
  for (const [lastBatch, steps] of [["drop", 2], ["keep", 3]] as const) {
    const { out, err } = await pretrain(
      folder,
      ...["--out", `${folder}/${lastBatch}`, "--data", `synthetic:${images}`, "--epochs", "1", "--json"],
      ...["--set", "data.heldOut=0", "--set", `training.lastBatch=${lastBatch}`],
    );
    assertEquals(JSON.parse(out).steps, steps, err);
    const { tensors } = await readSafetensors(`${folder}/${lastBatch}/checkpoints/last.safetensors`);
    assertEquals(tensors.get("queue_pointer")!.data, Int32Array.of(Math.min(16 * steps, images) % 32));
  }
});

cliTest("a run that cannot start is refused in one message, and leaves nothing behind", async (folder) => {
  await Deno.mkdir(`${folder}/empty`);
  await Deno.mkdir(`${folder}/single`);
  await Deno.writeFile(`${folder}/single/a.png`, await plain(3).png().toBuffer());
  const cases: [status: number, message: RegExp, ...args: string[]][] = [
    [2, /training\.batch is 16, but there are only 8 training images/, "--data", "synthetic:24"],
    [2, /training\.batch is 16, but there are only 1 training images/, "--data", `folder:${folder}/single`],
    [2, /data\.heldOut is 16, but there are only 10 images/, "--data", "synthetic:10"],
    [2, /missing" does not exist/, "--data", `folder:${folder}/missing`],
    [1, /empty" holds no images; it needs \.jpg/, "--data", `folder:${folder}/empty`],
    [2, /"photos" does not exist; give the folder/, "--data", "photos"],
    [2, /data specification "web:x" is not known; allowed: DIR or folder:DIR/, "--data", "web:x"],
    [2, /"synthetic:8" cannot be joined/, "--data", `${folder}/single`, "--data", "synthetic:8"],
    [2, /There is no flag --epoch\. Did you mean --epochs/, "--epoch", "3"],
    [2, /--epochs/, "--epochs", "many"],
    [
      2,
      /training\.batchSize is not a configuration field.*Allowed here: epochs, batch/,
      "--set",
      "training.batchSize=3",
    ],
    [2, /training\.batch cannot be "big"/, "--set", "training.batch=big"],
    [2, /space\.named\.wide.*"?99-4/, "--set", 'space.named={"wide":"99-4.4.8.8-1.1.1.1"}'],
    [2, /--resume: there is no run in .*run\. Give/, "--resume"],
  ];
  for (const [status, message, ...args] of cases) {
    const found = await pretrain(folder, "--out", `${folder}/run`, ...args);
    const errors = found.err.match(/^error: .*$/gm);
    assertEquals([found.status, found.out, errors?.length], [status, "", 1], found.err);
    assertMatch(found.err, message);
    assert(!/^\s+at /m.test(found.err), found.err);
  }
  assertEquals(await exists(`${folder}/run`), false);
});

cliTest(
  "resuming: flags that repeat the run are welcome, others are refused or warned of",
  async (folder) => {
    const out = ["--out", `${folder}/run`];
    await pretrain(folder, ...out, "--epochs", "1", "--seed", "3");
    const again = await pretrain(folder, ...out, "--epochs", "1");
    assertEquals(again.status, 2);
    assertStringIncludes(again.err, "holds a run already (checkpoints). Use --resume");

    for (const flags of [["--seed", "4"], ["--data", "synthetic:99"]]) {
      const { status, err } = await pretrain(folder, ...out, "--resume", ...flags);
      assertEquals(status, 2);
      assertStringIncludes(err, `${flags.join(" ")} does not go with --resume`);
    }
    const back = await pretrain(folder, ...out, "--resume", "--epochs", "0");
    assertEquals(back.status, 2);
    assertStringIncludes(back.err, "training.epochs is 0");

    const repeated = ["--resume", "--epochs", "2", "--seed", "3", "--data", smallConfig.data.source];
    const resumed = await pretrain(folder, ...out, ...repeated, "--json");
    assertEquals([resumed.status, JSON.parse(resumed.out).steps], [0, 6]);
    assert(!/differs/.test(resumed.err), resumed.err);
    const changed = await pretrain(folder, ...out, "--resume", "--set", "optimizer.learningRate=0.5");
    assertEquals(changed.status, 0);
    assertStringIncludes(changed.err, "differs in training.seed (1, kept 3)");
    const stored = JSON.parse(await Deno.readTextFile(`${folder}/run/config.json`));
    assertEquals([stored.training.epochs, stored.optimizer.learningRate], [2, 0.5]);
  },
);

cliTest("a loss that is not finite ends the run and leaves the checkpoint from before", async (folder) => {
  const { status, err } = await pretrain(
    folder,
    ...["--out", `${folder}/run`, "--set", "optimizer.learningRate=1e30"],
  );
  assertEquals(status, 1);
  assertMatch(
    err,
    /^error: The loss of the \w+ architecture is NaN in step \d.*Lower optimizer\.learningRate/m,
  );
  const { tensors, metadata } = await readSafetensors(`${folder}/run/checkpoints/last.safetensors`);
  assertEquals(metadata.step, "0");
  assert(tensors.get("encoder_q.conv1.weight")!.data.every((value) => Number.isFinite(Number(value))));
});

/** What `deno task pretrain` starts, in a process of its own; not the task itself, which signals would end instead. */
async function spawn(args: string[], env: Record<string, string> = {}): Promise<Deno.ChildProcess> {
  const root = new URL("../../", import.meta.url).pathname;
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  const command: string = tasks.pretrain.command;
  return new Deno.Command("deno", {
    args: [...command.split(" ").slice(1), ...args],
    cwd: root,
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", ...env },
  }).spawn();
}

/** Waits until a run has logged a number of lines; an interval of the log is a few steps. */
async function waitForLines(run: string, lines: number): Promise<void> {
  for (;;) {
    const text = await Deno.readTextFile(`${run}/metrics.jsonl`).catch(() => "");
    if (text.split("\n").length > lines) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const longRun = [
  "--epochs=30",
  "--set=training.logEvery=2",
  "--set=training.checkpointEvery=8",
  "--set=knn.every=7",
];

for (const signal of ["SIGINT", "SIGKILL"] as const) {
  cliTest(`${signal} in the middle of a run, then --resume: as if nothing had happened`, async (folder) => {
    const stopped = `${folder}/stopped`;
    const child = await spawn([...await configFlag(folder), "--out", stopped, ...longRun]);
    await waitForLines(stopped, 4);
    child.kill(signal);
    const { code, stderr } = await child.output();
    const text = new TextDecoder().decode(stderr);
    if (signal === "SIGINT") {
      assertEquals(code, 130, text);
      assertStringIncludes(text, "Stopping; the last complete step is saved.");
      assertStringIncludes(text, `Continue with: deno task pretrain --out ${stopped} --resume`);
    }
    const { metadata } = await readSafetensors(`${stopped}/checkpoints/last.safetensors`);
    assert(Number(metadata.step) < 90, "the run was over before it was stopped");
    const resumed = await pretrain(folder, "--out", stopped, ...longRun, "--resume");
    assertEquals(resumed.status, 0, resumed.err);
    await pretrain(folder, "--out", `${folder}/whole`, ...longRun);
    await assertSameRun(stopped, `${folder}/whole`);
  });
}

cliTest("without an adapter there is one message, with what to do", async (folder) => {
  const nowhere = `${folder}/nowhere`;
  const child = await spawn(["--out", nowhere, "--epochs", "0"], {
    VK_ICD_FILENAMES: nowhere,
    VK_DRIVER_FILES: nowhere,
  });
  const { code, stderr } = await child.output();
  const text = new TextDecoder().decode(stderr);
  assertEquals(code, 1, text);
  assertMatch(text, /error: no WebGPU adapter.*\.\/setup/);
});

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
