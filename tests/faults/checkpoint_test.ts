/** Damaged runs: refused before anything is touched, or gone on from the newest checkpoint that is whole. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { embedCommand } from "../../src/cli/embed.ts";
import { extractCommand } from "../../src/cli/extract.ts";
import { searchCommand } from "../../src/cli/search.ts";
import { readSafetensors, type TensorData } from "../../src/store/safetensors.ts";
import { cliTest, runInProcess } from "../cli/run_command.ts";
import { assertSameRun, smallConfig } from "../pretrain/small_run.ts";
import { copyFolder, flipBit, pretrain, rewrite, snapshot } from "./run_files.ts";

type Metadata = Record<string, string | undefined>;

/** A run of two epochs with last, epoch-1 and epoch-2; three steps an epoch. */
async function twoEpochs(folder: string): Promise<string> {
  const { status, err } = await pretrain(folder, "--out", `${folder}/run`);
  assertEquals(status, 0, err);
  return `${folder}/run`;
}

const last = (run: string) => `${run}/checkpoints/last.safetensors`;

/** Takes the checkpoints of epochs away, so that nothing is left to fall back on. */
async function onlyLast(run: string): Promise<void> {
  for (const epoch of [1, 2]) await Deno.remove(`${run}/checkpoints/epoch-${epoch}.safetensors`);
}

const pointer = (value: number): TensorData => ({ dtype: "I32", shape: [1], data: Int32Array.of(value) });

const faults: Record<
  string,
  [change: (metadata: Metadata, tensors: Map<string, TensorData>) => void, RegExp]
> = {
  "a step that is no number": [
    (metadata) => metadata.step = "abc",
    /its step is "abc", expected a whole number/,
  ],
  "a negative step": [(metadata) => metadata.step = "-3", /its step is "-3"/],
  "a step beyond exact numbers": [(metadata) => metadata.step = "9".repeat(20), /its step is "9{20}"/],
  "an epoch that is no number": [(metadata) => metadata.epoch = "1.5", /its epoch is "1\.5"/],
  "no epoch": [(metadata) => delete metadata.epoch, /its epoch is undefined/],
  "an empty configuration": [(metadata) => metadata.config = "{}", /its configuration cannot be read/],
  "a configuration that is no JSON": [
    (metadata) => metadata.config = "{",
    /its configuration cannot be read/,
  ],
  "losses of another form": [(metadata) => metadata.losses = '{"all":[]}', /its sums of losses are not/],
  "no losses": [(metadata) => delete metadata.losses, /its sums of losses are not/],
  "a later format": [
    (metadata) => metadata.format = "3",
    /has checkpoint format 3; this version reads 1 and 2/,
  ],
  "no format": [(metadata) => delete metadata.format, /has checkpoint format undefined/],
  "a pointer before the queue": [
    (_, tensors) => tensors.set("queue_pointer", pointer(-1)),
    /queue_pointer is -1/,
  ],
  "a pointer behind the queue": [
    (_, tensors) => tensors.set("queue_pointer", pointer(32)),
    /queue_pointer is 32/,
  ],
  "a tensor less": [
    (_, tensors) => tensors.delete("encoder_k.fc.weight"),
    /no tensor "encoder_k\.fc\.weight"/,
  ],
  "a tensor of another shape": [
    (_, tensors) => tensors.set("queue", { dtype: "F32", shape: [8], data: new Float32Array(8) }),
    /tensor "queue" is F32 \[8\], expected F32 \[32, 8\]/,
  ],
  "weights that are not finite": [
    (_, tensors) => (tensors.get("encoder_k.layer2.0.conv1.weight")!.data as Float32Array)[5] = NaN,
    /encoder_k\.layer2\.0\.conv1\.weight is not finite/,
  ],
  "a momentum that is infinite": [
    (_, tensors) =>
      (tensors.get("optimizer.momentum.encoder_q.bn1.bias")!.data as Float32Array)[1] = -Infinity,
    /optimizer\.momentum\.encoder_q\.bn1\.bias is not finite/,
  ],
  "another run's seed": [
    (metadata) => metadata.config = metadata.config!.replace('"seed": 1', '"seed": 9'),
    /is a checkpoint of another run: .*training\.seed \(9, kept 1\)/,
  ],
};

cliTest("a checkpoint that cannot be right is refused by resume, and nothing is touched", async (folder) => {
  const whole = await twoEpochs(folder);
  await onlyLast(whole);
  for (const [what, [change, message]] of Object.entries(faults)) {
    const run = `${folder}/${what.replaceAll(" ", "-")}`;
    await copyFolder(whole, run);
    await rewrite(last(run), change);
    const before = await snapshot(run);
    const { status, out, err } = await pretrain(folder, "--out", run, "--resume", "--epochs", "3");
    assertEquals([status, out], [1, ""], `${what}: ${err}`);
    assertMatch(err, message, what);
    assertEquals(await snapshot(run), before, `${what}: the run was changed`);
  }
});

