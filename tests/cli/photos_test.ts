/** The way of someone with photos: pretrain, search, extract, embed, on folders, lists, and several of them. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import sharp from "sharp";
import { type Command, executeCommand } from "../../src/cli/command.ts";
import {
  defaultConfigFor,
  demoConfig,
  photosConfig,
  smallPhotosConfig,
} from "../../src/cli/default_config.ts";
import { embedCommand } from "../../src/cli/embed.ts";
import { extractCommand } from "../../src/cli/extract.ts";
import type { Flags } from "../../src/cli/flags.ts";
import { Logger } from "../../src/cli/logger.ts";
import { pretrainCommand } from "../../src/cli/pretrain.ts";
import { searchCommand } from "../../src/cli/search.ts";
import { writeShards } from "../data/tar/shards.ts";
import { smallConfig } from "../pretrain/small_run.ts";
import { withFolder } from "../store/with_folder.ts";

/** A command in this process. */
async function run<F extends Flags, R extends object>(command: Command<F, R>, ...args: string[]) {
  let out = "", err = "";
  const logger = new Logger({ write: (text) => void (err += text), isTerminal: false, columns: () => 80 });
  const status = await executeCommand(command, args, { logger, print: (text) => void (out += text) });
  return { status, out, err };
}

/** Writes images of the given names. */
async function writeImages(folder: string, names: readonly string[]): Promise<void> {
  for (const [index, name] of names.entries()) {
    const path = `${folder}/${name}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    const background = { r: 7 * index % 256, g: 90, b: 40 };
    const image = sharp({ create: { width: 20, height: 24, channels: 3, background } });
    await Deno.writeFile(path, await image.jpeg().toBuffer());
  }
}

const numbered = (part: string, count: number) =>
  Array.from({ length: count }, (_, number) => `${part}/${String(number).padStart(2, "0")}.jpg`);

function photosTest(name: string, body: (folder: string, config: string[]) => Promise<void>): void {
  // The device's timers and callbacks outlive a test by a moment.
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () =>
      withFolder(async (folder) => {
        const { space, head } = smallConfig;
        const path = `${folder}/open.json`;
        await Deno.writeTextFile(
          path,
          JSON.stringify({ space, head, data: { source: "photos", imageSize: 16 } }),
        );
        await body(folder, ["--config", path]);
      }),
  });
}

photosTest("a flat folder: from pretraining to features, nothing given", async (folder, config) => {
  await writeImages(folder, numbered("flat", 40));
  const out = `${folder}/run`;
  const data = ["--data", `${folder}/flat`];
  const started = await run(pretrainCommand, ...config, ...data, "--out", out, "--epochs", "2");
  assertEquals(started.status, 0, started.err);
  for (const field of ["data.heldOut = 0", "training.batch = 16", "moco.queue = 16"]) {
    assertStringIncludes(started.err, `${field} (auto: `);
  }
  assertMatch(started.err, /^memory: about [\d ]+ MiB/m);
  assertMatch(started.err, /first step: compiling/);
  assert(!/warning: No kNN/.test(started.err), started.err);
  const stored = JSON.parse(await Deno.readTextFile(`${out}/config.json`));
  assertEquals([stored.training.batch, stored.data.source], [16, `${folder}/flat`]);
  assert(!JSON.stringify(stored).includes("auto"));

  const resumed = await run(pretrainCommand, ...config, ...data, "--out", out, "--epochs", "3", "--resume");
  assertEquals(resumed.status, 0, resumed.err);
  assert(!resumed.err.includes("differs"), resumed.err);
  assertMatch(resumed.err, /^about [\d.]+ m?s a step, as until now; /m);

  const searched = await run(searchCommand, "--run", out, "--all");
  assertEquals(searched.status, 0, searched.err);
  const model = `${folder}/m.safetensors`;
  const extracted = await run(extractCommand, "--run", out, "--arch", "min", "--out", model);
  assertEquals(extracted.status, 0, extracted.err);
  const [a, b] = ["a", "b"].map((name) => `${folder}/${name}.safetensors`);
  for (const [file, spec] of [[a, `${folder}/flat`], [b, `folder:${folder}/flat`]]) {
    const embedded = await run(embedCommand, "--model", model, "--data", spec, "--out", file, "--json");
    assertEquals([embedded.status, JSON.parse(embedded.out).images], [0, 40], embedded.err);
  }
});

photosTest("several folders and a list make one set for every command", async (folder, config) => {
  await writeImages(folder, [...numbered("one/cat", 12), ...numbered("one/dog", 12)]);
  await writeImages(folder, [...numbered("more/dog", 12), ...numbered("more/fox", 12)]);
  const list = `${folder}/more.txt`;
  const lines = [...numbered("more/dog", 12), ...numbered("more/fox", 12)].reverse();
  await Deno.writeTextFile(list, lines.join("\n"));
  const data = ["--data", `${folder}/one`, "--data", list];
  const out = `${folder}/run`;
  const started = await run(pretrainCommand, ...config, ...data, "--out", out, "--epochs", "1", "--json");
  assertEquals(started.status, 0, started.err);
  assert(JSON.parse(started.out).knn !== null);
  const { record } = JSON.parse(await Deno.readTextFile(`${out}/data.json`));
  assertEquals(record.source, `${folder}/one + ${list}`);
  assertEquals([record.list.images, record.heldOut.length], [48, 9]);
  assertEquals(record.list.files[24][0], "more/fox/11.jpg");

  const other = await run(pretrainCommand, "--out", out, "--resume", "--data", `${folder}/one`);
  assertEquals(other.status, 2);
  assertStringIncludes(other.err, `--data ${folder}/one does not go with --resume`);
  await Deno.writeTextFile(list, lines.reverse().join("\n"));
  const changed = await run(pretrainCommand, "--out", out, "--resume", "--epochs", "2");
  assertEquals(changed.status, 1);
  assertStringIncludes(changed.err, "the same files in another order");

  const files = [...data, "--out", `${folder}/f.safetensors`, "--json"];
  const embedded = await run(embedCommand, "--run", out, ...files);
  assertEquals([embedded.status, JSON.parse(embedded.out).images], [0, 48], embedded.err);
  const missing = await run(embedCommand, "--run", out, "--out", `${folder}/g.safetensors`);
  assertEquals(missing.status, 2);
  assertStringIncludes(missing.err, "--data SPEC is missing");
});

Deno.test("folders, lists and shards of photos have a configuration of their own; all else has the demo's", () =>
  withFolder(async (folder) => {
    await writeImages(folder, ["small/a.jpg"]);
    const large = sharp({ create: { width: 90, height: 70, channels: 3, background: "#456" } });
    await Deno.mkdir(`${folder}/photos`);
    await Deno.writeFile(`${folder}/photos/a.jpg`, await large.jpeg().toBuffer());
    await Deno.writeTextFile(`${folder}/list.txt`, "photos/a.jpg");
    const chosen = async (gpu: boolean, ...data: string[]) => {
      let told = "";
      const write = (text: string) => void (told += text);
      const logger = new Logger({ write, isTerminal: false, columns: () => 80 });
      const config = await defaultConfigFor({ init: undefined, data }, logger, () => Promise.resolve(!gpu));
      assertEquals(told.includes(config), config !== demoConfig, told);
      return config;
    };
    assertEquals(await chosen(true, `${folder}/photos`), photosConfig);
    assertEquals(await chosen(false, `${folder}/photos`), smallPhotosConfig);
    assertEquals(await chosen(true, `${folder}/list.txt`), photosConfig);
    await writeShards(folder, [1], 0, 70);
    assertEquals(await chosen(true, `tar:${folder}/train-0.tar`), photosConfig);
    assertEquals(await chosen(false, `${folder}/small`), demoConfig);
    assertEquals(await chosen(true, "synthetic:8"), demoConfig);
    assertEquals(await chosen(true), demoConfig);
  }));

photosTest("a dry run measures, names what it decided, and writes nothing", async (folder, config) => {
  await writeImages(folder, numbered("flat", 40));
  const args = [...config, "--data", `${folder}/flat`, "--out", `${folder}/run`, "--dry-run"];
  const { status, out, err } = await run(pretrainCommand, ...args, "--json");
  assertEquals(status, 0, err);
  const plan = JSON.parse(out);
  assert(plan.secondsPerStep > 0 && plan.seconds > 0 && Date.parse(plan.ends) > 0, out);
  assertEquals(plan.automatic.find(({ field }: { field: string }) => field === "moco.queue").value, 16);
  assertEquals(await Deno.stat(`${folder}/run`).then(() => true, () => false), false);
  const text = await run(pretrainCommand, ...args);
  assertMatch(text.out, /about [\d.]+ m?s a step, as measured; .* in all: ends about \d\d:\d\d/);
});
