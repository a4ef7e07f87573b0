/** From sources to network inputs: resident or streamed, in any order, with broken files, ready-made tensors. */
import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import {
  type AugmentationSettings,
  drawParameters,
  plainParameters,
  viewRandom,
} from "../../src/data/augmentation.ts";
import { evaluationImage } from "../../src/data/evaluation_image.ts";
import { GpuImages } from "../../src/data/gpu_images.ts";
import type { DecodedImage, ImageSource, TensorSource } from "../../src/data/image_set.ts";
import { openViews } from "../../src/data/views.ts";
import type { ViewMaker, ViewSettings } from "../../src/data/view_maker.ts";
import { DataError } from "../../src/errors.ts";
import { purpose, Random } from "../../src/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, gpuTest, randomValues } from "../helpers.ts";
import { referenceAugment } from "./augmentation_reference.ts";

const mocoV2: AugmentationSettings = {
  crop: { scale: [0.2, 1], ratio: [3 / 4, 4 / 3] },
  flip: 0.5,
  jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1, probability: 0.8 },
  grayscale: 0.2,
  blur: { probability: 0.5, sigma: [0.1, 2] },
};
const settings: ViewSettings = {
  imageSize: 16,
  mean: [0.5, 0.4, 0.3],
  std: [0.25, 0.2, 0.3],
  augmentation: mocoV2,
  seed: 3,
};
const target = { height: 16, width: 16, mean: settings.mean, std: settings.std };
const inputLength = 3 * 16 * 16;

function exampleImages(count: number): DecodedImage[] {
  return Array.from({ length: count }, (_, index) => {
    const random = new Random(index, purpose.test);
    const [width, height] = [12 + random.integer(20), 12 + random.integer(20)];
    const pixels = Uint8Array.from(
      { length: 4 * width * height },
      (_, at) => at % 4 === 3 ? 255 : random.integer(256),
    );
    return { width, height, pixels };
  });
}

/** A source that notes what is loaded; the images in `broken` cannot be read. */
function exampleSource(images: DecodedImage[], broken: number[] = []): ImageSource & { loads: number[][] } {
  const loads: number[][] = [];
  return {
    kind: "images",
    name: "example",
    length: images.length,
    skipped: [],
    loads,
    load(indices) {
      loads.push([...indices]);
      return Promise.resolve(indices.map((index) => broken.includes(index) ? undefined : images[index]));
    },
    release: () => {},
  };
}

async function readAll(tensors: Tensor[]): Promise<number[][]> {
  const values = [];
  for (const tensor of tensors) {
    values.push([...await tensor.read()]);
    tensor.release();
  }
  return values;
}

const lists = [Uint32Array.of(3, 0, 6, 4), Uint32Array.of(4, 3, 6, 0)];

gpuTest("the views of a step, resident and streamed, are those drawn for its images", async (gpu) => {
  const images = exampleImages(8);
  const settled: number[][][] = [];
  for (const residentBytes of [undefined, 0]) {
    const source = exampleSource(images);
    const maker = await openViews(gpu, source, { ...settings, residentBytes });
    const opened = source.loads.length;
    const views = await maker.views(5, lists);
    assertEquals(views.map(({ shape }) => shape), [[4, 3, 16, 16], [4, 3, 16, 16]]);
    const values = await readAll(views);
    // Each image is loaded once for both views; a set on the device not at all.
    assertEquals(source.loads.slice(opened), residentBytes === 0 ? [[0, 3, 4, 6]] : []);
    settled.push(values);
    maker.release();
  }
  assertEquals(settled[0], settled[1]);
  lists.forEach((list, view) =>
    list.forEach((index, row) => {
      const image = images[index];
      const parameters = drawParameters(mocoV2, viewRandom(3, 5, index, view), image);
      const found = settled[0][view].slice(row * inputLength, (row + 1) * inputLength);
      assertClose(found, referenceAugment(image, parameters, target), 1e-4, `view ${view} of image ${index}`);
    })
  );
  assertEquals(gpu.pool.use.used, 0);
});

gpuTest("a step repeats bit for bit, other steps differ, order does not matter", async (gpu) => {
  const maker = await openViews(gpu, exampleSource(exampleImages(8)), settings);
  const make = async (step: number, ...lists: number[][]) =>
    await readAll(await maker.views(step, lists.map((list) => Uint32Array.from(list))));
  const [first] = await make(0, [1, 2]);
  assertEquals(await make(0, [1, 2]), [first]);
  assertNotEquals(await make(1, [1, 2]), [first]);
  const [turned, other] = await make(0, [2, 1], [1, 2]);
  assertEquals([...turned.slice(inputLength), ...turned.slice(0, inputLength)], first);
  assertNotEquals(other, first);
  maker.release();
});