cliTest("a flipped bit is refused by every command that reads the run", async (folder) => {
  const run = await twoEpochs(folder);
  await onlyLast(run);
  const bytes = await Deno.readFile(last(run));
  const header = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  // One in the step, one in the weights, one in the last tensor.
  const step = new TextDecoder("latin1").decode(bytes).indexOf('"step":"6"') + 8;
  for (const byte of [step, header + 1000, bytes.length - 1]) {
    await Deno.writeFile(last(run), bytes);
    await flipBit(last(run), byte, 0);
    const before = await snapshot(run);
    const commands = {
      resume: () => pretrain(folder, "--out", run, "--resume"),
      search: () => runInProcess(searchCommand, ["--run", run, "--all", "--out", `${folder}/search`]),
      extract: () =>
        runInProcess(extractCommand, ["--run", run, "--arch", "max", "--out", `${folder}/m.safetensors`]),
      embed: () =>
        runInProcess(embedCommand, [
          "--run",
          run,
          "--data",
          "synthetic:8",
          "--out",
          `${folder}/f.safetensors`,
        ]),
    };
    for (const [name, command] of Object.entries(commands)) {
      const { status, err } = await command();
      assertEquals(status, 1, `${name}, byte ${byte}: ${err}`);
      assertStringIncludes(err, "is damaged: its bytes do not have the checksum", `${name}, byte ${byte}`);
    }
    assertEquals(await snapshot(run), before);
  }
});

cliTest("a flipped bit in an extracted model is refused", async (folder) => {
  const run = await twoEpochs(folder);
  const model = `${folder}/model.safetensors`;
  const flags = ["--run", run, "--arch", "max", "--calibrate", "0", "--out", model];
  assertEquals((await runInProcess(extractCommand, flags)).status, 0);
  await flipBit(model, (await Deno.stat(model)).size - 7, 6);
  const embed = ["--model", model, "--data", "synthetic:8", "--out", `${folder}/f.safetensors`];
  const { status, err } = await runInProcess(embedCommand, embed);
  assertEquals(status, 1, err);
  assertStringIncludes(err, "is damaged: its bytes do not have the checksum");
});

const broken: Record<string, (run: string) => Promise<void>> = {
  "is damaged": (run) => flipBit(last(run), -999, 3),
  "is missing": (run) => Deno.remove(last(run)),
  "is truncated": async (run) =>
    Deno.writeFile(last(run), (await Deno.readFile(last(run))).subarray(0, 5000)),
};

for (const [what, damage] of Object.entries(broken)) {
  cliTest(
    `the last checkpoint ${what}: the run goes on from the newest whole one, and is the same`,
    async (folder) => {
      const run = await twoEpochs(folder);
      const whole = `${folder}/whole`;
      await copyFolder(run, whole);
      await flipBit(`${run}/checkpoints/epoch-2.safetensors`, -999, 3);
      await damage(run);
      const { status, err } = await pretrain(folder, "--out", run, "--resume");
      assertEquals(status, 0, err);
      assertMatch(
        err,
        new RegExp(`warning: .*last\\.safetensors ${what}.*epoch-2.*goes on from epoch-1, at step 3`),
      );
      await assertSameRun(run, whole);
      // The damaged ones and the metrics until then are kept.
      const kept = (await Array.fromAsync(Deno.readDir(`${run}/superseded-1`))).map(({ name }) => name)
        .sort();
      const expected = ["epoch-2.safetensors", "last.safetensors", "metrics.jsonl"];
      assertEquals(kept, what === "is missing" ? expected.filter((name) => !/last/.test(name)) : expected);
    },
  );
}

cliTest("--checkpoint chooses one; what came after it is kept aside", async (folder) => {
  const run = await twoEpochs(folder);
  const before = await snapshot(run);
  const unknown = await pretrain(folder, "--out", run, "--resume", "--checkpoint", "epoch-7");
  assertEquals(unknown.status, 2);
  assertStringIncludes(unknown.err, "epoch-7: ");
  assertStringIncludes(unknown.err, "It has last, epoch-2, epoch-1.");
  assertEquals((await pretrain(folder, "--out", `${folder}/new`, "--checkpoint", "last")).status, 2);
  assertEquals(await snapshot(run), before);

  const flags = [
    "--out",
    run,
    "--resume",
    "--checkpoint",
    "epoch-1",
    "--set",
    "optimizer.learningRate=0.001",
  ];
  const { status, err } = await pretrain(folder, ...flags);
  assertEquals(status, 0, err);
  assertStringIncludes(err, "goes on from epoch-1, step 3");
  const after = await snapshot(run);
  for (const name of ["checkpoints/epoch-2.safetensors", "checkpoints/last.safetensors", "metrics.jsonl"]) {
    assertEquals(after[`superseded-1/${name.replace("checkpoints/", "")}`], before[name], name);
    assert(after[name] !== before[name], name);
  }
  assertEquals(after["checkpoints/epoch-1.safetensors"], before["checkpoints/epoch-1.safetensors"]);
  const { metadata } = await readSafetensors(last(run));
  assertEquals([metadata.step, JSON.parse(metadata.config).optimizer.learningRate], ["6", 0.001]);
});

