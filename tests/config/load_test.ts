import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConfigurationError, UsageError } from "../../src/errors.ts";
import { configDifferences } from "../../src/config/difference.ts";
import { formatConfig, loadConfig, loadSettings, parseConfig, parseSettings } from "../../src/config/load.ts";
import { parseSet } from "../../src/config/overrides.ts";
import { type Config, configSchema, type Settings } from "../../src/config/schema.ts";
import { configTypeText } from "../../src/config/config_type.ts";
import { jsonSchemaText } from "../../src/config/json_schema.ts";
import { macs } from "../../src/elastic/costs.ts";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import type { z } from "zod";

const folder = new URL("../../configs/", import.meta.url);

type Views = Exclude<Config["augmentation"], "none">;

const minimal = () => ({
  space: {
    block: "basic",
    stem: { kind: "3x3", widths: [8] },
    widths: [[8], [8, 16], [16], [32]],
    depths: [[1], [1], [1], [1, 2]],
  },
});

function failure(raw: unknown, ...sets: string[]): string {
  return assertThrows(() => parseConfig(raw, "demo.json", sets.map(parseSet)), ConfigurationError).message;
}

Deno.test("everything but the space has a default: MoCo v2's published settings", () => {
  const config = parseConfig(minimal(), "demo.json");
  assertEquals(config.space.strides, [1, 2, 2, 2]);
  assertEquals(config.moco, {
    queue: 65536,
    momentum: 0.999,
    temperature: 0.2,
    teacher: "largest",
    batchnormGroups: 1,
    shuffle: true,
    selfDistillation: 0,
  });
  assertEquals(config.optimizer.learningRate, 0.03);
  assertEquals(config.augmentation, {
    crop: { scale: [0.2, 1], ratio: [0.75, 4 / 3] },
    flip: 0.5,
    jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1, probability: 0.8 },
    grayscale: 0.2,
    blur: { probability: 0.5, sigma: [0.1, 2] },
  });
});

Deno.test("what is not given is left to the images and the device, or follows what is given", () => {
  const open = parseSettings(minimal(), "demo.json");
  const fields = [open.data.heldOut, open.data.workers, open.moco.queue, open.optimizer.learningRate];
  const more = [open.training.batch, open.training.epochs, open.knn.neighbours, open.knn.bank];
  assertEquals([...fields, ...more], Array(8).fill("auto"));
  const given = (...sets: string[]) => parseConfig(minimal(), "demo.json", sets.map(parseSet));
  assertEquals(given("moco.queue=100").training.batch, 100);
  assertEquals(given("moco.batchnormGroups=24").training.batch, 240);
  assertEquals(given("optimizer.warmupEpochs=300").training.epochs, 300);
  assertEquals(given("training.batch=auto").training.batch, 256);
  assertEquals(
    configDifferences(open, given("training.batch=64", "training.seed=2")).map(({ field }) => field),
    [
      "training.seed",
    ],
  );
});

Deno.test("the configurations that come along keep the numbers that they had", async () => {
  for (const name of ["demo", "cifar10-elastic", "cifar10-resnet18", "imagenet-ar50to101"]) {
    const { data, moco, optimizer, training, knn } = await loadSettings(
      new URL(`${name}.json`, folder).pathname,
    );
    const fields = [data.heldOut, moco.queue, optimizer.learningRate, training.batch, training.epochs];
    assert([...fields, knn.neighbours, knn.bank].every((value) => value !== "auto"), name);
  }
});

Deno.test("wrong fields are named with what was given and what is allowed", () => {
  const raw = minimal();
  const cases: [string, string][] = [
    [
      "training.batch=0",
      'training.batch cannot be 0. Allowed: a whole number (at least 1, at most 65536), or "auto".',
    ],
    [
      "training.seed=-1",
      "training.seed cannot be -1. Allowed: a whole number (at least 0, at most 4294967295).",
    ],
    ["optimizer.momentum=1", "optimizer.momentum cannot be 1. Allowed: a number (at least 0, below 1)."],
    ["space.block=wide", 'space.block cannot be "wide". Allowed: "bottleneck" or "basic".'],
    [
      "data.mean=[1,2]",
      "data.mean cannot be [1,2]. Allowed: a list of 3 entries, each a number (at least -1000, at most 1000).",
    ],
    [
      'space.widths.1=[8,"x"]',
      'space.widths[1][1] cannot be "x". Allowed: a whole number (at least 1, at most 16384).',
    ],
    ["training=5", "training cannot be 5. Allowed: an object (fields: epochs, batch,"],
    ["augmentation=some", 'augmentation cannot be "some". Allowed: "none", or an object'],
    [
      "augmentation.blur=3",
      "augmentation.blur cannot be 3. Allowed: an object (fields: probability, sigma), or null.",
    ],
    [
      "data.source=",
      'data.source cannot be "". Allowed: a text that is not empty, or a list with at least one',
    ],
  ];
  for (const [set, message] of cases) {
    assertEquals(failure(raw, set).startsWith(`--set: ${message}`), true, set);
  }
  assertEquals(raw, minimal());
});

