/** `pretrain --init`: from a file of weights to a run that is trained, resumed, embedded and cut. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { embedCommand } from "../../src/cli/embed.ts";
import { extractCommand } from "../../src/cli/extract.ts";
import { configurations } from "../../src/cli/init_flag.ts";
import { pretrainCommand } from "../../src/cli/pretrain.ts";
import { loadConfig } from "../../src/config/load.ts";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { readSafetensors, writeSafetensors } from "../../src/store/safetensors.ts";
import { assertClose } from "../helpers.ts";
import { cliTest, runInProcess } from "./run_command.ts";

const golden = new URL("../golden/pth/", import.meta.url).pathname;

/** A space around basic.pth, and a run of a few hundredths of a second. */
const config = {
  space: {
    block: "basic",
    stem: { kind: "7x7", widths: [4] },
    widths: [[4], [4, 8], [4, 8], [6, 12]],
    depths: [[1], [1, 2], [1], [1, 2]],
  },
  data: {
    source: "synthetic:40",
    heldOut: 8,
    imageSize: 32,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  },
  head: { kind: "linear", dimension: 8 },
  moco: { queue: 16, momentum: 0.9 },
  training: { epochs: 1, batch: 16, logEvery: 1, checkpointEvery: 1 },
  knn: { every: 0 },
};

async function pretrain(folder: string, ...args: string[]) {
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
  return await runInProcess(pretrainCommand, ["--config", `${folder}/config.json`, ...args]);
}

async function tensorsOf(path: string) {
  return (await readSafetensors(path)).tensors;
}

/** The run's features of the golden images at its largest architecture, with its running statistics. */
async function featuresOf(run: string, out: string): Promise<Float32Array> {
  const data = `tensor:${golden}features.safetensors`;
  const { status, err } = await runInProcess(
    embedCommand,
    ["--run", run, "--calibrate", "0", "--data", data, "--out", out],
  );
  assertEquals(status, 0, err);
  return (await tensorsOf(out)).get("features")!.data as Float32Array;
}

cliTest("a run from a .pth file: before training, trained, resumed without the file", async (folder) => {
  const run = `${folder}/run`, last = `${run}/checkpoints/last.safetensors`, weights = `${folder}/a.pth`;
  await Deno.copyFile(`${golden}basic.pth`, weights);
  const started = await pretrain(folder, "--init", weights, "--epochs", "0", "--out", run);
  assertEquals(started.status, 0, started.err);
  assertStringIncludes(started.err, `starts from ${weights}, a ResNet 4-4.8.8.12-1.2.1.2 of basic blocks`);
  assertStringIncludes(started.err, "fc.*; the projection head is new");
  assertStringIncludes(
    started.err,
    "distillation.teacher self: all subnets learn what the given weights know",
  );
  assert(!started.err.includes("data.mean"), started.err);
  const stored = JSON.parse(await Deno.readTextFile(`${run}/config.json`)).initialisation;
  assertEquals(stored.weights, weights);
  const hash = await crypto.subtle.digest("SHA-256", await Deno.readFile(weights));
  assertEquals(stored.weightsSha256, new Uint8Array(hash).toHex());

  const before = await tensorsOf(last);
  for (const name of ["layer2.1.conv1.weight", "bn1.running_mean", "layer4.0.downsample.1.running_var"]) {
    assertEquals(before.get(`encoder_q.${name}`), before.get(`encoder_k.${name}`), name);
  }
  const expected = (await tensorsOf(`${golden}features.safetensors`)).get("basic")!.data as Float32Array;
  assertClose(await featuresOf(run, `${folder}/before.safetensors`), expected, 1e-5, "features");
  const model = `${folder}/model.safetensors`;
  const cut = await runInProcess(
    extractCommand,
    ["--run", run, "--arch", "max", "--calibrate", "0", "--out", model],
  );
  assertEquals(cut.status, 0, cut.err);
  const { status, err } = await runInProcess(
    embedCommand,
    [
      "--model",
      model,
      "--data",
      `tensor:${golden}features.safetensors`,
      "--out",
      `${folder}/cut.safetensors`,
    ],
  );
  assertEquals(status, 0, err);
  const { data } = (await tensorsOf(`${folder}/cut.safetensors`)).get("features")!;
  assertClose(data as Float32Array, expected, 1e-5, "features of the model");

  await Deno.remove(weights);
  const resumed = await pretrain(folder, "--resume", "--epochs", "1", "--out", run, "--json");
  assertEquals(resumed.status, 0, resumed.err);
  const { steps, loss } = JSON.parse(resumed.out);
  assertEquals(steps, 2);
  assert(loss > 0);
  const after = await tensorsOf(last);
  assertEquals(after.get("channel_order.layer4"), before.get("channel_order.layer4"));
  assert(
    after.get("encoder_q.conv1.weight")!.data.join() !== before.get("encoder_q.conv1.weight")!.data.join(),
  );
  assertEquals(JSON.parse(await Deno.readTextFile(`${run}/config.json`)).initialisation, stored);
  // Training moved the features, but each is still that of its own channel: nearest to the old one in the same place.
  const moved = await featuresOf(run, `${folder}/after.safetensors`);
  assert(correlation(moved, expected) > 0.9, `correlation ${correlation(moved, expected)}`);

  // A checkpoint is itself a file to start from.
  const again = `${folder}/again`;
  const second = await pretrain(folder, "--init", last, "--epochs", "0", "--out", again);
  assertEquals(second.status, 0, second.err);
  assertStringIncludes(second.err, "encoder_k.*");
});

