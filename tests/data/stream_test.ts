import { assertEquals, assertRejects } from "@std/assert";
import type { DecodedImage, ImageSource } from "../../src/data/image_set.ts";
import { splitByBytes, streamImages } from "../../src/data/stream.ts";
import { openViews } from "../../src/data/views.ts";
import { DataError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { assertClose, gpuTest } from "../helpers.ts";

const settings = { imageSize: 8, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] } as const;

function image(index: number): DecodedImage {
  const [width, height] = [8 + index % 3, 8 + index % 5];
  const pixels = Uint8Array.from({ length: 4 * width * height }, (_, at) => (at * (index + 7)) % 256);
  return { width, height, pixels };
}

/** A source some of whose images are broken, and what was asked of it. */
function sourceOf(length: number, broken: readonly number[] = []): ImageSource & { asked: number[][] } {
  const asked: number[][] = [];
  return {
    kind: "images",
    name: "test",
    length,
    skipped: broken.map((index) => ({ path: `${index}.png`, reason: "torn" })),
    asked,
    load(indices) {
      asked.push([...indices]);
      return Promise.resolve(indices.map((index) => broken.includes(index) ? undefined : image(index)));
    },
    release() {},
  };
}

/** Indices and values of all batches. */
async function collect(gpu: Gpu, source: ImageSource, batch: number) {
  const lists: number[][] = [];
  const values: number[] = [];
  for await (const { images, indices } of streamImages(gpu, source, { ...settings, batch })) {
    lists.push([...indices]);
    values.push(...await images.read());
    images.release();
  }
  return { lists, values };
}

gpuTest(
  "every image comes once, in order, as evaluation sees it, and each batch is loaded ahead",
  async (gpu) => {
    const source = sourceOf(7);
    const { lists, values } = await collect(gpu, source, 3);
    assertEquals(lists, [[0, 1, 2], [3, 4, 5], [6]]);
    assertEquals(source.asked.filter((indices) => indices.length > 0), lists);
    const views = await openViews(gpu, sourceOf(7), { ...settings, augmentation: "none", seed: 0 });
    const { images } = await views.evaluationBatch(Uint32Array.of(0, 1, 2, 3, 4, 5, 6));
    assertClose(values, await images.read(), 1e-6, "images");
  },
);

gpuTest("broken images leave gaps, also where they are all of a batch", async (gpu) => {
  const { lists, values } = await collect(gpu, sourceOf(8, [1, 3, 4, 5, 7]), 3);
  assertEquals(lists, [[0, 2], [6]]);
  assertEquals(values.length, 3 * 3 * 64);
  await assertRejects(
    () => collect(gpu, sourceOf(2, [0, 1]), 3),
    DataError,
    'none of the 2 images of test can be read; the first is "0.png": torn',
  );
});

gpuTest("what the source refuses is raised, though it was asked ahead", async (gpu) => {
  const source = sourceOf(6);
  const load = source.load;
  source.load = (indices) => indices.includes(3) ? Promise.reject(new DataError("3 is torn")) : load(indices);
  await assertRejects(() => collect(gpu, source, 3), DataError, "3 is torn");
});

Deno.test("a batch with more pixels than the device binds is cut, but no image is", () => {
  const indices = Uint32Array.of(4, 6, 7, 9);
  const images = new Map(Array.from(indices, (index) => [index, image(index)]));
  const bytes = Array.from(indices, (index) => image(index).pixels.length);
  const cut = (limit: number) => [...splitByBytes({ indices, images }, limit)].map((part) => [...part]);
  assertEquals(cut(bytes[0] + bytes[1] + bytes[2] + bytes[3]), [[4, 6, 7, 9]]);
  assertEquals(cut(bytes[0] + bytes[1]), [[4, 6], [7], [9]]);
  assertEquals(cut(1), [[4], [6], [7], [9]]);
  assertEquals([...splitByBytes({ indices }, 1)], [indices]);
});
