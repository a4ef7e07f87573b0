/**
 * What can be had without learning, to publish beside figures of dense tasks:
 *
 *     deno run --allow-read --allow-ffi=node_modules --allow-env bench/dense_baselines.ts segmentation TRAIN TEST
 *     deno run --allow-read --allow-ffi=node_modules --allow-env bench/dense_baselines.ts instances TEST
 *
 * TRAIN and TEST are data specifications. Segmentation: the class that a position has most often in TRAIN, and the one that
 * is most frequent of all. Instances: pixels on the rarer side of Otsu's threshold, joined to objects with their four
 * neighbours, larger ones first; for one class of bright or dark things on a plain ground.
 */
import { loadSamples, openInstances, openSegmentation } from "../src/data/dense/open.ts";
import { packMask, runsArea, runsBox } from "../src/data/dense/run_lengths.ts";
import type { DecodedImage } from "../src/data/image_set.ts";
import { type DetectedObject, measureDetections, type TrueObject } from "../src/evaluate/coco.ts";
import { PixelConfusion } from "../src/evaluate/segmentation.ts";

const options = { imageSize: 64, seed: 1, preload: false, onWarning: (text: string) => console.error(text) };
/** Objects of fewer pixels are taken for noise. */
const leastPixels = 10;

async function segmentation(train: string, test: string) {
  const source = await openSegmentation(train, options), held = await openSegmentation(test, options);
  const classes = source.classes.length;
  const first = await source.target(0);
  const { width, height } = first;
  const counts = new Uint32Array(width * height * classes);
  for (let index = 0; index < source.images.length; index++) {
    const { values } = await source.target(index);
    if (values.length !== width * height) throw new Error("the labels have different sizes");
    values.forEach((value, at) => value < classes && counts[at * classes + value]++);
  }
  const most = (list: Uint32Array) => list.indexOf(Math.max(...list));
  const prior = Uint8Array.from(
    { length: width * height },
    (_, at) => most(counts.subarray(at * classes, (at + 1) * classes)),
  );
  const totals = new Uint32Array(classes);
  counts.forEach((count, at) => totals[at % classes] += count);
  const always = new Uint8Array(width * height).fill(most(totals));
  for (
    const [name, prediction] of [["most frequent of a position", prior], ["most frequent", always]] as const
  ) {
    const confusion = new PixelConfusion(classes);
    for (let index = 0; index < held.images.length; index++) {
      confusion.add((await held.target(index)).values, prediction);
    }
    const { mIoU, pixelAccuracy } = confusion.metrics();
    console.log(`${name}: mIoU ${(100 * mIoU!).toFixed(2)} %, pixels ${(100 * pixelAccuracy!).toFixed(2)} %`);
  }
  source.release();
  held.release();
}

/** Gray levels, 0 to 255. */
function grayOf({ pixels }: DecodedImage): Uint8Array {
  return Uint8Array.from({ length: pixels.length / 4 }, (_, at) => {
    const [red, green, blue] = pixels.subarray(4 * at, 4 * at + 3);
    return Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
  });
}

/** The threshold that leaves the least variance within both sides. */
function otsu(gray: Uint8Array): number {
  const counts = new Float64Array(256);
  gray.forEach((value) => counts[value]++);
  const sum = counts.reduce((total, count, level) => total + count * level, 0);
  let below = 0, sumBelow = 0, best = -1, threshold = 0;
  for (let level = 0; level < 256; level++) {
    below += counts[level];
    sumBelow += counts[level] * level;
    const above = gray.length - below;
    if (below === 0 || above === 0) continue;
    const between = below * above * (sumBelow / below - (sum - sumBelow) / above) ** 2;
    if (between > best) [best, threshold] = [between, level];
  }
  return threshold;
}

/** Number of the object of each pixel, 0 for none. */
function connect(inside: Uint8Array, width: number): { labels: Int32Array; count: number } {
  const labels = new Int32Array(inside.length);
  let count = 0;
  for (let start = 0; start < inside.length; start++) {
    if (!inside[start] || labels[start]) continue;
    labels[start] = ++count;
    for (const open = [start]; open.length > 0;) {
      const at = open.pop()!, x = at % width;
      for (const next of [at - width, at + width, x > 0 ? at - 1 : -1, x < width - 1 ? at + 1 : -1]) {
        if (next < 0 || next >= inside.length || !inside[next] || labels[next]) continue;
        labels[next] = count;
        open.push(next);
      }
    }
  }
  return { labels, count };
}

async function instances(test: string) {
  const source = await openInstances(test, true, options);
  const [{ id: categoryId }] = source.classes;
  const truth: TrueObject[] = [], found: DetectedObject[] = [], images: number[] = [];
  for (let index = 0; index < source.images.length; index++) {
    const [sample] = await loadSamples(source, [index]);
    if (!sample) continue;
    const { imageId, width, height, instances } = sample.target;
    images.push(imageId);
    truth.push(...instances.map((one) => ({ ...one, imageId, categoryId })));
    const gray = grayOf(sample.image), threshold = otsu(gray);
    const bright = gray.reduce((sum, value) => sum + (value > threshold ? 1 : 0), 0);
    const brightInside = 2 * bright <= gray.length;
    const { labels, count } = connect(
      gray.map((value) => Number((value > threshold) === brightInside)),
      width,
    );
    for (let object = 1; object <= count; object++) {
      const mask = packMask(Uint8Array.from(labels, (label) => label === object ? 1 : 0), height, width);
      const area = runsArea(mask);
      if (area >= leastPixels) found.push({ imageId, categoryId, score: area, box: runsBox(mask), mask });
    }
  }
  for (const [kind, name] of [["box", "boxes"], ["mask", "masks"]] as const) {
    const { AP, AP50, AP75 } = measureDetections(truth, found, { kind, images, categories: [categoryId] });
    const percent = [AP, AP50, AP75].map((value) => (100 * value!).toFixed(2)).join(" / ");
    console.log(`Otsu, ${name}: AP / AP50 / AP75 ${percent}`);
  }
  source.release();
}

const [task, ...specs] = Deno.args;
await (task === "segmentation" ? segmentation(specs[0], specs[1]) : instances(specs[0]));