function correlation(one: Float32Array, other: Float32Array): number {
  const centred = (values: Float32Array) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return values.map((value) => value - mean);
  };
  const [a, b] = [centred(one), centred(other)];
  const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, at) => sum + value * y[at], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

cliTest(
  "a run that was killed before its first checkpoint begins anew, from the same file only",
  async (folder) => {
    const run = `${folder}/run`, last = `${run}/checkpoints/last.safetensors`, weights = `${folder}/a.pth`;
    await Deno.copyFile(`${golden}basic.pth`, weights);
    assertEquals((await pretrain(folder, "--init", weights, "--epochs", "0", "--out", run)).status, 0);
    const first = await Deno.readFile(last);
    await Deno.remove(last);
    const resumed = await pretrain(folder, "--resume", "--epochs", "0", "--out", run);
    assertEquals(resumed.status, 0, resumed.err);
    assertEquals(await Deno.readFile(last), first);

    await Deno.remove(last);
    await Deno.copyFile(`${golden}wrapped.pth`, weights);
    const other = await pretrain(folder, "--resume", "--epochs", "0", "--out", run);
    assertEquals(other.status, 1);
    assertStringIncludes(
      other.err,
      `${weights} is not the file whose SHA-256 is initialisation.weightsSha256`,
    );
  },
);

cliTest(
  "what cannot be started from is refused in one message, and leaves nothing behind",
  async (folder) => {
    const run = `${folder}/run`;
    const refused: readonly [args: string[], status: number, reason: RegExp][] = [
      [["--init", `${golden}system.pth`], 1, /holds code: its pickle asks Python for posix\.system/],
      [["--init", `${golden}system.pth`, "--dry-run"], 1, /holds code/],
      [["--init", `${folder}/none.pth`], 1, /there is no such file/],
      [["--init", `${golden}kinds2.pth`], 1, /holds no ResNet/],
      [["--init", `${golden}wrapped.pth`], 2, /space\.block is "basic"; set it to "bottleneck"/],
      [
        ["--init", `${golden}basic.pth`, "--set", "space.widths.3=[12,16]"],
        2,
        /goes up to 16; give at most 12/,
      ],
    ];
    for (const [args, status, reason] of refused) {
      const found = await pretrain(folder, ...args, "--out", run);
      assertEquals(found.status, status, found.err);
      assertMatch(found.err, reason);
      assertEquals(await Array.fromAsync(Deno.readDir(folder), ({ name }) => name), ["config.json"]);
    }
    const unknown = await runInProcess(pretrainCommand, ["--init", `${golden}basic.pth`, "--out", run]);
    assertEquals(unknown.status, 2);
    assertMatch(
      unknown.err,
      /4-4\.8\.8\.12-1\.2\.1\.2 of basic blocks.*no configuration.*configs\/resnet34\.json/,
    );
    assertEquals(
      (await pretrain(folder, "--init", `${golden}basic.pth`, "--epochs", "0", "--out", run)).status,
      0,
    );
    const both = await pretrain(folder, "--init", `${golden}basic.pth`, "--resume", "--out", run);
    assertEquals(both.status, 2);
    assertMatch(both.err, /--init .*basic\.pth is given with --resume.*Leave --init out/);
  },
);

cliTest("a checkpoint whose channels are in an order that cannot be is refused", async (folder) => {
  const run = `${folder}/run`, last = `${run}/checkpoints/last.safetensors`;
  assertEquals(
    (await pretrain(folder, "--init", `${golden}basic.pth`, "--epochs", "0", "--out", run)).status,
    0,
  );
  const { tensors, metadata } = await readSafetensors(last);
  const { data } = tensors.get("channel_order.layer4")!;
  data[3] = data[5];
  await writeSafetensors(last, tensors, metadata);
  const args = ["--run", run, "--arch", "min", "--calibrate", "0", "--out", `${folder}/a.safetensors`];
  const { status, err } = await runInProcess(extractCommand, args);
  assertEquals(status, 1);
  assertMatch(err, /is damaged: its channel_order\.layer4 names a channel twice/);
});

