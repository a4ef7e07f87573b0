/** Commands in processes of their own, which can be killed. */
import { smallConfig } from "../pretrain/small_run.ts";

const root = new URL("../../", import.meta.url).pathname;

/** Starts what `deno task NAME` starts, without the task around it, which signals would end instead. */
export async function spawnTask(name: string, args: string[]): Promise<Deno.ChildProcess> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  const command: string = tasks[name].command;
  return new Deno.Command("deno", {
    args: [...command.split(" ").slice(1), ...args],
    cwd: root,
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
}

/** Runs `deno task pretrain` on the small configuration to its end; resumes where the run exists. */
export async function pretrainProcess(
  folder: string,
  run: string,
  ...flags: string[]
): Promise<{ code: number; text: string }> {
  const output = await (await startPretraining(folder, run, ...flags)).output();
  return { code: output.code, text: new TextDecoder().decode(output.stderr) };
}

/** Starts it. */
export async function startPretraining(
  folder: string,
  run: string,
  ...flags: string[]
): Promise<Deno.ChildProcess> {
  const config = `${folder}/small.json`;
  await Deno.writeTextFile(config, JSON.stringify(smallConfig));
  const begun = await Deno.stat(`${run}/checkpoints/last.safetensors`).then(() => true, () => false);
  const start = begun ? ["--resume"] : ["--config", config];
  return await spawnTask("pretrain", ["--out", run, ...start, ...flags]);
}