Deno.test("unknown fields are errors that suggest the nearest name and list the allowed ones", () => {
  const inFile = failure({ ...minimal(), training: { batchh: 8, epoch: 2 } });
  assert(
    inFile.includes("demo.json: training.batchh is not a configuration field. Did you mean training.batch?"),
  );
  assert(inFile.includes("training.epoch is not a configuration field. Did you mean training.epochs?"));
  assert(inFile.includes("Allowed here: epochs, batch, lastBatch, logEvery, checkpointEvery, seed."));
  assert(failure({ ...minimal(), augmentation: { flipp: 1 } }).includes("Did you mean augmentation.flip?"));
  assert(failure(minimal(), "trainin.batch=8").includes("Did you mean training? Allowed here: space, data,"));
  assert(failure(minimal(), "optimizer.lr=1").includes("Allowed here: learningRate, momentum,"));
});

Deno.test("missing parts and wrong roots", () => {
  assert(failure({}).includes("space is missing. Allowed: an object (fields: block, stem,"));
  assertEquals(failure({ space: {} }).split("\n").length, 4);
  for (const root of [5, null, [], "text"]) assert(failure(root).includes("The configuration cannot be"));
});

Deno.test("--set takes JSON or else text, creates parents, and reaches into lists", () => {
  const sets = [
    "training.batch=32",
    "moco.queue=128",
    "data.source=folder:some/images",
    "data.test=null",
    "augmentation.blur.sigma=[0.5,1]",
    "space.widths.1=[8,16,24]",
    "space.named.little=8-8.8.16.32-1.1.1.1",
    "training.batch=64",
  ];
  const config = parseConfig(minimal(), "demo.json", sets.map(parseSet));
  assertEquals(config.training.batch, 64);
  assertEquals(config.data.source, "folder:some/images");
  assertEquals(config.data.test, null);
  assertEquals(config.space.widths[1], [8, 16, 24]);
  assertEquals(config.space.named, { little: "8-8.8.16.32-1.1.1.1" });
  assertEquals((config.augmentation as Views).blur, { probability: 0.5, sigma: [0.5, 1] });
  assertEquals(parseConfig(minimal(), "demo.json", [parseSet("augmentation=none")]).augmentation, "none");
});

Deno.test("--set into something without parts, past a list, or without a value", () => {
  assert(
    failure({ ...minimal(), augmentation: "none" }, "augmentation.flip=1").includes('augmentation is "none"'),
  );
  assert(failure(minimal(), "data.mean.0=0.5").includes("data.mean is not in the file. Set it as a whole"));
  assert(failure(minimal(), "space.widths.9=[8]").includes("space.widths has entries 0 to 3"));
  assertThrows(
    () => parseSet("training.batch"),
    UsageError,
    "--set training.batch: give a field and a value",
  );
  assertThrows(() => parseSet("=4"), UsageError);
});

Deno.test("what a flag asked for is blamed on the flag", () => {
  const override = { path: "training.epochs", value: -1, flag: "--epochs" };
  const error = assertThrows(() => parseConfig(minimal(), "demo.json", [override]), ConfigurationError);
  assertEquals(
    error.message,
    '--epochs: training.epochs cannot be -1. Allowed: a whole number (at least 0, at most 1000000), or "auto".',
  );
});

Deno.test("an impossible space is refused with its field", () => {
  assert(failure(minimal(), "space.widths=[[8],[8]]").includes("space.depths: describes 4 stages, but"));
  assert(
    failure(minimal(), "space.named.r=8-8.8.16.32-1.1.1.3").includes(
      "stage 4 depth 3 is not between 1 and 2",
    ),
  );
});

