/** How large photos are kept, and that crops then have the photo's detail. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import sharp from "sharp";
import { parseConfig } from "../../src/config/load.ts";
import { decodeImage } from "../../src/data/decode.ts";
import { LoadedImages } from "../../src/data/loaded_images.ts";
import { storedSide } from "../../src/data/stored_side.ts";
import { openViews } from "../../src/data/views.ts";
import { gpuTest } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";
import { openImages } from "./open.ts";

const space = {
  block: "basic",
  stem: { kind: "3x3", widths: [8] },
  widths: [[8], [8]],
  depths: [[1], [1]],
  strides: [1, 2],
};
const config = (data: object, augmentation: object | "none" = {}) =>
  parseConfig({ space, data, augmentation }, "test");

Deno.test("auto asks for the detail of the smallest crop, within bounds", () => {
  const side = (storedSetting: unknown, scale: [number, number]) =>
    storedSide(config({ imageSize: 224, storedSide: storedSetting }, { crop: { scale } }));
  assertEquals(side("auto", [0.2, 1]), 501);
  assertEquals(side("auto", [0.08, 1]), 792);
  assertEquals(side("auto", [0.01, 1]), 896);
  assertEquals(side("auto", [0.95, 1]), 256);
  assertEquals([side(null, [0.2, 1]), side(300, [0.2, 1])], [256, 300]);
  assertEquals(storedSide(config({ imageSize: 224, storedSide: "auto" }, { crop: null })), 256);
  assertEquals(storedSide(config({ imageSize: 224, storedSide: "auto" }, "none")), 256);
});

/** Stripes of two pixels. */
function stripes(width: number, height: number) {
  const pixels = Uint8Array.from({ length: width * height }, (_, at) => at % width % 4 < 2 ? 0 : 255);
  return sharp(pixels, { raw: { width, height, channels: 1 } }).png().toBuffer();
}

gpuTest("a crop of a photo keeps detail that a thumbnail has lost", (gpu) =>
  withFolder(async (folder) => {
    await Deno.writeFile(`${folder}/stripes.png`, await stripes(96, 96));
    const deviation = async (storedSide?: number) => {
      const source = await openImages(`folder:${folder}`, { imageSize: 32, storedSide });
      const views = await openViews(gpu, source, {
        imageSize: 32,
        mean: [0, 0, 0],
        std: [1, 1, 1],
        seed: 1,
        augmentation: {
          crop: { scale: [0.1, 0.12], ratio: [1, 1] },
          flip: 0,
          jitter: null,
          grayscale: 0,
          blur: null,
        },
      });
      const [view] = await views.views(0, [Uint32Array.of(0)]);
      const values = await view.read();
      view.release();
      views.release();
      source.release();
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    };
    const [thumbnail, detailed] = [await deviation(), await deviation(96)];
    assert(detailed > 0.35 && thumbnail < 0.2, `${thumbnail}, ${detailed}`);
  }));

gpuTest(
  "the photos of a test set, and of a run without augmentation, are kept as evaluation sees them",
  (gpu) =>
    withFolder(async (folder) => {
      for (const name of ["a", "b"]) await Deno.writeFile(`${folder}/${name}.png`, await stripes(90, 60));
      const settings = { imageSize: 16, mean: [0, 0, 0], std: [1, 1, 1], seed: 1 } as const;
      const { augmentation } = config({});
      const held: number[] = [];
      const seen: Float32Array[] = [];
      for (const use of ["training", "evaluation"] as const) {
        const source = await openImages(`folder:${folder}`, { imageSize: 16, storedSide: 64, use });
        const views = await openViews(gpu, source, {
          ...settings,
          augmentation: use === "training" ? augmentation : "none",
        });
        held.push(gpu.pool.use.used);
        const { images } = await views.evaluationBatch(Uint32Array.of(0, 1));
        seen.push(await images.read());
        images.release();
        views.release();
        source.release();
      }
      assert(held[0] > 8 * held[1] && held[1] > 0, `${held}`);
      assertEquals(seen[0], seen[1]);
    }),
);

Deno.test("evaluation never sees a shrunk photo, and what was not shrunk is decoded once", () =>
  withFolder(async (folder) => {
    const [large, own] = [await stripes(61, 61), await stripes(16, 16)];
    await Deno.writeFile(`${folder}/large.png`, large);
    await Deno.writeFile(`${folder}/own.png`, own);
    const source = await openImages(`folder:${folder}`, { imageSize: 16, resize: 16, storedSide: 17 });
    const [kept, small] = await source.load([0, 1]);
    assertEquals([kept!.width, small!.width], [17, 16]);
    const [seen, same] = await source.load([0, 1], "evaluation");
    const sizes = { imageSize: 16, resize: 16, storedSide: 17 };
    assertEquals(seen!.pixels, (await decodeImage(large, "evaluation", sizes)).pixels);
    assertStrictEquals(same, small);
    source.release();
  }));

gpuTest("a library's user says how large photos are kept", (gpu) =>
  withFolder(async (folder) => {
    await Deno.writeFile(`${folder}/a.png`, await stripes(90, 60));
    const held: number[] = [];
    for (const storedSide of [undefined, "auto"] as const) {
      using _ = await LoadedImages.open(gpu, `folder:${folder}`, { imageSize: 16, storedSide });
      held.push(gpu.pool.use.used);
    }
    // 18 and 36 pixels.
    assert(held[1] > 2 * held[0], `${held}`);
  }));
