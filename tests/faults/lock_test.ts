/** Two processes and one folder; processes that were killed; starts that failed. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { searchCommand } from "../../src/cli/search.ts";
import { UsageError } from "../../src/errors.ts";
import { startRun } from "../../src/pretrain/pretrain.ts";
import { FolderLock } from "../../src/store/folder_lock.ts";
import { RunFolder } from "../../src/store/run_folder.ts";
import { cliTest, createRun, runInProcess } from "../cli/run_command.ts";
import { gpuTest } from "../helpers.ts";
import { collectingHooks, smallRun } from "../pretrain/small_run.ts";
import { withFolder } from "../store/with_folder.ts";
import { copyFolder, pretrain, snapshot } from "./run_files.ts";

const silent = (text: string) => assert(false, text);

Deno.test("a lock is refused while it is held, and free afterwards", () =>
  withFolder(async (folder) => {
    const path = `${folder}/run.lock`;
    const lock = await FolderLock.take(path, silent);
    const error = await assertRejects(() => FolderLock.take(path, silent), UsageError);
    assertMatch((error as Error).message, new RegExp(`process ${Deno.pid}.*, since 20\\d\\d-`));
    await lock.release();
    assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
    await (await FolderLock.take(path, silent)).release();
  }));

Deno.test("of many who ask at once, one has the lock at a time", () =>
  withFolder(async (folder) => {
    let holders = 0, most = 0, taken = 0;
    await Promise.all(Array.from({ length: 20 }, async () => {
      for (;;) {
        const lock = await FolderLock.take(`${folder}/run.lock`, () => {}).catch((error) => {
          if (!(error instanceof UsageError)) throw error;
        });
        if (!lock) {
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
          continue;
        }
        most = Math.max(most, ++holders);
        taken++;
        await new Promise((resolve) => setTimeout(resolve, 1));
        holders--;
        return await lock.release();
      }
    }));
    assertEquals([most, taken], [1, 20]);
  }));

Deno.test("the lock of a process that was killed is taken over, whatever its file says, and that is told", () =>
  withFolder(async (folder) => {
    const path = `${folder}/run.lock`;
    const killed = new Deno.Command("deno", {
      args: [
        "eval",
        `import { FolderLock } from ${JSON.stringify(import.meta.resolve("../../src/store/folder_lock.ts"))};
        await FolderLock.take(${
          JSON.stringify(path)
        }, () => {}); console.log("held"); setInterval(() => {}, 1000);`,
      ],
      stdout: "piped",
      stderr: "inherit",
      cwd: new URL("../../", import.meta.url).pathname,
    }).spawn();
    const reader = killed.stdout.getReader();
    await reader.read();
    const refused = await assertRejects(() => FolderLock.take(path, silent), UsageError);
    assertStringIncludes((refused as Error).message, `process ${killed.pid}`);
    killed.kill("SIGKILL");
    await killed.status;
    await reader.cancel();
    for (const contents of [undefined, "", "{", '{"process":1,"host":"elsewhere","started":"2020-01-01"}']) {
      if (contents !== undefined) await Deno.writeTextFile(path, contents);
      const warnings: string[] = [];
      await (await FolderLock.take(path, (text) => warnings.push(text))).release();
      const process = contents === undefined ? killed.pid : contents.length > 2 ? 1 : undefined;
      assertEquals(warnings.length, process === undefined ? 0 : 1);
      if (process !== undefined) assertStringIncludes(warnings[0], `(process ${process}`);
    }
  }));

cliTest("a run that is in use is neither resumed nor started again, a search neither", async (folder) => {
  const run = `${folder}/run`;
  await createRun(run);
  {
    await using _ = await RunFolder.lock(run, silent);
    const before = await snapshot(run);
    const { status, err } = await pretrain(folder, "--out", run, "--resume");
    assertEquals(status, 2, err);
    assertStringIncludes(err, `${run} is in use by another process (process ${Deno.pid}`);
    assertEquals(await snapshot(run), before);
    // Another run that is just being created.
    await using _other = await RunFolder.lock(`${folder}/new`, silent);
    const started = await pretrain(folder, "--out", `${folder}/new`, "--epochs", "0");
    assertEquals(started.status, 2, started.err);
    assertStringIncludes(started.err, "is in use by another process");
    // Reading a run that trains is fine; what is refused is writing where another search writes.
    await Deno.mkdir(`${folder}/search`);
    await using _search = await FolderLock.take(`${folder}/search/search.lock`, silent);
    const search = ["--run", run, "--all", "--images", "8"];
    const second = await runInProcess(searchCommand, [...search, "--out", `${folder}/search`]);
    assertEquals(second.status, 2, second.err);
    assertStringIncludes(second.err, "is in use by another process");
    const other = await runInProcess(searchCommand, search);
    assertEquals(other.status, 0, other.err);
    assertEquals(Object.keys(await snapshot(`${run}/search`)).sort(), [
      "ranking.csv",
      "ranking.json",
      "report.html",
    ]);
  }
});

gpuTest("the report of a run is written while the run is locked", async (gpu) => {
  await withFolder(async (folder) => {
    const run = `${folder}/run`;
    const { hooks } = collectingHooks();
    const onEnd = async () => {
      await assertRejects(() => RunFolder.lock(run, silent), UsageError, "is in use by another process");
      throw new Error("no room for the report");
    };
    const config = smallRun({ training: { epochs: 0 } });
    await assertRejects(() => startRun(gpu, run, config, { ...hooks, onEnd }), Error, "no room");
    // What fails so late takes nothing away.
    assertEquals((await (await RunFolder.open(run)).checkpoints()).map(({ name }) => name), ["last"]);
  });
});

cliTest(
  "a start that failed leaves no folder, and one that was killed while it started does not block",
  async (folder) => {
    const run = `${folder}/run`;
    const fails: [status: number, ...flags: string[]][] = [
      [2, "--data", "synthetic:24"],
      [1, "--data", `folder:${folder}`],
      // A buffer that no device has.
      [2, "--set", "moco.queue=16777216", "--set", "head.dimension=1024"],
    ];
    for (const [status, ...flags] of fails) {
      const failed = await pretrain(folder, "--out", run, ...flags);
      assertEquals(failed.status, status, failed.err);
      assertEquals(await Deno.stat(run).catch(() => "none"), "none", flags.join(" "));
    }
    // A folder of the user's stays, with what is in it.
    await Deno.mkdir(run);
    await Deno.writeTextFile(`${run}/notes.txt`, "mine");
    assertEquals((await pretrain(folder, "--out", run, "--data", "synthetic:24")).status, 2);
    assertEquals(Object.keys(await snapshot(run)), ["notes.txt"]);
    await Deno.remove(run, { recursive: true });

    // Killed between the configuration and the first checkpoint, with the lock left behind.
    const template = `${folder}/template`;
    await createRun(template);
    await copyFolder(template, run);
    await Deno.remove(`${run}/checkpoints/last.safetensors`);
    await Deno.writeTextFile(`${run}/run.lock`, '{"process":1,"started":"2020-01-01"}\n');
    await Deno.writeTextFile(`${run}/checkpoints/last.safetensors.01234567.partial`, "half");
    const { status, err } = await pretrain(folder, "--out", run, "--epochs", "1");
    assertEquals(status, 0, err);
    assertStringIncludes(err, "(process 1, since 2020-01-01) was killed");
    const names = (await Array.fromAsync(Deno.readDir(`${run}/checkpoints`))).map(({ name }) => name).sort();
    assertEquals(names, ["epoch-1.safetensors", "last.safetensors"]);
  },
);