Deno.test("files: missing, a folder, no JSON, and back from a run folder", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await assertRejects(
      () => loadConfig(`${folder}/no.json`),
      ConfigurationError,
      "There is no configuration file",
    );
    await assertRejects(
      () => loadConfig(folder),
      ConfigurationError,
      "cannot be read as a configuration file",
    );
    const file = `${folder}/config.json`;
    await Deno.writeTextFile(file, '{\n  "space": {},\n  "data" {}\n}');
    await assertRejects(
      () => loadConfig(file),
      ConfigurationError,
      'line 3, column 10: expected ":", found "{"',
    );
    const config = parseConfig(minimal(), "demo.json", [parseSet("training.seed=7")]);
    await Deno.writeTextFile(file, formatConfig(config));
    assertEquals(await loadConfig(file), config);
    assert("version" in JSON.parse(await Deno.readTextFile(file)));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("src/config/config.ts is up to date (deno task schema), and is the type that the schema infers", async () => {
  const path = new URL("../../src/config/config.ts", import.meta.url);
  assertEquals(await Deno.readTextFile(path), configTypeText());
  type Inferred = Omit<z.output<typeof configSchema>, "$schema" | "version">;
  // Types alone: each fits where the other is expected.
  const there: (config: Settings) => Inferred = (config) => config;
  const back: (config: Inferred) => Settings = (config) => config;
  const complete: (config: Config) => Settings = (config) => config;
  const config = complete(parseConfig(minimal(), "test"));
  assertEquals(back(there(config)), config);
});

Deno.test("configs/schema.json is up to date (deno task schema)", async () => {
  assertEquals(
    await Deno.readTextFile(new URL("../../configs/schema.json", import.meta.url)),
    jsonSchemaText(),
  );
});

Deno.test("every field is described and, outside the space, has a default", () => {
  // deno-lint-ignore no-explicit-any -- walks zod's own, loosely typed output
  const visit = (node: any, path: string) => {
    for (const [name, child] of Object.entries<Record<string, unknown>>(node.properties ?? {})) {
      const field = `${path}${name}`;
      assert(child.description, `${field} has no description`);
      const optional = ["space", "$schema", "version"].some((prefix) => field.startsWith(prefix));
      assert(optional || "default" in child, `${field} has no default`);
      visit(child, `${field}.`);
    }
    for (const alternative of node.anyOf ?? []) visit(alternative, path);
  };
  visit(JSON.parse(jsonSchemaText()), "");
  assertEquals(configSchema.safeParse(minimal()).success, true);
});

Deno.test("the published configurations load", async () => {
  const architectures: Record<string, number> = {
    "demo.json": 108,
    "cifar10-elastic.json": 3888,
    "cifar10-resnet18.json": 1,
    "imagenet-ar50to101.json": 85_293,
    "photos.json": 288,
    "photos-small.json": 288,
  };
  const sizes: Record<string, number> = {};
  for await (const { name } of Deno.readDir(folder)) {
    if (name === "schema.json" || /^(compare|finetune)-/.test(name)) continue;
    const file = new URL(name, folder).pathname;
    assertEquals(JSON.parse(await Deno.readTextFile(file)).$schema, "./schema.json");
    sizes[name] = new SearchSpace((await loadConfig(file)).space).size;
  }
  for (const [name, size] of Object.entries(architectures)) assertEquals(sizes[name], size, name);
});

Deno.test("the demo's largest network has 4 to 5 million MACs", async () => {
  const config = await loadConfig(new URL("demo.json", folder).pathname);
  const space = new SearchSpace(config.space);
  const largest = macs(new ElasticResNet(space), space.max, config.data.imageSize);
  assert(largest > 4e6 && largest < 5e6, String(largest));
});

Deno.test("cifar10-resnet18 has the settings of MoCo's CIFAR-10 demo", async () => {
  const { moco, optimizer, training, knn, head, ...rest } = await loadConfig(
    new URL("cifar10-resnet18.json", folder).pathname,
  );
  assertEquals([head.kind, head.dimension], ["linear", 128]);
  assertEquals([training.batch, training.epochs], [512, 200]);
  assertEquals([optimizer.learningRate, optimizer.schedule, optimizer.momentum], [0.06, "cosine", 0.9]);
  assertEquals(optimizer.weightDecay, 0.0005);
  assertEquals([moco.queue, moco.momentum, moco.temperature, moco.batchnormGroups], [4096, 0.99, 0.1, 8]);
  const augmentation = rest.augmentation as Views;
  assertEquals([augmentation.blur, augmentation.crop?.scale], [null, [0.08, 1]]);
  assertEquals([knn.neighbours, knn.temperature, knn.features], [200, 0.1, "projection"]);
});
