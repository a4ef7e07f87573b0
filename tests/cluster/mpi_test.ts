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
