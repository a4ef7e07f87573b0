/** Ctrl-C at random moments of a run whose steps take seconds, then `--resume`, until the run is complete. */
import type { Campaign } from "../campaign.ts";

const root = new URL("../../../", import.meta.url).pathname;
const settings = [
  ...["--config", "configs/cifar10-elastic.json", "--data", "synthetic:300", "--epochs", "1", "--seed", "3"],
  ...["data.heldOut=0", "knn.every=0", "training.batch=64", "moco.queue=1024"].flatMap((
    set,
  ) => ["--set", set]),
];
const wanted = 10;
/** Seconds within which the process must end. */
const allowed = 2;

function start(...flags: string[]): Deno.ChildProcess {
  const permissions = ["--no-prompt", "--allow-read", "--allow-write", "--allow-ffi", "--allow-env"];
  return new Deno.Command("deno", {
    args: ["run", ...permissions, `${root}src/cli/pretrain.ts`, ...flags],
    cwd: root,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
}

/** Runs a campaign in a folder of its own. */
export const campaign: Campaign = async () => {
  const folder = await Deno.makeTempDir({ prefix: "scion-interrupts-" });
  try {
    await start(...settings, "--out", `${folder}/whole`).status;
    const path = `${folder}/parts`;
    const flags = () => {
      try {
        Deno.statSync(`${path}/config.json`);
        return ["--out", path, "--resume"];
      } catch {
        return [...settings, "--out", path];
      }
    };
    let injected = 0, survived = 0;
    while (injected < wanted) {
      const process = start(...flags());
      await new Promise((resolve) => setTimeout(resolve, 500 + 8000 * Math.random()));
      const sent = performance.now();
      process.kill("SIGINT");
      const { code } = await process.status;
      // The run was complete before.
      if (code === 0) break;
      injected++;
      if (code === 130 && performance.now() - sent < 1000 * allowed) survived++;
    }
    await start(...flags()).status;
    const [whole, parts] = ["whole", "parts"].map((run) =>
      Deno.readFileSync(`${folder}/${run}/checkpoints/last.safetensors`)
    );
    const same = whole.length === parts.length && whole.every((byte, at) => byte === parts[at]);
    return { name: "interrupts at random moments", injected, survived, lost: same ? 0 : injected };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};
