/** Two processes of MPI train to the bytes of two linked ranks, whichever library carries their messages. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { withFolder } from "../store/with_folder.ts";
import { launchersHere, startRanks } from "./mpi.ts";

const config = {
  space: {
    block: "basic",
    stem: { kind: "3x3", widths: [4] },
    widths: [[4], [4, 8]],
    depths: [[1], [1]],
    strides: [1, 2],
  },
  data: { source: "synthetic:48", heldOut: 8, imageSize: 16 },
  head: { kind: "linear", dimension: 8 },
  moco: { queue: 16, momentum: 0.9 },
  optimizer: { learningRate: 0.05 },
  training: { epochs: 2, batch: 8, seed: 1 },
  knn: { every: 1, neighbours: 5, bank: 32, calibrate: 16 },
};

const launchers = await launchersHere();

async function run(at: number, folder: string, ...args: string[]) {
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
  const child = await startRanks(launchers[at], 2, ["--config", `${folder}/config.json`, "--json", ...args]);
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

Deno.test({
  name: "two processes train one network; every library gives the same bytes",
  ignore: launchers.length === 0,
  fn: () =>
    withFolder(async (folder) => {
      const bytes: Uint8Array[] = [];
      for (const [at, { name }] of launchers.entries()) {
        const { code, out, err } = await run(at, folder, "--out", `${folder}/${at}`);
        assertEquals(code, 0, `${name}: ${err}`);
        assertEquals(out.trim().split("\n").length, 1, out);
        assertEquals(JSON.parse(out).steps, 10);
        assertStringIncludes(err, "2 ranks");
        bytes.push(await Deno.readFile(`${folder}/${at}/checkpoints/last.safetensors`));
      }
      for (const one of bytes) assertEquals(one, bytes[0]);
    }),
});

Deno.test({
  name: "what is wrong on every rank is said once, and ends all",
  ignore: launchers.length === 0,
  fn: () =>
    withFolder(async (folder) => {
      const { code, out, err } = await run(
        0,
        folder,
        "--out",
        `${folder}/run`,
        "--set",
        "training.batch=auto",
      );
      assert(code !== 0);
      assertStringIncludes(
        JSON.parse(out.trim().split("\n")[0]).error.message,
        "--distributed needs training.batch",
      );
      assertEquals(err.split("needs training.batch").length, 2, err);
    }),
});

Deno.test({
  name: "a rank that is killed ends all; the run goes on to the bytes of one that was not, and on one rank",
  ignore: launchers.length === 0,
  fn: () =>
    withFolder(async (folder) => {
      const whole = `${folder}/whole`, broken = `${folder}/broken`;
      const length = ["--epochs", "16", "--set", "training.logEvery=1"];
      const bytes = (run: string) => Deno.readFile(`${run}/checkpoints/last.safetensors`);
      assertEquals((await run(0, folder, "--out", whole, ...length)).code, 0);

      const child = await startRanks(launchers[0], 2, [
        "--config",
        `${folder}/config.json`,
        "--out",
        broken,
        ...length,
      ]);
      const output = child.output();
      await epochs(broken, 2);
      await signalOne("KILL", broken);
      const { code } = await output;
      assert(code !== 0);
      const kept = await bytes(broken);
      const resumed = await run(0, folder, "--out", broken, "--resume", ...length);
      assertEquals(resumed.code, 0, resumed.err);
      assertEquals(await bytes(broken), await bytes(whole));

      await Deno.writeFile(`${broken}/checkpoints/last.safetensors`, kept);
      const alone = await startRanks(launchers[0], 1, ["--out", broken, "--resume", "--json", ...length]);
      const { code: single, stdout } = await alone.output();
      assertEquals(single, 0);
      assertEquals(JSON.parse(new TextDecoder().decode(stdout)).steps, 80);
    }),
});

Deno.test({
  name: "a rank that hangs is named by the others, who end",
  ignore: launchers.length === 0,
  fn: () =>
    withFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
      const path = `${folder}/run`;
      const child = await startRanks(launchers[0], 2, [
        ...["--config", `${folder}/config.json`, "--epochs", "400", "--out", path, "--rank-timeout", "4"],
      ]);
      const output = child.output();
      await epochs(path, 1);
      await signalOne("STOP", path);
      const { code, stderr } = await output;
      assert(code !== 0);
      const said = new TextDecoder().decode(stderr);
      assert(/rank [01] of 2 did not send anything to rank [01] for 4 s/.test(said), said);
      assert((await Deno.stat(`${path}/checkpoints/last.safetensors`)).size > 0);
    }),
});

/** Waits until a run has done so many epochs. */
async function epochs(path: string, count: number): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const text = await Deno.readTextFile(`${path}/metrics.jsonl`).catch(() => "");
    if (text.split("\n").filter((line) => line.includes('"knn"')).length > count) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${path} has not done ${count} epochs`);
}

/** Sends a signal to the process of a run that began last: a rank. */
async function signalOne(signal: "KILL" | "STOP", path: string): Promise<void> {
  const script = `kill -s ${signal} "$(pgrep -n -f "[p]retrain.ts.*${path}")"`;
  const { success, stderr } = await new Deno.Command("bash", { args: ["-c", script] }).output();
  assert(success, new TextDecoder().decode(stderr));
}
