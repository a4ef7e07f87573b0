import { assertEquals, assertRejects } from "@std/assert";
import { cityscapesClasses } from "../../../src/data/dense/cityscapes.ts";
import { decodeLabelPng } from "../../../src/data/dense/label_png.ts";
import { predictionPng } from "../../../src/data/dense/prediction_png.ts";
import { DataError } from "../../../src/errors.ts";

const size = { height: 1, width: 3 };

Deno.test("predictions have the ids of the set's labels, and the classes' colours", async () => {
  const { values, palette } = await decodeLabelPng(
    await predictionPng(Uint8Array.of(0, 18, 255), size, cityscapesClasses),
  );
  assertEquals(values, Uint8Array.of(7, 33, 255));
  assertEquals([...palette!.subarray(21, 24)], [128, 64, 128]);
  const wide = [{ id: 3, name: "a", colour: [1, 2, 3] }, { id: 3000, name: "b", colour: [1, 2, 3] }] as const;
  assertEquals(
    (await decodeLabelPng(await predictionPng(Uint8Array.of(0, 1, 255), size, wide))).values,
    Uint16Array.of(3, 3000, 255),
  );
  await assertRejects(
    () => predictionPng(Uint8Array.of(0, 2, 1), size, wide),
    DataError,
    "2 is no class; there are 2",
  );
});
