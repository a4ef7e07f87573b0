import { assert, assertEquals, assertMatch } from "@std/assert";
import { pretrainCommand } from "../../src/cli/pretrain.ts";
import { smallConfig } from "../pretrain/small_run.ts";
import { cliTest, runInProcess } from "./run_command.ts";

const root = new URL("../../", import.meta.url).pathname;

/** A command in a process of its own, whose working directory holds the choices. */
async function command(cwd: string, name: "tune" | "pretrain" | "doctor", ...args: string[]) {
  const script = [`--config=${root}deno.json`, "--allow-read", "--allow-write", "--allow-env", "--allow-ffi"];
  const { code, stdout, stderr } = await new Deno.Command("deno", {
    args: ["run", "--no-prompt", ...script, `${root}src/cli/${name}.ts`, ...args],
    cwd,
  }).output();
  const decoder = new TextDecoder();
  return { status: code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** Tunes with more and more time: a first use of the kernels may have to compile them all. */
async function tune(cwd: string) {
  for (const seconds of ["4", "30", "200"]) {
    const { status, out, err } = await command(
      cwd,
      "tune",
      "--config",
      "small.json",
      "--seconds",
      seconds,
      "--json",
    );
    assertEquals(status, 0, err);
    const result = JSON.parse(out);
    if (result.file !== null) return { result, seconds };
  }
  throw new Error("no choice in 200 seconds");
}

cliTest(
  "tune writes its choices; training uses them and learns the same; pretrain --tune adds to them",
  async (folder) => {
    await Deno.writeTextFile(`${folder}/small.json`, JSON.stringify(smallConfig));
    const fixed = ["--config", "small.json", "--epochs", "1", "--json"];
    const train = async (out: string, ...args: string[]) => {
      const run = await command(folder, "pretrain", ...fixed, "--out", out, ...args);
      assertEquals(run.status, 0, run.err);
      const weights = await Deno.readFile(`${folder}/${out}/checkpoints/last.safetensors`);
      return { loss: JSON.parse(run.out).loss as number, weights, err: run.err };
    };
    const untuned = await train("untuned");
    assert(!untuned.err.includes("tuned:"), untuned.err);

    const { result, seconds } = await tune(folder);
    assert(result.rounds >= 3 && result.buckets.length > 0);
    const path = `${folder}/${result.file}`;
    const stored = JSON.parse(await Deno.readTextFile(path));
    const chosen = result.buckets.map((one: { bucket: string; chosen: string }) => [one.bucket, one.chosen]);
    assertEquals(stored.choices, Object.fromEntries(chosen));

    const doctor = async () => JSON.parse((await command(folder, "doctor", "--json")).out).tuning;
    assertEquals(await doctor(), { file: result.file, choices: stored.choices });
    await Deno.writeTextFile(path, "{");
    assertMatch((await doctor()).fault, /is damaged: the default kernel variants are used/);

    // Other blocks than the defaults, whatever was measured. Those of weight gradients split their sums otherwise.
    const entries = Object.entries<string>(stored.choices);
    const defaults = new Map<string, string>(
      result.buckets.map((one: { bucket: string; default: string }) => [one.bucket, one.default]),
    );
    const other = (name: string) =>
      name.replace(/ACROSS=(\d)/, (_, size) => `ACROSS=${size === "1" ? 4 : 1}`)
        .replace(/PIXELS=(\d)/, (_, size) => `PIXELS=${12 - size}`);
    const [removed] = entries[0];
    const swapped = entries.slice(1).map(([bucket]) => [bucket, other(defaults.get(bucket)!)]);
    await Deno.writeTextFile(path, JSON.stringify({ ...stored, choices: Object.fromEntries(swapped) }));
    const tuned = await train("tuned");
    assertMatch(
      tuned.err,
      new RegExp(`^tuned: .* of ${swapped.length} kinds of launches from \\.cache/`, "m"),
    );
    assert(tuned.weights.some((byte, at) => byte !== untuned.weights[at]), "the choices are used");
    assert(Math.abs(tuned.loss - untuned.loss) < 1e-4, `${tuned.loss} and ${untuned.loss}`);

    const added = await train("added", "--tune", seconds);
    assertMatch(added.err, /kinds of launches measured in \d+ rounds/);
    const { choices } = JSON.parse(await Deno.readTextFile(path));
    assert(removed in choices);
    for (const [bucket, name] of swapped) assertEquals(choices[bucket], name, "known choices stay");
    assert(Math.abs(added.loss - untuned.loss) < 1e-4, `${added.loss} and ${untuned.loss}`);
  },
);

cliTest("--tune is refused for a run that goes on", async (folder) => {
  const { status, err } = await runInProcess(pretrainCommand, ["--out", folder, "--resume", "--tune", "5"]);
  assertEquals(status, 2);
  assertMatch(err, /^error: --tune is given with --resume.*Leave --tune out\.$/m);
});
