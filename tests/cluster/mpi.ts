/** Commands as several processes of MPI's launchers, where they are installed. */

/** A launcher with what it needs to start several processes on one machine, as root too. */
export interface Launcher {
  readonly name: string;
  readonly command: readonly string[];
}

const launchers: readonly Launcher[] = [
  {
    name: "Open MPI",
    command: ["mpirun.openmpi", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none"],
  },
  { name: "MPICH", command: ["mpirun.mpich"] },
];

/** Those that are here; says which are not. */
export async function launchersHere(): Promise<Launcher[]> {
  const here: Launcher[] = [];
  for (const launcher of launchers) {
    const [name] = launcher.command;
    try {
      const { success } = await new Deno.Command(name, {
        args: ["--version"],
        stdout: "null",
        stderr: "null",
      }).output();
      if (success) here.push(launcher);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      console.log(`skipped: ${launcher.name} is not installed (Debian: openmpi-bin, mpich)`);
    }
  }
  return here;
}

/** The `pretrain` of this clone, with the permissions of its task. */
export async function pretrainCommand(): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  const words = (tasks.pretrain.command as string).split(" ");
  const root = new URL("../../", import.meta.url).pathname;
  return words.map((word) => word === "deno" ? Deno.execPath() : word.startsWith("src/") ? root + word : word)
    .map((word) =>
      word.startsWith("--allow-ffi=") ? word.replace("node_modules", `${root}node_modules`) : word
    )
    .flatMap((word) => word === "run" ? ["run", "--config", `${root}deno.json`] : [word]);
}

/** Begins `pretrain` on so many ranks. */
export async function startRanks(
  launcher: Launcher,
  ranks: number,
  args: readonly string[],
): Promise<Deno.ChildProcess> {
  const [program, ...rest] = launcher.command;
  const command = [...rest, "-n", String(ranks), ...await pretrainCommand(), "--distributed", "mpi", ...args];
  return new Deno.Command(program, { args: command, stdout: "piped", stderr: "piped" }).spawn();
}
