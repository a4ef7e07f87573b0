import { assertAlmostEquals, assertEquals } from "@std/assert";
import { averagePrecisionOf } from "../../../src/evaluate/coco.ts";
import { PixelConfusion } from "../../../src/evaluate/segmentation.ts";
import { purpose, Random } from "../../../src/random.ts";
import { countDraws, type Outcome, packMatches, worthOf } from "../../../src/studies/correlate/outcome.ts";

Deno.test("accuracy of images that count several times", () => {
  const { images, of } = worthOf({ kind: "right", right: "1011" });
  assertEquals([images, of(), of(Uint32Array.of(0, 3, 1, 0))], [4, 0.75, 0.25]);
  assertEquals(countDraws(4, Uint32Array.of(2, 1, 1, 1)), Uint32Array.of(0, 3, 1, 0));
});

Deno.test("mean IoU is of all images together, each as often as it counts", () => {
  const random = new Random(5, purpose.test);
  const images = Array.from({ length: 3 }, () => {
    const labels = () => Array.from({ length: 50 }, () => random.integer(4));
    return { truth: labels(), predicted: labels() };
  });
  const confusionOf = (chosen: typeof images) => {
    const confusion = new PixelConfusion(4);
    for (const { truth, predicted } of chosen) confusion.add(truth, predicted);
    return confusion;
  };
  const outcome: Outcome = {
    kind: "pixels",
    classes: 4,
    counts: images.map((one) => [...confusionOf([one]).counts]),
  };
  const { of } = worthOf(JSON.parse(JSON.stringify(outcome)));
  assertEquals(of(), confusionOf(images).metrics().mIoU);
  const [first, , third] = images;
  assertEquals(of(Uint32Array.of(1, 0, 2)), confusionOf([first, third, third]).metrics().mIoU);
  assertEquals(of(new Uint32Array(3)), NaN);
});

Deno.test("matches keep all that AP needs when they are packed", () => {
  const outcomes = Array.from(
    { length: 10 },
    (_, threshold) =>
      (["right", "wrong", "ignored", "right"] as const).map((one) => threshold > 6 ? "wrong" : one),
  );
  const matches = [[
    { scores: Float64Array.of(0.9, 0.7, 0.5, 0.1), outcomes, objects: 3 },
    { scores: Float64Array.of(0.8, 0.6, 0.4, 0.2), outcomes, objects: 2 },
  ]];
  const { images, of } = worthOf(
    JSON.parse(JSON.stringify({ kind: "objects", matches: packMatches(matches) })),
  );
  assertEquals(images, 2);
  for (const times of [undefined, Uint32Array.of(2, 1)]) {
    assertAlmostEquals(of(times), averagePrecisionOf(matches)(times)!, 0);
  }
});
