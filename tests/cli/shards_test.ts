/** The way of someone with shards: pretrain, search, evaluate, features. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { embedCommand } from "../../src/cli/embed.ts";
import { evaluateCommand } from "../../src/cli/evaluate.ts";
import { pretrainCommand } from "../../src/cli/pretrain.ts";
import { searchCommand } from "../../src/cli/search.ts";
import { writeShards } from "../data/tar/shards.ts";
import { smallConfig } from "../pretrain/small_run.ts";
import { cliTest, runInProcess } from "./run_command.ts";

cliTest("shards: from pretraining to features, and what is refused", async (folder) => {
  const data = await writeShards(folder, [24, 24], 3, 20);
  await Deno.mkdir(`${folder}/test`);
  const testData = await writeShards(`${folder}/test`, [12], 3, 22);
  const { space, head } = smallConfig;
  const config = `${folder}/open.json`;
  await Deno.writeTextFile(config, JSON.stringify({ space, head, data: { source: data, imageSize: 16 } }));
  const run = `${folder}/run`;
  const started = await runInProcess(pretrainCommand, ["--config", config, "--out", run, "--epochs", "2"]);
  assertEquals(started.status, 0, started.err);
  for (const field of ["data.heldOut = 9", "training.batch = 16"]) {
    assertStringIncludes(started.err, `${field} (auto: `);
  }
  assertMatch(started.err, /^39 images, /m);

  const searched = await runInProcess(searchCommand, ["--run", run, "--data", data, "--all", "--json"]);
  assertEquals(searched.status, 0, searched.err);
  // Those held out are not searched with.
  assertEquals(JSON.parse(searched.out).images, 39);

  const judged = await runInProcess(evaluateCommand, [
    ...["--run", run, "--protocol", "knn", "--neighbours", "3", "--json"],
    ...["--data", data, "--test-data", testData, "--out", `${folder}/judged`],
  ]);
  assertEquals(judged.status, 0, judged.err);
  // The largest subnet and the smallest, on 12 images.
  const correct = JSON.parse(judged.out).results.map((result: { accuracy: number }) => 12 * result.accuracy);
  assertEquals(correct.map((number: number) => Math.abs(number - Math.round(number)) < 1e-9), [true, true]);
  const shared = await runInProcess(evaluateCommand, [
    ...["--run", run, "--protocol", "knn", "--data", data],
    ...["--test-data", `tar:${folder}/train-1.tar`, "--out", `${folder}/shared`],
  ]);
  assertEquals(shared.status, 2);
  assertMatch(shared.err, /share images: 1 of .*train-1\.tar/);

  const embed = ["--run", run, "--data", data, "--calibrate", "0"];
  const features = await runInProcess(embedCommand, [...embed, "--out", `${folder}/f.csv`]);
  assertEquals(features.status, 0, features.err);
  const rows = (await Deno.readTextFile(`${folder}/f.csv`)).trimEnd().split("\n");
  assertEquals(rows.length, 49);
  assertEquals(rows.slice(24, 26).map((row) => row.split(",", 2)), [
    ["train-0.tar:23.png", "2"],
    ["train-1.tar:24.png", "0"],
  ]);
  await Deno.symlink(`${folder}/train-1.tar`, `${folder}/link.csv`);
  const over = await runInProcess(embedCommand, [...embed, "--out", `${folder}/link.csv`]);
  assertEquals(over.status, 2, over.err);
  assertStringIncludes(over.err, `is the input ${folder}/train-1.tar`);
});

cliTest(
  "shards that are missing, misspelt or damaged are refused with what to do",
  async (folder) => {
    const data = await writeShards(folder, [2, 2], 0, 20);
    const config = `${folder}/open.json`;
    const { space, head } = smallConfig;
    await Deno.writeTextFile(config, JSON.stringify({ space, head, data: { source: data, imageSize: 16 } }));
    const pretrain = (...args: string[]) =>
      runInProcess(pretrainCommand, ["--config", config, "--out", `${folder}/run`, "--epochs", "1", ...args]);
    const missing = await pretrain("--data", `tar:${folder}/train-{0..2}.tar`);
    assertEquals(missing.status, 2);
    assertStringIncludes(missing.err, `train-2.tar" does not exist; 1 of 3 shards do not`);
    const braces = await pretrain("--data", "tar:train-{a..b}.tar");
    assertEquals(braces.status, 2);
    assertStringIncludes(braces.err, "hold no range of numbers");
    const bytes = await Deno.readFile(`${folder}/train-1.tar`);
    bytes[600] ^= 1;
    bytes[10] ^= 1;
    await Deno.writeFile(`${folder}/train-1.tar`, bytes);
    const damaged = await pretrain();
    assertEquals(damaged.status, 1);
    assertMatch(damaged.err, /train-1\.tar" is no tar archive: its first header says that its checksum is/);
  },
);