cliTest("a checkpoint of the first format is read, with a warning", async (folder) => {
  const run = await twoEpochs(folder);
  await onlyLast(run);
  const bytes = await Deno.readFile(last(run));
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  delete header.__metadata__["scion.sha256"];
  const write = async (format: string) => {
    header.__metadata__.format = format;
    const json = new TextEncoder().encode(JSON.stringify(header).padEnd(length));
    const whole = bytes.slice();
    whole.set(json, 8);
    await Deno.writeFile(last(run), whole);
  };
  await write("2");
  const refused = await pretrain(folder, "--out", run, "--resume", "--epochs", "3");
  assertEquals(refused.status, 1);
  assertStringIncludes(refused.err, "its checksum is missing");
  await write("1");
  const { status, err } = await pretrain(folder, "--out", run, "--resume", "--epochs", "3");
  assertEquals(status, 0, err);
  assertStringIncludes(err, "was written by an older version and has no checksum");
});

const runFaults: Record<string, [damage: (run: string) => Promise<void>, message: RegExp]> = {
  "a damaged config.json": [
    (run) => Deno.writeTextFile(`${run}/config.json`, '{"version":'),
    /Cannot read .*config\.json/,
  ],
  "another run's config.json": [
    async (run) => {
      const text = await Deno.readTextFile(`${run}/config.json`);
      await Deno.writeTextFile(`${run}/config.json`, text.replace('"batch": 16', '"batch": 12'));
    },
    /checkpoint of another run: it differs from .*config\.json in training\.batch \(16, kept 12\)/,
  ],
  "a damaged line of metrics": [
    async (run) => {
      const lines = (await Deno.readTextFile(`${run}/metrics.jsonl`)).split("\n");
      lines[1] = lines[1].slice(0, 10);
      await Deno.writeTextFile(`${run}/metrics.jsonl`, lines.join("\n"));
    },
    /metrics\.jsonl, line 2, is no metrics line/,
  ],
  "no checkpoint, but metrics": [
    async (run) => await Deno.remove(`${run}/checkpoints`, { recursive: true }),
    /has no checkpoint, but metrics up to step 6/,
  ],
};

cliTest("a damaged run is refused, and nothing of it is cut", async (folder) => {
  const whole = await twoEpochs(folder);
  for (const [what, [damage, message]] of Object.entries(runFaults)) {
    const run = `${folder}/${what.replaceAll(" ", "-")}`;
    await copyFolder(whole, run);
    await damage(run);
    const before = await snapshot(run);
    const { status, err } = await pretrain(folder, "--out", run, "--resume", "--epochs", "3");
    assertEquals(status, 1, `${what}: ${err}`);
    assertMatch(err, message, what);
    assertEquals(await snapshot(run), before, `${what}: the run was changed`);
  }
});

cliTest(
  "settings of a run that goes on: what decides about done steps stays, the rest may change",
  async (folder) => {
    const run = await twoEpochs(folder);
    const before = await snapshot(run);
    const refused = [
      "training.seed=5",
      "training.batch=8",
      "training.lastBatch=keep",
      "data.source=synthetic:80",
      "data.heldOut=8",
      "data.imageSize=24",
      "space.widths=[[4],[4],[8],[8]]",
      "head.dimension=12",
      "moco.queue=64",
      "moco.temperature=0.1",
      "sandwich.random=2",
      "augmentation=none",
      "augmentation.flip=0",
      "initialisation.lastBatchnorm=1",
      "knn.every=0",
    ];
    for (const set of refused) {
      const { status, err } = await pretrain(folder, "--out", run, "--resume", "--epochs", "3", "--set", set);
      assertEquals(status, 2, `${set}: ${err}`);
      assertStringIncludes(err, `--set ${set} does not go with --resume: the run in ${run} keeps`);
      assertStringIncludes(
        err,
        set.startsWith("augmentation=") ? "augmentation (" : set.split("=")[0].split(".")[0],
      );
    }
    assertEquals(await snapshot(run), before);
    const allowed = [
      "optimizer.learningRate=0.01",
      "training.logEvery=2",
      "training.checkpointEvery=2",
      "knn.every=2",
    ];
    const sets = allowed.flatMap((set) => ["--set", set]);
    // What repeats the run is welcome.
    const repeated = ["--set", `training.batch=${smallConfig.training.batch}`, "--seed", "1"];
    const { status, err } = await pretrain(
      folder,
      "--out",
      run,
      "--resume",
      "--epochs",
      "3",
      ...sets,
      ...repeated,
    );
    assertEquals(status, 0, err);
    const stored = JSON.parse(await Deno.readTextFile(`${run}/config.json`));
    assertEquals([stored.training.epochs, stored.training.logEvery, stored.knn.every], [3, 2, 2]);
  },
);
