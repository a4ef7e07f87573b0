import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { compareCommand } from "../../src/cli/compare.ts";
import { cliTest, runInProcess } from "./run_command.ts";

const compare = (...args: string[]) => runInProcess(compareCommand, args);

const base = {
  space: {
    block: "basic",
    stem: { kind: "3x3", widths: [4] },
    widths: [[4, 8], [8]],
    depths: [[1], [1]],
    strides: [1, 2],
  },
  data: { source: "synthetic:40", heldOut: 8, imageSize: 16 },
  head: { kind: "linear", dimension: 8 },
  moco: { queue: 8 },
  training: { batch: 8, epochs: 1 },
  knn: { every: 1, neighbours: 4, calibrate: 16 },
};
const methods = [{ name: "alone", alone: true }, {
  name: "other",
  set: { "moco.teacher": "same-architecture" },
}];

async function write(folder: string, comparison: unknown): Promise<string> {
  await Deno.writeTextFile(`${folder}/base.json`, JSON.stringify(base));
  await Deno.writeTextFile(`${folder}/compare.json`, JSON.stringify(comparison));
  return `${folder}/compare.json`;
}

cliTest("compare pretrains each method and size under each seed once", async (folder) => {
  const file = await write(folder, { config: "base.json", sizes: ["min", "max"], seeds: [5, 6], methods });
  const out = `${folder}/out`;
  const { status, out: text, err } = await compare("--config", file, "--out", out, "--json");
  assertEquals(status, 0, err);
  const { rows } = JSON.parse(text);
  assertEquals(
    rows.map(({ method, size, seed, run }: Record<string, unknown>) => [method, size, seed, run]),
    [
      ["alone", "min", 5, "alone-min-seed-5"],
      ["alone", "max", 5, "alone-max-seed-5"],
      ["other", "min", 5, "other-seed-5"],
      ["other", "max", 5, "other-seed-5"],
      ["alone", "min", 6, "alone-min-seed-6"],
      ["alone", "max", 6, "alone-max-seed-6"],
      ["other", "min", 6, "other-seed-6"],
      ["other", "max", 6, "other-seed-6"],
    ],
  );
  const config = async (run: string) => JSON.parse(await Deno.readTextFile(`${out}/${run}/config.json`));
  const alone = await config("alone-min-seed-6");
  assertEquals([alone.space.widths, alone.training.seed, alone.data.seed], [[[4], [8]], 6, 1]);
  assertEquals((await config("other-seed-5")).moco.teacher, "same-architecture");
  const heldOut = async (run: string) =>
    JSON.parse(await Deno.readTextFile(`${out}/${run}/data.json`)).heldOut;
  assertEquals(await heldOut("alone-min-seed-5"), await heldOut("other-seed-6"));
  assertStringIncludes(await Deno.readTextFile(`${out}/report.html`), "alone");

  // Again, with a row that is lost and an older one: their runs are judged again, and none is pretrained.
  const path = `${out}/comparison.json`;
  const saved = JSON.parse(await Deno.readTextFile(path));
  const older = { ...saved.rows[0], linear: undefined, epoch: undefined, knn: 0.123 };
  const lost = [older, ...saved.rows.slice(1).filter((row: { run: string }) => row.run !== "other-seed-5")];
  await Deno.writeTextFile(path, JSON.stringify({ ...saved, rows: lost }));
  const again = await compare("--config", file, "--out", out);
  assertEquals(again.status, 0, again.err);
  assertMatch(again.out, /min +alone( +\d+\.\d % \(\d+\.\d, \d+\.\d\)){2}/);
  assertMatch(again.out, /max +other( +\d+\.\d % \(\d+\.\d, \d+\.\d\) +[+−]?\d+\.\d ± \d+\.\d){2}/);
  assertEquals(again.err.includes("steps/s"), false, again.err);
  assertEquals(again.err.match(/: judging/g)?.length, 2, again.err);
  assertEquals(JSON.parse(await Deno.readTextFile(path)), saved);

  // A run that is another by now is refused, although its rows are known.
  await Deno.writeTextFile(`${folder}/base.json`, JSON.stringify({ ...base, moco: { queue: 16 } }));
  const changed = await compare("--config", file, "--out", out);
  assertEquals([changed.status, changed.err.includes("moco.queue")], [2, true], changed.err);
});

