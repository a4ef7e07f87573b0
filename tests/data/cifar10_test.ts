import { assertEquals, assertRejects } from "@std/assert";
import { ConfigurationError, DataError } from "../../src/errors.ts";
import { openImages } from "./open.ts";

function records(labels: number[], value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(3073 * labels.length);
  labels.forEach((label, index) => {
    bytes[3073 * index] = label;
    for (let channel = 0; channel < 3; channel++) {
      for (let at = 0; at < 1024; at++) {
        bytes[3073 * index + 1 + 1024 * channel + at] = (value + channel + at) % 256;
      }
    }
  });
  return bytes;
}

async function inFolder(test: (root: string) => Promise<void>) {
  const root = await Deno.makeTempDir();
  try {
    await test(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("cifar10 reads the training batches of a folder, or the one file that is named", async () => {
  await inFolder(async (root) => {
    await Deno.writeFile(`${root}/data_batch_1.bin`, records([3, 9], 10));
    await Deno.writeFile(`${root}/data_batch_10.bin`, records([5], 70));
    await Deno.writeFile(`${root}/data_batch_2.bin`, records([0], 40));
    await Deno.writeFile(`${root}/test_batch.bin`, records([7], 90));
    const source = await openImages(`cifar10:${root}/`);
    assertEquals([source.length, source.classes?.[9]], [4, "truck"]);
    assertEquals(source.labels, Int32Array.of(3, 9, 0, 5));
    const [third, first] = await source.load([2, 0]);
    assertEquals([third!.width, third!.height, third!.pixels.length], [32, 32, 4096]);
    assertEquals(Array.from(third!.pixels.subarray(0, 8)), [40, 41, 42, 255, 41, 42, 43, 255]);
    assertEquals(Array.from(first!.pixels.subarray(4 * 300, 4 * 300 + 4)), [54, 55, 56, 255]);
    source.release();

    const test = await openImages(`cifar10:${root}/test_batch.bin`);
    assertEquals([test.length, ...test.labels!], [1, 7]);
    test.release();
  });
});

Deno.test("cifar10 refuses what is not in its format", async () => {
  await inFolder(async (root) => {
    await assertRejects(() => openImages(`cifar10:${root}/nowhere`), ConfigurationError, "does not exist");
    await assertRejects(() => openImages(`cifar10:${root}`), DataError, "holds no data_batch_*.bin");
    await Deno.writeFile(`${root}/data_batch_1.bin`, records([1], 0).subarray(0, 3000));
    await assertRejects(() => openImages(`cifar10:${root}`), DataError, "3000 bytes");
    await Deno.writeFile(`${root}/data_batch_1.bin`, new Uint8Array(0));
    await assertRejects(() => openImages(`cifar10:${root}`), DataError, "0 bytes");
    await Deno.writeFile(`${root}/data_batch_1.bin`, records([1, 10], 0));
    await assertRejects(() => openImages(`cifar10:${root}`), DataError, "image 1 has label 10");
  });
});
