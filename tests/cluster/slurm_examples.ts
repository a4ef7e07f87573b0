/**
 * The examples under a real Slurm on this machine, which is started for it and stopped: `deno task test:cluster`. Needs root,
 * and of Debian slurm-wlm, munge, openmpi-bin and libpmix-dev; skipped, with a message, where Slurm is missing.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";

const root = new URL("../../", import.meta.url).pathname;
const text = new TextDecoder();

/** Runs a program in the clone's folder; its output, trimmed. @throws {Error} with what it printed when it fails */
async function run(environment: Record<string, string>, program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd: root, env: environment })
    .output();
  if (!success) throw new Error(`${program} ${args.join(" ")}\n${text.decode(stdout)}${text.decode(stderr)}`);
  return text.decode(stdout).trim();
}

/** Whether a program is installed, whatever it says without a cluster. */
async function isHere(program: string): Promise<boolean> {
  try {
    await new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" }).output();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Waits until no job is left. */
async function finished(environment: Record<string, string>, minutes: number): Promise<void> {
  for (let second = 0; second < 60 * minutes; second += 2) {
    if (await run(environment, "squeue", "--noheader") === "") return;
    // A requeued job would wait for two minutes before it begins again.
    await run(
      environment,
      "bash",
      "-c",
      "for job in $(squeue -h -t PD -o %A); do scontrol update job=$job StartTime=now; done",
    );
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
  throw new Error(`jobs are left after ${minutes} minutes:\n${await run(environment, "squeue")}`);
}

const missing = !await isHere("sinfo") || !await isHere("mpirun.openmpi");
if (missing) {
  console.log(
    "skipped: Slurm or Open MPI is not installed (Debian: slurm-wlm, munge, openmpi-bin, libpmix-dev)",
  );
}

const config = {
  space: {
    block: "basic",
    stem: { kind: "3x3", widths: [4, 8] },
    widths: [[4, 8], [4, 8, 16]],
    depths: [[1], [1, 2]],
    strides: [1, 2],
  },
  data: { source: "synthetic:320", heldOut: 64, imageSize: 32 },
  head: { kind: "linear", dimension: 32 },
  moco: { queue: 64, momentum: 0.98 },
  optimizer: { learningRate: 0.06 },
  training: { epochs: 60, batch: 32, seed: 1, logEvery: 4 },
  knn: { every: 0 },
};

Deno.test({
  name:
    "under Slurm: training ends before its time is up, goes on from the queue, and a search array is ranked",
  ignore: missing,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "scion-slurm-" });
    const environment = { SLURM_CONF: `${folder}/slurm/slurm.conf` };
    await run({}, "tests/cluster/slurm.sh", "up", `${folder}/slurm`);
    try {
      await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
      const [runFolder, log] = [`${folder}/run`, `${folder}/pretrain.log`];
      // A minute is the least that Slurm knows; 35 seconds before its end it sends the signal.
      await run(environment, "sbatch", ...[
        ...["--ntasks=2", "--time=1", "--signal=TERM@35", `--output=${log}`],
        ...["examples/slurm/pretrain.sbatch", "--config", `${folder}/config.json`, "--out", runFolder],
      ]);
      await finished(environment, 12);
      const said = await Deno.readTextFile(log);
      assertStringIncludes(said, '"requeue":true');
      const results = said.split("\n").filter((line) => line.startsWith('{"run"')).map((line) =>
        JSON.parse(line)
      );
      assert(results.length > 1, said);
      assertEquals([results.at(-1).steps, results.at(-1).requeue], [600, undefined]);

      await run(
        environment,
        "bash",
        "examples/slurm/search-array.sbatch",
        runFolder,
        "--all",
        "--images",
        "64",
      );
      await finished(environment, 6);
      await run(
        {},
        "deno",
        "task",
        "search",
        "--run",
        runFolder,
        "--all",
        "--images",
        "64",
        "--out",
        `${folder}/whole`,
      );
      const ranking = (path: string) => Deno.readTextFile(`${path}/ranking.csv`);
      assertEquals(await ranking(`${runFolder}/search`), await ranking(`${folder}/whole`));
    } finally {
      await run({}, "tests/cluster/slurm.sh", "down", `${folder}/slurm`);
      await run({}, "bash", "-c", "rm -f scion-search-*.log slurm-*.out");
      await Deno.remove(folder, { recursive: true });
    }
  },
});
