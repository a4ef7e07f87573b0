import { assert, assertEquals } from "@std/assert";
import sharp from "sharp";
import { parseSettings } from "../../../src/config/load.ts";
import { lookAtImages } from "../../../src/pretrain/fit/look.ts";
import { withFolder } from "../../store/with_folder.ts";
import { smallConfig } from "../small_run.ts";

async function look(folder: string, data: object, augmentation: object | "none" = {}) {
  const { space } = smallConfig;
  const settings = { space, augmentation, data: { imageSize: 16, source: `${folder}/photos`, ...data } };
  return await lookAtImages(parseSettings(settings, "test"), 1, {});
}

Deno.test("what a photo takes, as training keeps it, is told from a few of them; broken ones do not count", () =>
  withFolder(async (folder) => {
    const photo = await sharp({ create: { width: 80, height: 60, channels: 3, background: "#334455" } })
      .png().toBuffer();
    await Deno.mkdir(`${folder}/photos`);
    for (const name of "abcdefgh") await Deno.writeFile(`${folder}/photos/${name}.png`, photo);
    await Deno.writeFile(`${folder}/photos/i.png`, new Uint8Array(9));
    const found = await look(folder, {});
    assertEquals([found.images, found.classes, found.bytesPerImage], [9, undefined, 4 * 24 * 18]);
    assertEquals(found.shorterSide, 18);
    assert(found.secondsPerImage > 0);
    assertEquals((await look(folder, { storedSide: "auto" })).bytesPerImage, 4 * 48 * 36);
    assertEquals((await look(folder, { storedSide: 64 })).bytesPerImage, 4 * 80 * 60);
    assertEquals((await look(folder, { storedSide: 64 }, "none")).bytesPerImage, 4 * 16 * 16);
  }));
