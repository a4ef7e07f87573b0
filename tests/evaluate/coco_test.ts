import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  averagePrecisionOf,
  type CocoMetrics,
  type DetectedObject,
  matchDetections,
  measureDetections,
  type TrueObject,
} from "../../src/evaluate/coco.ts";
import { boxOverlap, maskOverlap } from "../../src/evaluate/coco_match.ts";
import { packMask } from "../../src/data/dense/run_lengths.ts";
import { DataError } from "../../src/errors.ts";
import golden from "../golden/coco.json" with { type: "json" };
import { type SegmentationField, toRuns } from "../data/dense/segmentation_field.ts";

type Box = [number, number, number, number];

const sizes = new Map(golden.images.map((image) => [image.id, image]));
const truth = golden.annotations.map((one): TrueObject => {
  const { height, width } = sizes.get(one.image_id)!;
  return {
    imageId: one.image_id,
    categoryId: one.category_id,
    box: one.bbox as Box,
    area: one.area,
    crowd: one.iscrowd === 1,
    mask: toRuns(one.segmentation as SegmentationField, height, width),
  };
});
const images = golden.images.map(({ id }) => id), { categories } = golden;
const boxes = golden.bbox.detections.map((one): DetectedObject => ({
  imageId: one.image_id,
  categoryId: one.category_id,
  score: one.score,
  box: one.bbox as Box,
}));
const masks = golden.segm.detections.map((one): DetectedObject => {
  const { size: [height, width] } = one.segmentation;
  const mask = toRuns(one.segmentation as SegmentationField, height, width);
  return { imageId: one.image_id, categoryId: one.category_id, score: one.score, mask };
});

function numbers(metrics: CocoMetrics): number[] {
  return golden.statsNames.map((name) => (metrics[name as keyof CocoMetrics] ?? -1) as number);
}

function assertClose(actual: readonly number[], expected: readonly number[]) {
  actual.forEach((value, at) => {
    assert(Math.abs(value - expected[at]) < 1e-9, `${golden.statsNames[at]}: ${value}, not ${expected[at]}`);
  });
}

Deno.test("the twelve numbers of boxes are pycocotools'", () => {
  assert(truth.some(({ crowd }) => crowd));
  assertClose(
    numbers(measureDetections(truth, boxes, { kind: "box", images, categories })),
    golden.bbox.stats,
  );
});

Deno.test("AP of images that count several times is that of copies of them", () => {
  const request = { kind: "box", images, categories } as const;
  assertEquals(
    averagePrecisionOf(matchDetections(truth, boxes, request))(),
    measureDetections(truth, boxes, request).AP,
  );
  // Equal scores of one image come in another order in copies: right, wrong, right, wrong.
  const untied = boxes.map((one, at) => ({ ...one, score: one.score + 1e-9 * at }));
  const precision = averagePrecisionOf(matchDetections(truth, untied, request));
  const ids = images.toSorted((a, b) => a - b);
  const times = Uint32Array.from(ids, (_, at) => [1, 0, 3, 2][at % 4]);
  const copies = ids.flatMap((id, at) =>
    Array.from({ length: times[at] }, (_, copy) => ({ id, own: 10 * id + copy }))
  );
  const copied = <T extends { readonly imageId: number }>(list: readonly T[]): T[] =>
    copies.flatMap(({ id, own }) =>
      list.filter(({ imageId }) => imageId === id).map((one) => ({ ...one, imageId: own }))
    );
  const expected = measureDetections(copied(truth), copied(untied), {
    ...request,
    images: copies.map(({ own }) => own),
  }).AP!;
  assert(Math.abs(precision(times)! - expected) < 1e-12, `${precision(times)}, not ${expected}`);
  assertEquals(precision(new Uint32Array(ids.length)), null);
});

Deno.test("the twelve numbers of masks are pycocotools'", () => {
  assertClose(
    numbers(measureDetections(truth, masks, { kind: "mask", images, categories })),
    golden.segm.stats,
  );
});

Deno.test("overlaps of boxes are pycocotools'", () => {
  const { detections, groundTruth, iscrowd, iou } = golden.boxIou;
  const own = detections.map((one) =>
    groundTruth.map((other, at) => boxOverlap(one as Box, other as Box, iscrowd[at] === 1))
  );
  assertEquals(own, iou);
});

/** Equal but for what pycocotools adds to a denominator, 2.2e-16. */
function assertNear(actual: readonly (number | null)[], expected: readonly (number | null)[]) {
  assertEquals(
    actual.map((value) => value === null ? null : Math.round(value * 1e12) / 1e12),
    expected.map((value) => value === null ? null : Math.round(value * 1e12) / 1e12),
  );
}

