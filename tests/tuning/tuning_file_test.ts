import { assertEquals, assertMatch } from "@std/assert";
import { readTuning, writeTuning } from "../../src/tuning/tuning_file.ts";
import { gpuTest } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";

gpuTest(
  "choices come back from the disk, later ones replace earlier ones of their buckets",
  (gpu) =>
    withFolder(async (folder) => {
      const cache = `${folder}/cache`;
      assertEquals((await readTuning(gpu, cache)).choices.size, 0);
      const path = await writeTuning(gpu, new Map([["b", "rows"], ["a", "tiled"]]), cache);
      assertEquals(await writeTuning(gpu, new Map([["b", "tiled"], ["c", "rows"]]), cache), path);
      const { choices, fault } = await readTuning(gpu, cache);
      assertEquals([...choices], [["a", "tiled"], ["b", "tiled"], ["c", "rows"]]);
      assertEquals(fault, undefined);
      assertEquals((await Array.fromAsync(Deno.readDir(cache))).length, 1);
    }),
);

gpuTest(
  "a damaged or foreign file is passed over, said, and replaced",
  (gpu) =>
    withFolder(async (folder) => {
      const path = await writeTuning(gpu, new Map([["a", "tiled"]]), folder);
      const whole = await Deno.readTextFile(path);
      const changed = (fields: Record<string, unknown>) =>
        JSON.stringify({ ...JSON.parse(whole), ...fields });
      const faults: [string, RegExp][] = [
        [whole.slice(0, whole.length / 2), /is damaged: .*default kernel variants.*deno task tune/],
        ["", /is damaged/],
        ["[]", /is damaged/],
        [changed({ format: 2 }), /is damaged/],
        [changed({ choices: { a: 3 } }), /is damaged/],
        [changed({ adapter: "another" }), /was measured on another adapter/],
        [changed({ deno: "1.0.0" }), /was measured with Deno 1\.0\.0/],
        [changed({ scion: "0.0.0" }), /was measured with Scion 0\.0\.0/],
        [changed({ kernels: "0" }), /was measured with other kernels/],
      ];
      for (const [text, message] of faults) {
        await Deno.writeTextFile(path, text);
        const { choices, fault } = await readTuning(gpu, folder);
        assertEquals(choices.size, 0, text);
        assertMatch(fault!, message);
      }
      await writeTuning(gpu, new Map([["b", "rows"]]), folder);
      assertEquals([...(await readTuning(gpu, folder)).choices], [["b", "rows"]]);
      await Deno.remove(path);
      await Deno.mkdir(path);
      assertMatch((await readTuning(gpu, folder)).fault!, /cannot be read/);
    }),
);
