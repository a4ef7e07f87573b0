import { assertEquals, assertThrows } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import { packImages } from "../../src/data/residency.ts";

function image(width: number, height: number, start: number) {
  return {
    width,
    height,
    pixels: Uint8Array.from({ length: 4 * width * height }, (_, at) => (start + at) % 256),
  };
}

Deno.test("images are packed one u32 a pixel, red lowest, and found again through the table", () => {
  // A window at an odd offset, as decoders return them.
  const window = new Uint8Array(4 * 6 + 1);
  window.set(image(3, 2, 100).pixels, 1);
  const images = [
    image(2, 2, 0),
    { width: 3, height: 2, pixels: window.subarray(1) },
    image(5, 1, 50),
    image(1, 1, 9),
  ];
  const { table, chunks } = packImages(images, 4 * 10 + 3);
  assertEquals(Array.from(table), [0, 0, 2, 2, 0, 4, 3, 2, 1, 0, 5, 1, 1, 5, 1, 1]);
  assertEquals(chunks.map((chunk) => chunk.length), [10, 6]);
  images.forEach(({ width, height, pixels }, index) => {
    const [chunk, offset] = table.subarray(4 * index);
    for (let at = 0; at < width * height; at++) {
      const [red, green, blue, alpha] = pixels.subarray(4 * at);
      assertEquals(chunks[chunk][offset + at], (red | green << 8 | blue << 16 | alpha << 24) >>> 0);
    }
  });
});

Deno.test("an image larger than a chunk is refused", () => {
  assertThrows(() => packImages([image(1, 1, 0), image(4, 4, 0)], 60), DataError, "image 1 has 4x4 pixels");
});

Deno.test("no images give no chunks", () => {
  assertEquals(packImages([], 1024), { table: new Uint32Array(0), chunks: [] });
});
