/** The scripts in `examples/` for clusters, with stand-ins for the cluster's own commands, say what the command takes. */
import { assertEquals, assertMatch } from "@std/assert";
import { parse, parseAll } from "@std/yaml";
import { parseFlags } from "../src/cli/flags.ts";
import { checkSearchFlags, searchFlags } from "../src/cli/search_flags.ts";
import { checkMergeFlags, givenFlags, shardFolder, shardOf } from "../src/cli/search_shard_flags.ts";
import { withFolder } from "./store/with_folder.ts";

const slurm = new URL("../examples/slurm/search-array.sbatch", import.meta.url).pathname;
const kubernetes = new URL("../examples/kubernetes/search-indexed-job.yaml", import.meta.url);
const unix = { ignore: Deno.build.os === "windows" };

/** Runs bash where commands only note their words, a line each call; `srun` runs what it is given. */
async function runScript(
  folder: string,
  args: readonly string[],
  { env = {}, deno = "" }: { env?: Record<string, string>; deno?: string } = {},
): Promise<{ code: number; calls: string[][]; err: string }> {
  const note = (name: string) => `printf '%s\\x1f' ${name} "$@" >> ${folder}/calls; echo >> ${folder}/calls`;
  const stubs = {
    sbatch: `${note("sbatch")}\necho 17`,
    scontrol: note("scontrol"),
    srun: '"$@"',
    deno: `${note("deno")}\n${deno}`,
  };
  for (const [name, body] of Object.entries(stubs)) {
    await Deno.writeTextFile(`${folder}/${name}`, `#!/bin/bash\n${body}\n`, { mode: 0o755 });
  }
  await Deno.writeTextFile(`${folder}/calls`, "");
  const { code, stderr } = await new Deno.Command("bash", {
    args: [...args],
    cwd: folder,
    clearEnv: true,
    env: { PATH: `${folder}:/usr/bin:/bin`, ...env },
  }).output();
  const calls = (await Deno.readTextFile(`${folder}/calls`)).split("\x1f\n").slice(0, -1);
  return { code, calls: calls.map((line) => line.split("\x1f")), err: new TextDecoder().decode(stderr) };
}

/** The flags of a call of the command; throws for those that it would refuse. */
function searchOf(call: readonly string[]) {
  assertEquals(call.slice(0, 3), ["deno", "task", "search"]);
  const flags = parseFlags(searchFlags, call.slice(3));
  if (flags.merge.length > 0) checkMergeFlags(givenFlags(searchFlags, flags));
  else checkSearchFlags(flags);
  return flags;
}

const count = 4;
const foldersOf = (run: string) =>
  Array.from({ length: count }, (_, index) => shardFolder(run, { index, count }));

Deno.test(
  "Slurm: an array of shards, a merge that waits for it, and shards that go on",
  unix,
  () =>
    withFolder(async (folder) => {
      const run = "my runs/photos";
      const submitted = await runScript(folder, [slurm, run, "--all", "--metric", "cka"]);
      assertEquals(submitted.code, 0, submitted.err);
      const [array, merge] = submitted.calls;
      assertEquals(array, ["sbatch", "--parsable", slurm, run, "--all", "--metric", "cka"]);
      assertEquals(merge.slice(0, 2), ["sbatch", "--dependency=afterok:17"]);
      const merging = await runScript(folder, ["-c", merge.at(-1)!]);
      assertEquals(searchOf(merging.calls[0]).merge, foldersOf(run));
      assertMatch(await Deno.readTextFile(slurm), /^#SBATCH --array=0-3$/m);

      for (let index = 0; index < count; index++) {
        const env = { SLURM_ARRAY_TASK_ID: `${index}`, SLURM_ARRAY_JOB_ID: "17" };
        const out = `${folder}/${shardFolder(run, { index, count })}`;
        if (index === 2) {
          await Deno.mkdir(out, { recursive: true });
          await Deno.writeTextFile(`${out}/interrupted.safetensors`, "");
        }
        // The last one's time is up.
        const ended = index === 3 ? 129 : 0;
        const { code, calls } = await runScript(folder, [slurm, run, "--all"], {
          env,
          deno: `exit ${ended}`,
        });
        assertEquals(code, ended);
        const flags = searchOf(calls[0]);
        assertEquals([shardOf(flags), flags.run, flags.all, flags.resume], [
          { index, count },
          run,
          true,
          index === 2,
        ]);
        assertEquals(calls.slice(1), ended === 0 ? [] : [["scontrol", "requeue", "17_3"]]);
      }
      const wrong = await runScript(folder, [slurm]);
      assertEquals(wrong.calls, []);
      assertMatch(wrong.err, /the run is missing/);
    }),
);

/** What is looked at of a Job. */
interface Job {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly completions?: number;
    readonly completionMode?: string;
    readonly suspend?: boolean;
    readonly template: { readonly spec: { readonly containers: { command: string[]; args: string[] }[] } };
  };
}

Deno.test(
  "Kubernetes: a pod for each shard, and a merge that is begun by hand",
  unix,
  () =>
    withFolder(async (folder) => {
      const [search, merge] = parseAll(await Deno.readTextFile(kubernetes)) as Job[];
      assertEquals([search.spec.completionMode, search.spec.completions], ["Indexed", count]);
      const scriptOf = ({ spec: { template: { spec: { containers: [one] } } } }: Job) => {
        assertEquals(one.command, ["bash", "-c"]);
        // Folders of the volume lie in the test's own.
        return one.args[0].replaceAll("/data/", `${folder}/data/`);
      };
      const run = `${folder}/data/runs/photos`;
      for (const [index, out] of foldersOf(run).entries()) {
        if (index === 1) {
          await Deno.mkdir(out, { recursive: true });
          await Deno.writeTextFile(`${out}/interrupted.safetensors`, "");
        }
        const env = { JOB_COMPLETION_INDEX: `${index}` };
        const { calls, err } = await runScript(folder, ["-c", scriptOf(search)], { env });
        const flags = searchOf(calls[0]);
        assertEquals([shardOf(flags), flags.run, flags.resume], [{ index, count }, run, index === 1], err);
        await Deno.mkdir(out, { recursive: true });
      }
      assertEquals(merge.spec.suspend, true);
      const merging = await runScript(folder, ["-c", scriptOf(merge)]);
      assertEquals(searchOf(merging.calls[0]).merge, foldersOf(run));
      const head = (await Deno.readTextFile(kubernetes)).split("\n").filter((line) =>
        line.startsWith("#   ")
      );
      const patch = /--patch '(.*)'$/.exec(
        head.find((line) => line.includes(`job/${merge.metadata.name}`))!,
      )![1];
      assertEquals(parse(patch), { spec: { suspend: false } });
      assertMatch(head.join("\n"), new RegExp(`wait .* job/${search.metadata.name}`));
    }),
);
