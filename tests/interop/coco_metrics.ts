/**
 * Compares detection metrics and masks with pycocotools' on a whole set: `deno run -A --no-lock
 * tests/interop/coco_metrics.ts FOLDER`, where FOLDER holds annotations/instances_test.json and golden/ with detections,
 * expected.json and masks.json. Prints the largest differences; fails beyond 1e-9.
 */
import { type CocoMetrics, type DetectedObject, measureDetections } from "../../src/evaluate/coco.ts";
import { compressRuns, runsArea, runsBox } from "../../src/data/dense/run_lengths.ts";
import { type SegmentationField, toRuns } from "../data/dense/segmentation_field.ts";

type Box = [number, number, number, number];
interface Entry {
  image_id: number;
  category_id: number;
  score: number;
  area: number;
  iscrowd: number;
  bbox?: Box;
  segmentation?: SegmentationField;
}

const [folder] = Deno.args;
const read = (name: string) => JSON.parse(Deno.readTextFileSync(`${folder}/${name}`));
const annotations = read("annotations/instances_test.json"), expected = read("golden/expected.json");
const sizes = new Map<number, { height: number; width: number }>(
  annotations.images.map((image: { id: number }) => [image.id, image]),
);
const images = [...sizes.keys()];
const categories: number[] = annotations.categories.map(({ id }: { id: number }) => id);

function parse({ image_id, category_id, score, area, iscrowd, bbox, segmentation }: Entry) {
  const { height, width } = sizes.get(image_id)!;
  return {
    imageId: image_id,
    categoryId: category_id,
    score,
    area,
    crowd: iscrowd === 1,
    ...(bbox && { box: bbox }),
    ...(segmentation && { mask: toRuns(segmentation, height, width) }),
  };
}

let worst = 0;
function report(what: string, pairs: readonly (readonly [number | null, number])[]) {
  const difference = Math.max(...pairs.map(([own, other]) => Math.abs((own ?? -1) - other)));
  worst = Math.max(worst, difference);
  console.log(`${what}: ${pairs.length} numbers, largest difference ${difference}`);
}

const truth = annotations.annotations.map(parse);
const twelve = (metrics: CocoMetrics, stats: number[]) =>
  stats.map((value, at) => [metrics[expected.statsNames[at] as "AP"], value] as const);
for (const [key, kind] of [["bbox", "box"], ["segm", "mask"]] as const) {
  const detections: DetectedObject[] = read(`golden/detections_${key}.json`).map(parse);
  const of = expected[key];
  const whole = measureDetections(truth, detections, { kind, images, categories });
  report(`${kind}, all`, twelve(whole, of.stats));
  report(
    `${kind}, per category`,
    whole.perCategory.flatMap(({ categoryId, AP, AP50, recalls }) => {
      const [ap, ap50, some] = of.perCategory[categoryId];
      const compared = [0, 5, 9].map((at, index) => [recalls?.[at] ?? null, some[index]] as const);
      return [[AP, ap] as const, [AP50, ap50] as const, ...compared];
    }),
  );
  report(
    `${kind}, category 1`,
    twelve(measureDetections(truth, detections, { kind, images, categories: [1] }), of.person),
  );
  const first = images.toSorted((a, b) => a - b).slice(0, 20);
  const some = detections.filter(({ imageId }) => first.includes(imageId));
  report(
    `${kind}, 20 images`,
    twelve(measureDetections(truth, some, { kind, images: first, categories }), of.first20),
  );
  const agnostic = measureDetections(truth, detections, { kind, images, categories, classAgnostic: true });
  report(`${kind}, class-agnostic`, twelve(agnostic, of.agnostic));
}
let wrong = 0;
const masks = read("golden/masks.json");
for (const { name, segmentation, height, width, counts, compressed, area, bbox } of masks) {
  const runs = toRuns(segmentation, height, width);
  const own = JSON.stringify([[...runs.counts], compressRuns(runs), runsArea(runs), runsBox(runs)]);
  if (own === JSON.stringify([counts, compressed, area, bbox])) continue;
  wrong++;
  console.log(`mask "${name}" differs`);
}
console.log(`masks: ${masks.length}, of which ${wrong} differ`);
if (worst > 1e-9 || wrong > 0) Deno.exit(1);
