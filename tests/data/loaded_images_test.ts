/** Images as a library's user has them. */
import { assertEquals, assertNotEquals } from "@std/assert";
import { LoadedImages } from "../../src/data/loaded_images.ts";
import { gpuTest } from "../helpers.ts";

const plain = { viewOrders: (batch: Uint32Array) => [{ batch }, { batch }] };

gpuTest("batches are functions of seed and step, and cover an epoch once", async (gpu) => {
  const open = () => LoadedImages.open(gpu, "synthetic:10", { imageSize: 16, augmentation: "none", seed: 3 });
  using images = await open();
  using again = await open();
  const rows = async (from: LoadedImages, step: number) => {
    using batch = await from.batch(step, 4, plain);
    assertEquals(batch.views.length, 2);
    const values = await batch.views[0].images.read();
    assertEquals(await batch.views[1].images.read(), values);
    return Array.from({ length: 4 }, (_, row) => values.subarray(row * 768, (row + 1) * 768).join());
  };
  const first = await rows(images, 0), second = await rows(images, 1);
  assertEquals(new Set([...first, ...second]).size, 8);
  assertEquals(await rows(again, 1), second);
  assertNotEquals(await rows(images, 2), first);
});

gpuTest("an objective's other order comes with the positions of the batch's images", async (gpu) => {
  using images = await LoadedImages.open(gpu, "synthetic:4", { imageSize: 16, augmentation: "none" });
  const objective = {
    viewOrders: (batch: Uint32Array) => [
      { batch },
      { batch: batch.toReversed(), positions: Uint32Array.of(3, 2, 1, 0) },
    ],
  };
  using batch = await images.batch(0, 4, objective);
  const [query, key] = batch.views;
  const [a, b] = [await query.images.read(), await key.images.read()];
  const [bytes] = await gpu.read(key.positions!);
  new Uint32Array(bytes).forEach((position, image) =>
    assertEquals(
      b.subarray(position * 768, (position + 1) * 768),
      a.subarray(image * 768, (image + 1) * 768),
    )
  );
});

gpuTest("plain images, their digest, and all of them in batches", async (gpu) => {
  using images = await LoadedImages.open(gpu, "synthetic:5", { imageSize: 16 });
  using some = await images.load(1, 4);
  assertEquals(some.shape, [3, 3, 16, 16]);
  const sizes: number[] = [];
  for await (using batch of images.batches(2)) sizes.push(batch.shape[0]);
  assertEquals([images.count, sizes.reduce((sum, size) => sum + size)], [5, 5]);
  using other = await LoadedImages.open(gpu, "synthetic:6", { imageSize: 16 });
  assertNotEquals(await images.digest(), await other.digest());
});
