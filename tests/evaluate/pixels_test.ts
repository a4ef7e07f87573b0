import { assertEquals } from "@std/assert";
import { pixelBlock, pixelValues, shrinkPixels } from "../../src/evaluate/pixels.ts";

Deno.test("images up to 64 pixels are compared as they are, larger ones at 32 or less", () => {
  assertEquals([[64, 64], [65, 65], [96, 96], [224, 224], [30, 100]].map(([h, w]) => pixelBlock(h, w)), [
    1,
    3,
    3,
    7,
    4,
  ]);
  assertEquals([[64, 64], [65, 65], [128, 128]].map(([h, w]) => pixelValues(h, w)), [
    12_288,
    3 * 21 ** 2,
    3072,
  ]);
});

Deno.test("blocks are averaged, each channel and image by itself; the rest is left out", () => {
  // Two planes of 3 x 5: the last row and column belong to no block of 2.
  const images = Float32Array.from([
    ...[0, 2, 10, 10, 99, 4, 6, 10, 30, 99, 99, 99, 99, 99, 99],
    ...[1, 1, 2, 2, 0, 1, 1, 2, 2, 0, 0, 0, 0, 0, 0],
  ]);
  assertEquals([...shrinkPixels(images, 3, 5, 2)], [3, 15, 1, 2]);
  assertEquals(shrinkPixels(images, 3, 5, 1), images);
});
