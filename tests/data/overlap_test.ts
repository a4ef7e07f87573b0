import { assertEquals } from "@std/assert";
import { findOverlap } from "../../src/data/overlap.ts";
import { openSource } from "../../src/data/source.ts";
import { withFolder } from "../store/with_folder.ts";

const options = { imageSize: 16, seed: 1, preload: false };

Deno.test("files that two sets share are seen through links, lists and other spellings; copies are told apart", async () => {
  const { default: sharp } = await import("sharp");
  await withFolder(async (folder) => {
    const picture = (shade: number) =>
      sharp({ create: { width: 8, height: 8, channels: 3, background: { r: shade, g: 9, b: 9 } } }).png()
        .toBuffer();
    for (const set of ["one", "two"]) {
      for (const [at, name] of ["a", "b"].entries()) {
        await Deno.mkdir(`${folder}/${set}/${name}`, { recursive: true });
        await Deno.writeFile(
          `${folder}/${set}/${name}/0.png`,
          await picture(20 * at + (set === "one" ? 0 : 100)),
        );
      }
    }
    await Deno.symlink(`${folder}/one`, `${folder}/link`);
    await Deno.writeTextFile(`${folder}/list.txt`, "one/a/0.png\ntwo/b/0.png\n");
    await Deno.copyFile(`${folder}/one/b/0.png`, `${folder}/two/a/1.png`);
    const overlap = async (spec: string) => {
      const [one, other] = [await openSource(`${folder}/one`, options), await openSource(spec, options)];
      const { files, copies } = await findOverlap(one, other);
      for (const source of [one, other]) source.release();
      return { files, copies };
    };
    const both = { files: ["a/0.png", "b/0.png"], copies: [] };
    assertEquals(await overlap(`${folder}/link`), both);
    assertEquals(await overlap(`folder:${folder}/two/../one/`), both);
    assertEquals(await overlap(`${folder}/list.txt`), { files: ["one/a/0.png"], copies: [] });
    assertEquals(await overlap(`${folder}/two`), { files: [], copies: ["a/1.png"] });
    assertEquals(await overlap("synthetic:4"), { files: [], copies: [] });
  });
});

Deno.test("drawn images are the same where seed and number are", async () => {
  const open = (spec: string, seed: number) => openSource(spec, { ...options, seed });
  const one = await open("synthetic:4", 1);
  const shared = async (seed: number) =>
    (await findOverlap(one, await open("synthetic:4", seed))).files.length;
  assertEquals([await shared(1), await shared(2)], [1, 0]);
});
