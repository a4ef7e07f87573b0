/**
 * What a stored side costs: time to decode a photo, and MiB of main and device memory for a set.
 *
 *     deno run --allow-all bench/stored_side.ts FOLDER IMAGE_SIZE [IMAGES]
 *
 * Rows: today's least (256/224 of the image size), "auto" for crop scales from 0.2 and 0.08, and what evaluation sees. One
 * thread, files in memory, least of three passes over the images (default 100, evenly spread).
 */
import type { AugmentationSettings } from "../src/data/augmentation.ts";
import { decodeImage, limitDecoder } from "../src/data/decode.ts";
import { evaluationResize } from "../src/data/evaluation_image.ts";
import type { ImageUse } from "../src/data/image_set.ts";
import { scanFolder } from "../src/data/scan.ts";
import { storedSide } from "../src/data/stored_side.ts";
import { defaultAugmentation } from "../src/config/schema.ts";

const [folder, size, wanted = "100"] = Deno.args;
const imageSize = Number(size);
if (!(imageSize >= 8)) {
  console.error("usage: deno run --allow-all bench/stored_side.ts FOLDER IMAGE_SIZE [IMAGES]");
  Deno.exit(2);
}
const { paths } = await scanFolder(folder);
const count = Math.min(Number(wanted), paths.length);
const files = Array.from(
  { length: count },
  (_, at) => Deno.readFileSync(`${folder}/${paths[Math.floor(at * paths.length / count)]}`),
);
limitDecoder();

const auto = (smallest: number) => {
  const augmentation = defaultAugmentation as AugmentationSettings;
  const crop: AugmentationSettings["crop"] = { scale: [smallest, 1], ratio: [3 / 4, 4 / 3] };
  return storedSide({ data: { imageSize, storedSide: "auto" }, augmentation: { ...augmentation, crop } });
};
const resize = evaluationResize(imageSize);
const rows: [name: string, use: ImageUse, side: number][] = [
  ["least", "training", resize],
  ["auto, crops from 20 %", "training", auto(0.2)],
  ["auto, crops from 8 %", "training", auto(0.08)],
  ["evaluation", "evaluation", resize],
];
let first: number | undefined;
for (const [name, use, side] of rows) {
  let best = Infinity;
  let bytes = 0;
  for (let pass = 0; pass < 3; pass++) {
    bytes = 0;
    const start = performance.now();
    for (const file of files) {
      bytes += (await decodeImage(file, use, { imageSize, resize, storedSide: side })).pixels.byteLength;
    }
    best = Math.min(best, performance.now() - start);
  }
  first ??= best;
  const mebibytes = bytes / count * 1000 / 2 ** 20;
  console.log(
    `${name} (${side}): ${(best / first).toFixed(2)}x the time of the first, ` +
      `${mebibytes.toFixed(0)} MiB for 1000 images`,
  );
}