cliTest("compare judges along pretraining where it is asked for, by kept checkpoints", async (folder) => {
  const longer = { ...base, training: { batch: 8, epochs: 3 } };
  const definition = { config: "base.json", sizes: ["min", "max"], seeds: [5], methods: [methods[1]] };
  const out = `${folder}/out`;
  const path = `${out}/comparison.json`;
  const run = async (every: number | undefined) => {
    const file = await write(folder, { ...definition, every });
    await Deno.writeTextFile(`${folder}/base.json`, JSON.stringify(longer));
    const { status, out: text, err } = await compare("--config", file, "--out", out, "--json");
    assertEquals(status, 0, err);
    return { ...JSON.parse(text), err };
  };
  const { rows, curve } = await run(1);
  const places = (rows: readonly Record<string, unknown>[]) => rows.map(({ size, epoch }) => [size, epoch]);
  assertEquals(places(curve), [1, 2, 3].flatMap((epoch) => [["min", epoch], ["max", epoch]]));
  assertEquals(curve.slice(4), rows);
  const seconds = curve.map(({ seconds }: { seconds: number }) => seconds);
  assert(0 < seconds[0] && seconds[0] < seconds[2] && seconds[2] < seconds[4], String(seconds));
  assertStringIncludes(await Deno.readTextFile(`${out}/report.html`), "Along pretraining");

  // The end is the same without the curve; asked for it again, what is known is not judged again.
  assertEquals((await run(undefined)).rows, rows);
  const saved = JSON.parse(await Deno.readTextFile(path));
  await Deno.writeTextFile(path, JSON.stringify({ ...saved, curve: curve.slice(2) }));
  const again = await run(1);
  assertEquals([again.curve, again.err.match(/after \d epoch/g)], [curve, ["after 1 epoch"]]);

  // A checkpoint that is gone leaves a gap, and is spoken of.
  await Deno.remove(`${out}/other-seed-5/checkpoints/epoch-2.safetensors`);
  await Deno.writeTextFile(path, JSON.stringify({ ...saved, curve: [] }));
  const gap = await run(1);
  assertEquals(places(gap.curve), [["min", 1], ["max", 1], ["min", 3], ["max", 3]]);
  assertStringIncludes(gap.err, "has no checkpoints of epochs 2");
});

cliTest("compare says what is wrong with a comparison", async (folder) => {
  for (
    const [comparison, words] of [
      [{ config: "base.json", methods: [] }, "methods"],
      [{ config: "base.json", methods, size: ["min"] }, "size"],
      [{ config: "base.json", methods: [methods[0], methods[0]] }, "twice"],
      [{ config: "base.json", methods: [{ name: "a", set: { "moco.teachr": 1 } }] }, "method a"],
      [{ config: "base.json", methods, sizes: ["huge"] }, "huge"],
      [{ config: "nothing.json", methods }, "nothing.json"],
    ] as const
  ) {
    const { status, err } = await compare(
      "--config",
      await write(folder, comparison),
      "--out",
      `${folder}/out`,
    );
    assertEquals(status, 2, err);
    assertStringIncludes(err, words);
  }
  const { status, err } = await compare("--config", `${folder}/missing.json`);
  assertEquals([status, err.includes("configs/compare-demo.json")], [2, true], err);
});

cliTest("compare refuses a folder with other runs, and a damaged table", async (folder) => {
  const file = await write(folder, {
    config: "base.json",
    sizes: ["min"],
    seeds: [5],
    methods: [methods[1]],
  });
  const out = `${folder}/out`;
  const args = ["--config", file, "--out", out];
  assertEquals((await compare(...args)).status, 0);
  await Deno.remove(`${out}/comparison.json`);
  await Deno.remove(`${out}/report.html`);
  const changed = { ...base, training: { batch: 4, epochs: 1 } };
  await Deno.writeTextFile(`${folder}/base.json`, JSON.stringify(changed));
  const other = await compare(...args);
  assertEquals([other.status, other.err.includes("holds another run")], [2, true], other.err);
});
