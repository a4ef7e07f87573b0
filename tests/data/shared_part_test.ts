import { assertEquals } from "@std/assert";
import sharp from "sharp";
import { openChosenImages } from "../../src/data/chosen_images.ts";
import { recordSet } from "../../src/data/run_record.ts";
import { openSource } from "../../src/data/source.ts";
import { purpose, Random } from "../../src/random.ts";
import { gpuTest } from "../helpers.ts";
import { smallRun } from "../pretrain/small_run.ts";
import { withFolder } from "../store/with_folder.ts";

gpuTest(
  "what a run of several folders held out is not chosen from one of them",
  (gpu) =>
    withFolder(async (folder) => {
      for (const part of ["a", "b"]) {
        await Deno.mkdir(`${folder}/${part}`);
        for (let number = 0; number < 4; number++) {
          const background = { r: 10 * number, g: part === "a" ? 0 : 200, b: 0 };
          const image = sharp({ create: { width: 16, height: 16, channels: 3, background } });
          await Deno.writeFile(`${folder}/${part}/${number}.png`, await image.png().toBuffer());
        }
      }
      const source = [`${folder}/a`, `${folder}/b`];
      const config = smallRun({ data: { source, imageSize: 16 } });
      const set = await openSource(source, { imageSize: 16, seed: 1, workers: 1 });
      const record = { ...await recordSet(set, undefined), heldOut: [1, 5, 6], test: null, accepted: [] };
      set.release();
      const choose = async (given: string | string[] | undefined) => {
        const request = { source: given, images: 100, record, onWarning: () => {} };
        const chosen = await openChosenImages(
          gpu,
          config,
          request,
          new Random(1, purpose.candidates),
          () => {},
        );
        chosen.release();
        return chosen.count;
      };
      assertEquals(await choose(undefined), 5);
      assertEquals(await choose(source), 5);
      assertEquals(await choose(`folder:${folder}/b`), 2);
      assertEquals(await choose(`${folder}/a`), 3);
      assertEquals(await choose([`${folder}/b`, `${folder}/a`]), 5);
    }),
);
