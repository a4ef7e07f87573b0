/** Evaluation's images are torchvision's. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { evaluationImage, evaluationResize, planEvaluation } from "../../src/data/evaluation_image.ts";
import { goldenCases } from "../helpers.ts";
import { imageOfRgb, rgbOf } from "./images.ts";

Deno.test("Resize and CenterCrop of photos are torchvision's in every bit", async () => {
  const cases = await goldenCases("evaluation_image");
  assert(cases.length >= 8);
  for (const one of cases) {
    const { data, shape: [height, width] } = one.get("image");
    const { resize, crop } = one.parameters;
    const image = evaluationImage(imageOfRgb(data, height, width), { imageSize: crop, resize });
    assertEquals([image.width, image.height], [crop, crop], one.name);
    assertEquals(rgbOf(image), Array.from(one.get("output").data), one.name);
    assert(image.pixels.every((value, at) => at % 4 < 3 || value === 255), `${one.name}: fourth bytes`);
  }
});

Deno.test("the usual resize is 256 for 224, and an image of the input's size stays itself", () => {
  assertEquals([224, 96, 32].map(evaluationResize), [256, 110, 37]);
  const image = imageOfRgb(new Uint8Array(48), 4, 4);
  assertStrictEquals(evaluationImage(image, { imageSize: 4 }), image);
});

Deno.test("only the part that is seen is read", () => {
  const seen = (width: number, height: number) => planEvaluation(width, height, { imageSize: 224 }).part;
  // The last output reads one more pixel, with weight 0.
  assertEquals(seen(256, 256), { top: 16, left: 16, width: 225, height: 225 });
  // Twice as large: the filter reaches a pixel of the input further.
  assertEquals(seen(512, 512), { top: 31, left: 31, width: 450, height: 450 });
  // 85.5 pixels are cut off to the left, and Python rounds halves to the even number.
  assertEquals(seen(395, 256).left, 86);
  assertEquals(seen(397, 256).left, 86);
  assertEquals(seen(1, 1), { top: 0, left: 0, width: 1, height: 1 });
});
