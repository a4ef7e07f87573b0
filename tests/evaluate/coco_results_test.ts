import { assertEquals } from "@std/assert";
import { packMask, parseRuns } from "../../src/data/dense/run_lengths.ts";
import { measureDetections } from "../../src/evaluate/coco.ts";
import { resultsJson, trueObjects } from "../../src/evaluate/coco_results.ts";

const mask = packMask([0, 1, 1, 0, 1, 1], 2, 3);
const instance = {
  id: 0,
  classIndex: 1,
  box: [1, 0, 2, 2],
  area: 4,
  crowd: false,
  ignored: false,
  mask,
} as const;

Deno.test("the truth has the files' ids, an annotation's id 0 counts, and what is found of it is right", () => {
  const target = { kind: "instances", width: 3, height: 2, imageId: 42, instances: [instance] } as const;
  const truth = trueObjects(target, [{ id: 5 }, { id: 90 }]);
  assertEquals(truth.map(({ imageId, categoryId }) => [imageId, categoryId]), [[42, 90]]);
  const found = [{ imageId: 42, categoryId: 90, score: 0.5, box: instance.box, mask }];
  const request = { images: [42], categories: [5, 90] };
  for (const kind of ["box", "mask"] as const) {
    assertEquals(measureDetections(truth, found, { kind, ...request }).AR100, 1);
  }
});

Deno.test("results are COCO's", () => {
  assertEquals(resultsJson([]), "[]\n");
  const both = [
    { imageId: 1, categoryId: 90, score: 0.25, box: [1, 0, 2, 2], mask } as const,
    { imageId: 2, categoryId: 5, score: 1, box: [0, 0, 1, 1] } as const,
  ];
  const [first, second] = JSON.parse(resultsJson(both));
  assertEquals(second, { image_id: 2, category_id: 5, score: 1, bbox: [0, 0, 1, 1] });
  assertEquals([first.image_id, first.category_id, first.bbox], [1, 90, [1, 0, 2, 2]]);
  assertEquals(parseRuns(first.segmentation.counts, ...first.segmentation.size as [number, number]), mask);
});
