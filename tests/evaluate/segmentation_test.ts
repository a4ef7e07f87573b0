import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { PixelConfusion } from "../../src/evaluate/segmentation.ts";
import { DataError, ShapeError } from "../../src/errors.ts";
import { purpose, Random } from "../../src/random.ts";

Deno.test("intersection over union of the whole set, not a mean of images", () => {
  const confusion = new PixelConfusion(3);
  confusion.add([0, 0, 1, 255], [0, 1, 1, 7]);
  confusion.add([1, 1, 1, 1], [1, 1, 1, 1]);
  const { mIoU, pixelAccuracy, meanAccuracy, perClass, pixels, ignored } = confusion.metrics();
  assertEquals(perClass, [
    { iou: 1 / 2, accuracy: 1 / 2, pixels: 2, predicted: 1 },
    { iou: 5 / 6, accuracy: 1, pixels: 5, predicted: 6 },
    { iou: null, accuracy: null, pixels: 0, predicted: 0 },
  ]);
  assertEquals([mIoU, pixelAccuracy, meanAccuracy], [(1 / 2 + 5 / 6) / 2, 6 / 7, 3 / 4]);
  assertEquals([pixels, ignored], [7, 1]);
});

Deno.test("a class that is only predicted counts with 0, one that is nowhere does not", () => {
  const confusion = new PixelConfusion(3);
  confusion.add([0, 0], [0, 2]);
  assertEquals(confusion.metrics().perClass.map(({ iou }) => iou), [1 / 2, null, 0]);
  assertEquals(confusion.metrics().mIoU, 1 / 4);
});

Deno.test("nothing that counts gives null", () => {
  const confusion = new PixelConfusion(2, 11);
  confusion.add([11, 11], [0, 1]);
  const { mIoU, pixelAccuracy, meanAccuracy, ignored } = confusion.metrics();
  assertEquals([mIoU, pixelAccuracy, meanAccuracy, ignored], [null, null, null, 2]);
});

Deno.test("random labels against sets of pixels; parts add up", () => {
  const random = new Random(2, purpose.test), classes = 5;
  const draw = (length: number) => Uint8Array.from({ length }, () => random.integer(classes));
  const whole = new PixelConfusion(classes),
    parts = [new PixelConfusion(classes), new PixelConfusion(classes)];
  const all: [number, number][] = [];
  for (let image = 0; image < 6; image++) {
    const truth = draw(37), prediction = draw(37);
    whole.add(truth, prediction);
    parts[image % 2].add(truth, prediction);
    truth.forEach((actual, at) => all.push([actual, prediction[at]]));
  }
  parts[0].merge(parts[1]);
  assertEquals(parts[0].metrics(), whole.metrics());
  whole.metrics().perClass.forEach(({ iou }, index) => {
    const both = all.filter(([a, b]) => a === index && b === index).length;
    const either = all.filter(([a, b]) => a === index || b === index).length;
    assertAlmostEquals(iou!, both / either, 1e-15);
  });
});

Deno.test("a class that there is not is refused, and nothing of its image counts", () => {
  const confusion = new PixelConfusion(2);
  assertThrows(() => confusion.add([0, 2], [0, 0], "a.png"), DataError, "a.png: the label of pixel 1 is 2");
  assertThrows(() => confusion.add([0, 1], [0, 5]), DataError, "the prediction of pixel 1 is 5");
  assertThrows(() => confusion.add([0, 1], [0]), ShapeError, "2 pixels are labelled and 1 predicted");
  assertThrows(() => confusion.merge(new PixelConfusion(3)), ShapeError, "2 and 3 classes");
  assertThrows(() => new PixelConfusion(12, 11), DataError, "12 classes and 11");
  assertEquals(confusion.metrics().pixels, 0);
});
