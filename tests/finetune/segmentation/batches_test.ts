import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { DenseViews } from "../../../src/data/dense/dense_views.ts";
import { ShapeError } from "../../../src/errors.ts";
import { LabelledCrops } from "../../../src/finetune/segmentation/batches.ts";
import { gpuTest } from "../../helpers.ts";
import { drawn, smallConfig } from "./small_segmentation.ts";

gpuTest("crops and labels are a function of seed, step and image; labels are taken once", async (gpu) => {
  const source = await drawn(4);
  const photos = await DenseViews.open(gpu, source, {
    ...{ mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25], antialias: true },
  });
  const made = (seed: number) =>
    new LabelledCrops(photos, smallConfig({ segmentation: { crop: [16, 24] } }).segmentation, seed);
  const crops = made(7);
  const batch = async (from: LabelledCrops, step: number, ...indices: number[]) => {
    const [images] = await from.views(step, [Uint32Array.from(indices)]);
    const labels = from.takeGiven().labels!;
    assertEquals([images.shape, labels.shape], [[indices.length, 3, 16, 24], [indices.length, 16, 24]]);
    const [pixels, classes] = await gpu.read(images, labels);
    images.release();
    labels.release();
    const split = (values: number[]) =>
      indices.map((_, at) =>
        values.slice(at * values.length / indices.length, (at + 1) * values.length / indices.length)
      );
    return { pixels: split([...new Float32Array(pixels)]), classes: split([...new Uint32Array(classes)]) };
  };
  const one = await batch(crops, 3, 0, 2);
  crops.prefetch(Uint32Array.of(2, 0));
  await crops.ready();
  const other = await batch(crops, 3, 2, 0);
  assertEquals([other.pixels[1], other.pixels[0]], one.pixels);
  assertEquals([other.classes[1], other.classes[0]], one.classes);
  // What was got ready for other images is not used.
  crops.prefetch(Uint32Array.of(1, 3));
  assertEquals(await batch(crops, 3, 0, 2), one);
  for (const changed of [await batch(crops, 4, 0, 2), await batch(made(8), 3, 0, 2)]) {
    assertNotEquals(changed.pixels[0], one.pixels[0]);
    assertNotEquals(changed.classes[0], one.classes[0]);
  }
  const valid = (value: number) => value < source.classes.length || value === 255;
  assertEquals(one.classes.flat().every(valid), true);
  assertThrows(() => crops.takeGiven(), ShapeError);
  crops.release();
  source.release();
});
