import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import sharp from "sharp";
import { type ColourStep, denseCrop } from "../../../src/data/dense/dense_crop.ts";
import { DenseViews } from "../../../src/data/dense/dense_views.ts";
import { drawDense } from "../../../src/data/dense/draw.ts";
import { openSegmentation } from "../../../src/data/dense/open.ts";
import { placeLabels, type Placement, wholePlacement } from "../../../src/data/dense/placement.ts";
import { DataError } from "../../../src/errors.ts";
import type { DecodedImage } from "../../../src/data/image_set.ts";
import { packImages } from "../../../src/data/residency.ts";
import { purpose, Random } from "../../../src/random.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { gpuTest } from "../../helpers.ts";
import { collecting, gray, inFolder, photo } from "./files.ts";
import { referenceCrop } from "./placement_reference.ts";

const random = new Random(6, purpose.test);

function randomImage(width: number, height: number): DecodedImage {
  const pixels = Uint8Array.from(
    { length: 4 * width * height },
    (_, at) => at % 4 === 3 ? 255 : random.integer(256),
  );
  return { width, height, pixels };
}

function assertNear(actual: ArrayLike<number>, expected: ArrayLike<number>, most: number, name: string) {
  assertEquals(actual.length, expected.length);
  let worst = 0;
  for (let at = 0; at < actual.length; at++) worst = Math.max(worst, Math.abs(actual[at] - expected[at]));
  assert(worst < most, `${name}: ${worst}`);
}

gpuTest("photos are shown as plain loops in double precision show them", async (gpu) => {
  const images = [randomImage(13, 9), randomImage(5, 17), randomImage(1, 1), randomImage(31, 23)];
  const mean = [0.5, 0.4, 0.3] as const, std = [0.2, 0.25, 0.3] as const;
  const colours: ColourStep[][] = [
    [],
    [{ operation: "add", amount: 0.11 }, { operation: "chroma", amount: 1.4 }, {
      operation: "hue",
      amount: -0.09,
    }, {
      operation: "multiply",
      amount: 1.3,
    }],
    [{ operation: "multiply", amount: 0.6 }, { operation: "add", amount: -0.1 }],
    [{ operation: "chroma", amount: 0.5 }],
  ];
  const target = { height: 14, width: 11, mean, std };
  for (const antialias of [false, true]) {
    for (let round = 0; round < 5; round++) {
      const placements = images.map(({ width, height }): Placement => {
        const resized = { height: 5 + random.integer(30), width: 5 + random.integer(30) };
        const window = {
          height: 1 + random.integer(Math.min(14, resized.height)),
          width: 1 + random.integer(Math.min(11, resized.width)),
          top: 0,
          left: 0,
        };
        window.top = random.integer(resized.height - window.height + 1);
        window.left = random.integer(resized.width - window.width + 1);
        return { source: { width, height }, resized, window, flip: random.chance(0.5) };
      });
      const { table, chunks } = packImages(images, 2 ** 20);
      const pixels = Tensor.from(gpu, chunks[0]);
      const samples = images.map(({ width, height }, at) => ({
        offset: table[4 * at + 1],
        width,
        height,
        placement: placements[at],
        colours: colours[at],
      }));
      const shown = denseCrop(gpu, pixels, samples, target, antialias);
      const expected = images.flatMap((image, at) =>
        referenceCrop(image, placements[at], colours[at], target, antialias)
      );
      assertNear(await shown.read(), expected, 2e-4, `antialias ${antialias}, round ${round}`);
      shown.release();
      pixels.release();
    }
  }
});

gpuTest("what cannot be shown is refused", async (gpu) => {
  const pixels = Tensor.from(gpu, new Uint32Array(4));
  const target = { height: 2, width: 2, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  const sample = (width: number, height: number, placement: Placement) => [
    { offset: 0, width, height, placement, colours: [] },
  ];
  const large = wholePlacement({ width: 3, height: 2 });
  assertThrows(() => denseCrop(gpu, pixels, sample(3, 2, large), target, true), DataError, "3 x 2 is larger");
  const shrunk = wholePlacement({ width: 900, height: 900 }, { width: 2, height: 2 });
  assertThrows(
    () => denseCrop(gpu, pixels, sample(900, 900, shrunk), target, true),
    DataError,
    "too large to be resized",
  );
  pixels.release();
  await gpu.finish();
});

gpuTest(
  "batches: photos and labels of one draw, on the device or brought there, broken photos replaced",
  async (gpu) => {
    const files: Record<string, Uint8Array | string> = {
      "classes.json": JSON.stringify({ classes: [{ id: 0, name: "dark" }, { id: 1, name: "bright" }] }),
    };
    // Pixels tell their class, so that photos and labels can be compared.
    for (const [at, [width, height]] of [[9, 6], [12, 12], [7, 20]].entries()) {
      const values = Array.from(
        { length: width * height },
        (_, index) => Number(index % width > (index / width) / 2),
      );
      const channels = values.flatMap((value) => new Array(3).fill(255 * value));
      files[`images/${at}.png`] = await sharp(Uint8Array.from(channels), {
        raw: { width, height, channels: 3 },
      }).png().toBuffer();
      files[`labels/${at}.png`] = await gray(values, width);
    }
    files["images/3.png"] = (await photo(4, 4)).subarray(0, 30);
    files["labels/3.png"] = await gray(new Array(16).fill(0), 4);
    const settings = {
      scale: [1, 1] as const,
      base: null,
      crop: { height: 8, width: 10 },
      mostOfOneClass: 0.75,
      flip: 0.5,
      colour: null,
    };
    const size = { height: 8, width: 10 };
    await inFolder(files, async (root) => {
      const source = await openSegmentation(`masks:${root}`, collecting().options);
      const results: Float32Array[] = [];
      for (const residentBytes of [undefined, 0]) {
        const mean = [0, 0, 0] as const, std = [1, 1, 1] as const;
        using views = await DenseViews.open(gpu, source, { mean, std, antialias: false, residentBytes });
        assertEquals(views.images.resident, residentBytes === undefined);
        const batch = await views.load(Uint32Array.of(2, 3, 1));
        assertEquals(batch.map(({ index }) => index), [2, 0, 1], "the next readable one");
        const draws = batch.map(({ index, target }) =>
          drawDense(settings, { seed: 1, step: 4, index }, target)
        );
        const shown = views.show(batch, draws, size);
        const images = await shown.read() as Float32Array;
        batch.forEach(({ target }, at) => {
          const labels = placeLabels(target, draws[at].placement, size, 255);
          labels.forEach((label, pixel) => {
            const value = images[3 * 80 * at + pixel];
            assertEquals(value, label === 255 ? 0 : label, `image ${at}, pixel ${pixel}`);
          });
        });
        results.push(images);
        shown.release();
      }
      assertEquals(results[0], results[1]);
      source.release();
    });
  },
);

gpuTest("a label of another shape than its photo stops the batch", async (gpu) => {
  const files = { "images/a.png": await photo(4, 4), "labels/a.png": await gray([0, 1, 1, 1], 2) };
  await inFolder(files, async (root) => {
    const source = await openSegmentation(`masks:${root}`, collecting().options);
    using views = await DenseViews.open(gpu, source, { mean: [0, 0, 0], std: [1, 1, 1], antialias: true });
    await assertRejects(
      () => views.load(Uint32Array.of(0)),
      DataError,
      "has 4 x 4 pixels, but its annotation is for 2 x 2",
    );
    source.release();
  });
});
