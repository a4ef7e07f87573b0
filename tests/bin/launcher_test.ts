/** The launcher runs the commands as their tasks do, in any folder. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { commandsOf, denoArguments } from "../../bin/deno_arguments.js";
import project from "../../deno.json" with { type: "json" };
import { withFolder } from "../store/with_folder.ts";

const root = new URL("../../", import.meta.url).pathname;
const decoder = new TextDecoder();

async function launch(cwd: string, ...args: string[]) {
  const command = new Deno.Command("bash", { args: [`${root}scion`, ...args], cwd });
  const { code, stdout, stderr } = await command.output();
  return { status: code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("every command has a task, and the launcher gives it exactly that task's permissions", async () => {
  const commands = commandsOf(project.tasks);
  const files: string[] = [];
  for await (const { name } of Deno.readDir(`${root}src/cli`)) {
    const text = await Deno.readTextFile(`${root}src/cli/${name}`);
    if (text.includes("if (import.meta.main)")) files.push(`src/cli/${name.replace(".ts", "")}`);
  }
  assert(files.length >= 7);
  assertEquals([...commands.values()].map(({ file }) => file).sort(), files.sort());

  const permissions = (args: readonly string[]) => args.filter((arg) => arg.startsWith("--allow-")).sort();
  for (const [name, command] of commands) {
    const task = project.tasks[name as keyof typeof project.tasks].command.split(" ");
    for (const isClone of [true, false]) {
      const args = denoArguments(command, { root: "/r", isClone, nativeFolder: "/a,b/node_modules" });
      assert(args.includes("--no-prompt"), name);
      assertEquals(args.at(-1), `/r/src/cli/${name}.${isClone ? "ts" : "js"}`);
      const asInTask = permissions(args).map((flag) =>
        flag.replace("=/a,,b/node_modules", "=node_modules").replace(
          /^(--allow-env=.*),SCION_LAUNCHER$/,
          "$1",
        )
      );
      assertEquals(asInTask, permissions(task), name);
    }
  }
});

Deno.test("commands run in a folder without a deno.json, with Scion's configurations and the user's paths", async () => {
  await withFolder(async (folder) => {
    const shipped = await launch(folder, "space", "--json");
    assertEquals([shipped.status, shipped.err], [0, ""]);
    const { architectures } = JSON.parse(shipped.out);
    const named = await launch(folder, "space", "--json", "--config", "configs/cifar10-elastic.json");
    assert(JSON.parse(named.out).architectures > architectures);

    await Deno.mkdir(`${folder}/configs`);
    const demo = JSON.parse(await Deno.readTextFile(`${root}configs/demo.json`));
    demo.space.widths = demo.space.widths.map((widths: number[]) => widths.slice(-1));
    await Deno.writeTextFile(`${folder}/configs/demo.json`, JSON.stringify(demo));
    const own = await launch(folder, "space", "--json", "--config", "configs/demo.json");
    assert(JSON.parse(own.out).architectures < architectures, "the user's file comes first");
  });
});

Deno.test("exit statuses come through, and messages name the launcher", async () => {
  await withFolder(async (folder) => {
    const wrong = await launch(folder, "space", "--config", "configs/nope.json");
    assertEquals(wrong.status, 2);
    assertStringIncludes(wrong.err, "With Scion come configs/cifar10-elastic.json, ");
    const help = await launch(folder, "extract", "--help");
    assertStringIncludes(help.out, `Usage: ${root}scion extract `);
    assert(!help.out.includes("deno task"), help.out);
    const missing = await launch(folder, "extract", "--run", "nowhere", "--arch", "max", "--out", "x.onnx");
    assertEquals(missing.status, 1);
    const unknown = await launch(folder, "pretrian");
    assertEquals([unknown.status, unknown.out], [2, ""]);
    assertMatch(unknown.err, /^error: There is no command "pretrian"\. Allowed: pretrain, search, /);
    const overview = await launch(folder);
    assertEquals(overview.status, 0);
    assertMatch(overview.out, /^ {2}doctor {5}Show the adapter/m);
    assertEquals((await launch(folder, "--version")).out, `${project.version}\n`);
  });
});

Deno.test("a signal to the launcher is the command's: it saves and ends with 130", async () => {
  await withFolder(async (folder) => {
    const process = new Deno.Command("bash", {
      args: [
        ...[`${root}scion`, "pretrain", "--data", "synthetic:64", "--out", "run", "--epochs", "1000"],
        ...["--set", "data.heldOut=0", "--set", "training.batch=16", "--set", "moco.queue=16"],
      ],
      cwd: folder,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    let err = "";
    for await (const text of process.stderr.pipeThrough(new TextDecoderStream())) {
      if (!err.includes(" steps\n") && text.includes(" steps\n")) process.kill("SIGINT");
      err += text;
    }
    await process.stdout.cancel();
    const { code, signal } = await process.status;
    assertEquals([code, signal], [130, null], err);
    assertStringIncludes(err, `Continue with: ${root}scion pretrain --out run --resume`);
  });
});