const object = (box: Box, changes: Partial<TrueObject> = {}): TrueObject => ({
  imageId: 1,
  categoryId: 1,
  box,
  area: box[2] * box[3],
  crowd: false,
  ...changes,
});
const found = (box: Box, score: number, changes: Partial<DetectedObject> = {}): DetectedObject => ({
  imageId: 1,
  categoryId: 1,
  box,
  score,
  ...changes,
});
const one = { kind: "box", images: [1], categories: [1] } as const;

Deno.test("nothing to find is null and not zero, and such a category is left out of the mean", () => {
  const none = measureDetections([], [found([0, 0, 9, 9], 0.5)], one);
  assertEquals([none.AP, none.AR100, none.perCategory[0].AP], [null, null, null]);
  const metrics = measureDetections([object([0, 0, 9, 9])], [found([0, 0, 9, 9], 0.5)], {
    ...one,
    categories: [1, 2],
  });
  assertNear([metrics.AP, metrics.APsmall, metrics.APmedium], [1, 1, null]);
  assertEquals(metrics.perCategory.map(({ categoryId }) => categoryId), [1, 2]);
  assertNear(metrics.perCategory.map(({ AP }) => AP), [1, null]);
});

Deno.test("what lies in a crowd is not counted against the detector, more than once", () => {
  const crowd = object([0, 0, 100, 100], { crowd: true });
  const real = object([200, 200, 10, 10]);
  const inside = [found([10, 10, 20, 20], 0.9), found([40, 40, 20, 20], 0.8), found([200, 200, 10, 10], 0.1)];
  assertNear([measureDetections([crowd, real], inside, one).AP], [1]);
  assertNear([measureDetections([real], inside, one).AP], [1 / 3]);
});

Deno.test("an object that need not be found takes one detection and counts neither way", () => {
  const difficult = object([0, 0, 10, 10], { ignored: true }), real = object([50, 50, 10, 10]);
  const once = [found([0, 0, 10, 10], 0.9), found([50, 50, 10, 10], 0.5)];
  assertNear([measureDetections([difficult, real], once, one).AP], [1]);
  assertNear([measureDetections([difficult, real], [once[0], ...once], one).AP], [1 / 2]);
  assertEquals(measureDetections([difficult], once, one).AP, null);
});

Deno.test("a detection takes the later of equal objects, and a second one of the same object is wrong", () => {
  const twice = [found([0, 0, 10, 10], 0.9), found([0, 0, 10, 10], 0.8), found([0, 0, 10, 10], 0.7)];
  const pair = [object([0, 0, 10, 10]), object([0, 0, 10, 10])];
  assertNear([measureDetections(pair, twice, one).AP], [1]);
  const { AP, AR1, AR10 } = measureDetections([pair[0], object([50, 50, 10, 10])], twice, one);
  assertNear([AP], [51 / 101]);
  assertEquals([AR1, AR10], [0.5, 0.5]);
});

Deno.test("the area field decides the range, its ends in both", () => {
  const { APsmall, APmedium, APlarge } = measureDetections(
    [object([0, 0, 10, 10], { area: 1024 })],
    [found([0, 0, 10, 10], 0.9)],
    one,
  );
  assertNear([APsmall, APmedium, APlarge], [1, 1, null]);
});

Deno.test("overlap of masks, with a crowd over the detection's area", () => {
  const left = packMask([1, 1, 0, 1, 1, 0], 2, 3), all = packMask([1, 1, 1, 1, 1, 1], 2, 3);
  const right = packMask([0, 0, 1, 0, 0, 0], 2, 3);
  assertEquals([maskOverlap(left, all, false), maskOverlap(left, all, true)], [4 / 6, 1]);
  assertEquals(
    [maskOverlap(left, right, false), maskOverlap(left, packMask([0, 0, 0, 0, 0, 0], 2, 3), true)],
    [
      0,
      0,
    ],
  );
});

Deno.test("wrong detections are named", () => {
  const cases: [DetectedObject, string][] = [
    [found([0, 0, 1, 1], 0.5, { imageId: 7 }), "detection 0 is of image 7"],
    [found([0, 0, 1, 1], NaN), "detection 0 has the score NaN"],
    [found([0, 0, 1, 1], 0.5, { box: undefined }), "detection 0 has no box"],
  ];
  for (const [wrong, message] of cases) {
    assertThrows(() => measureDetections([], [wrong], one), DataError, message);
  }
  assertThrows(
    () => measureDetections([object([0, 0, 1, 1])], [], { ...one, kind: "mask" }),
    DataError,
    "object 0 has no mask",
  );
});