gpuTest("what was prefetched is not loaded again", async (gpu) => {
  const source = exampleSource(exampleImages(8));
  const maker = await openViews(gpu, source, { ...settings, residentBytes: 0 });
  source.loads.length = 0;
  maker.prefetch(lists[0]);
  const prefetched = await readAll(await maker.views(0, lists));
  assertEquals(source.loads, [[0, 3, 4, 6]]);
  maker.prefetch(Uint32Array.of(1, 2));
  assertEquals(await readAll(await maker.views(0, lists)), prefetched);
  assertEquals(source.loads, [[0, 3, 4, 6], [1, 2], [0, 3, 4, 6]]);
  maker.release();
});

gpuTest("what was prefetched for a step is still there after other images were looked at", async (gpu) => {
  const source = exampleSource(exampleImages(8));
  const maker = await openViews(gpu, source, { ...settings, residentBytes: 0 });
  source.loads.length = 0;
  maker.prefetch(lists[0]);
  const other = Uint32Array.of(1, 2);
  await readAll(await maker.views(2 ** 32 - 1, [other, other]));
  await readAll(await maker.views(0, lists));
  assertEquals(source.loads, [[0, 3, 4, 6], [1, 2]]);
  maker.release();
});

gpuTest("evaluation batches, and augmentation none", async (gpu) => {
  const images = exampleImages(8);
  const maker = await openViews(gpu, exampleSource(images), { ...settings, augmentation: "none" });
  const order = Uint32Array.of(5, 1, 7);
  const batch = await maker.evaluationBatch(order);
  assertEquals(batch.indices, order);
  const [values] = await readAll([batch.images]);
  order.forEach((index, row) => {
    const seen = evaluationImage(images[index], settings);
    const expected = referenceAugment(seen, plainParameters(seen), target);
    assertClose(values.slice(row * inputLength, (row + 1) * inputLength), expected, 1e-5, `image ${index}`);
  });
  assertEquals(await readAll(await maker.views(9, [order, order])), [values, values]);
  maker.release();
});

gpuTest("the next usable image of the pool stands in for a broken one", async (gpu) => {
  const images = exampleImages(8);
  const pool = Uint32Array.of(0, 2, 4, 6);
  const maker = await openViews(gpu, exampleSource(images, [2, 7]), { ...settings, pool });
  const [found, expected] = await readAll(await maker.views(0, [Uint32Array.of(2, 0)])).then(async (
    [found],
  ) => [
    found,
    (await readAll(await maker.views(0, [Uint32Array.of(4, 0)])))[0],
  ]);
  assertEquals(found, expected);
  const batch = await maker.evaluationBatch(Uint32Array.of(7, 1, 2));
  assertEquals(batch.indices, Uint32Array.of(1, 1, 1));
  batch.images.release();
  maker.prefetch(Uint32Array.of(7));
  await assertRejects(() => maker.evaluationBatch(Uint32Array.of(7)), DataError, "none of the 1 images");
  maker.release();
});

gpuTest("a set is resident when it fits and is whole", async (gpu) => {
  const images = exampleImages(300);
  const bytes = images.reduce((sum, { pixels }) => sum + pixels.byteLength, 0);
  const open = async (limit: number, broken: number[] = []) => {
    const opened = await GpuImages.open(gpu, exampleSource(images, broken), limit);
    opened.release();
    return opened.resident;
  };
  assertEquals(await open(bytes), true);
  assertEquals(await open(bytes - 1), false);
  assertEquals(await open(bytes, [299]), false);
});

gpuTest("ready-made inputs come as they are", async (gpu) => {
  const columns = 3 * 5 * 4;
  const images = randomValues(6 * columns, 1);
  const source: TensorSource = {
    kind: "tensor",
    name: "example",
    length: 6,
    skipped: [],
    channels: 3,
    height: 5,
    width: 4,
    images,
    release: () => {},
  };
  for (const residentBytes of [undefined, 0]) {
    const maker: ViewMaker = await openViews(gpu, source, { ...settings, residentBytes });
    assertEquals([maker.height, maker.width], [5, 4]);
    const order = Uint32Array.of(4, 0, 5);
    const expected = Array.from(order).flatMap((
      index,
    ) => [...images.subarray(index * columns, (index + 1) * columns)]);
    maker.prefetch(order);
    const views = await maker.views(0, [order, Uint32Array.of(2)]);
    assertEquals(views.map(({ shape }) => shape), [[3, 3, 5, 4], [1, 3, 5, 4]]);
    const [first, second] = await readAll(views);
    assertEquals(first, expected);
    assertEquals(second, [...images.subarray(2 * columns, 3 * columns)]);
    const batch = await maker.evaluationBatch(order);
    assertEquals(await readAll([batch.images]), [expected]);
    maker.release();
  }
  assertEquals(gpu.pool.use.used, 0);
});