cliTest("other means and deviations than ImageNet's are warned of", async (folder) => {
  const args = ["--init", `${golden}basic.pth`, "--epochs", "0", "--out", `${folder}/run`];
  const { status, err } = await pretrain(folder, ...args, "--set", "data.mean=[0.5,0.5,0.5]");
  assertEquals(status, 0, err);
  assertMatch(err, /data\.mean is \[0\.5,0\.5,0\.5\].*\[0\.485,0\.456,0\.406\]/);
});

Deno.test("configurations for torchvision's networks have them as their largest architectures", async () => {
  for (const [network, path] of Object.entries(configurations)) {
    const { space: definition, data } = await loadConfig(new URL(`../../${path}`, import.meta.url).pathname);
    const { max, named, size } = new SearchSpace(definition);
    assertEquals(`${definition.block} ${max.id}`, network);
    assertEquals([...named.values()].map(({ id }) => id), [max.id]);
    assertEquals([definition.stem.kind, data.mean[0]], ["7x7", 0.485]);
    assert(size >= 100, `${size} architectures`);
  }
});

cliTest(
  "a shortcut that is an identity in the file and a projection in the space hands on what it gets",
  async (folder) => {
    const elastic = ["--set", "space.stem.widths=[2,4]", "--set", "space.widths.0=[2,4]"];
    const init = [
      "--init",
      `${golden}basic.pth`,
      "--epochs",
      "0",
      "--set",
      "data.heldOut=0",
      "--set",
      "training.batch=40",
      "--set",
      "moco.queue=40",
    ];
    for (const [run, space] of [["fixed", []], ["elastic", elastic]] as const) {
      const { status, err } = await pretrain(folder, ...init, "--out", `${folder}/${run}`, ...space);
      assertEquals(status, 0, err);
    }
    const expected = (await tensorsOf(`${golden}features.safetensors`)).get("basic")!.data as Float32Array;
    assertClose(await featuresOf(`${folder}/elastic`, `${folder}/a.safetensors`), expected, 1e-5, "features");
    const tensors = await tensorsOf(`${folder}/elastic/checkpoints/last.safetensors`);
    const order = (name: string) => Array.from(tensors.get(name)!.data as Int32Array);
    // The stem and the stage are the same channels, and stay so: where both are cut to two, the same two are left.
    const identity = tensors.get("encoder_q.layer1.0.downsample.0.weight")!;
    assertEquals(
      Array.from(identity.data as Float32Array),
      Array.from({ length: 16 }, (_, at) => at % 5 === 0 ? 1 : 0),
    );
    assertEquals(order("channel_order.layer1").toSorted(), [0, 1, 2, 3]);
    // Nor does it normalise with the statistics of a batch: taken from the run's images, the features are those without it.
    const recalibrated = await Promise.all(["fixed", "elastic"].map(async (run) => {
      const out = `${folder}/${run}.safetensors`;
      const { status, err } = await runInProcess(
        embedCommand,
        ["--run", `${folder}/${run}`, "--calibrate", "40", "--data", "synthetic:40", "--out", out],
      );
      assertEquals(status, 0, err);
      return (await tensorsOf(out)).get("features")!.data as Float32Array;
    }));
    assertClose(recalibrated[1], recalibrated[0], 0.01, "recalibrated features");
  },
);

cliTest("the weights teach unless the configuration or a flag says otherwise", async (folder) => {
  const teacherOf = async (name: string, more: object, ...args: string[]) => {
    await Deno.writeTextFile(`${folder}/${name}.json`, JSON.stringify({ ...config, ...more }));
    const init = ["--init", `${golden}basic.pth`, "--epochs", "0", "--out", `${folder}/${name}`];
    const { status, err } = await runInProcess(
      pretrainCommand,
      ["--config", `${folder}/${name}.json`, ...init, ...args],
    );
    assertEquals(status, 0, err);
    return JSON.parse(await Deno.readTextFile(`${folder}/${name}/config.json`)).distillation.teacher;
  };
  assertEquals(await teacherOf("silent", {}), "self");
  assertEquals(await teacherOf("keys", { distillation: { teacher: null } }), null);
  assertEquals(await teacherOf("flag", {}, "--set", "distillation.teacher=null"), null);
});
