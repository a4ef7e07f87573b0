/**
 * Compares what Scion makes of photos for evaluation with what torchvision's default transforms make of them:
 *
 *     deno run -A --no-lock tests/interop/evaluation_images.ts MODEL.safetensors FOLDER
 *
 * Prints how far the pixels are apart, in levels of 255, and for how many photos the nearest other photo is the same, by
 * cosine similarity of the network's inputs and of the model's features.
 */
import { openSource } from "../../src/data/source.ts";
import { streamImages } from "../../src/data/stream.ts";
import { openTensorFile } from "../../src/data/tensor_file.ts";
import { extractFeatures } from "../../src/evaluate/features.ts";
import { openModel } from "../../src/extract/model_file.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { withFolder } from "../store/with_folder.ts";
import { findPython } from "./peers.ts";

const [modelPath, folder] = Deno.args;
if (folder === undefined) {
  console.error("usage: deno run -A --no-lock tests/interop/evaluation_images.ts MODEL.safetensors FOLDER");
  Deno.exit(2);
}
const python = await findPython();
if (python === undefined) {
  console.error("torchvision is not here (apt install python3-torch python3-torchvision)");
  Deno.exit(1);
}

/** For each row the other row with the largest cosine similarity. */
function nearest(values: Float32Array, rows: number): number[] {
  const columns = values.length / rows;
  const row = (at: number) => values.subarray(at * columns, (at + 1) * columns);
  const dot = (a: Float32Array, b: Float32Array) => {
    let sum = 0;
    for (let at = 0; at < columns; at++) sum += a[at] * b[at];
    return sum;
  };
  const norms = Array.from({ length: rows }, (_, at) => Math.sqrt(dot(row(at), row(at))));
  const best = Array.from({ length: rows }, () => ({ at: -1, similarity: -Infinity }));
  for (let one = 0; one < rows; one++) {
    for (let other = 0; other < one; other++) {
      const similarity = dot(row(one), row(other)) / (norms[one] * norms[other]);
      if (similarity > best[one].similarity) best[one] = { at: other, similarity };
      if (similarity > best[other].similarity) best[other] = { at: one, similarity };
    }
  }
  return best.map(({ at }) => at);
}

function percent(one: readonly number[], other: readonly number[]): string {
  const same = one.filter((at, index) => at === other[index]).length;
  return `${same} of ${one.length} (${(100 * same / one.length).toFixed(1)} %)`;
}

using gpu = await openGpu();
const { encoder, network, input } = await openModel(gpu, modelPath);
const columns = 3 * input.imageSize ** 2;

const source = await openSource(`folder:${folder}`, { ...input, seed: 0, preload: false, cacheBytes: 0 });
const own = new Float32Array(source.length * columns);
for await (const { images, indices } of streamImages(gpu, source, { ...input, batch: 32 })) {
  own.set(await images.read() as Float32Array, indices[0] * columns);
  images.release();
}
const rows = source.length;
source.release();

let theirs: Float32Array = new Float32Array();
await withFolder(async (temporary) => {
  const out = `${temporary}/images.safetensors`;
  const resize = "resize" in input ? Number(input.resize) : Math.round(input.imageSize * 256 / 224);
  const args = [new URL("torchvision_images.py", import.meta.url).pathname, "--data", folder, "--out", out];
  args.push("--resize", String(resize), "--crop", String(input.imageSize));
  args.push("--mean", ...input.mean.map(String), "--std", ...input.std.map(String));
  const { success, stderr } = await new Deno.Command(python, { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  theirs = (await openTensorFile("torchvision", out)).images;
});
if (theirs.length !== own.length) throw new Error(`${own.length} values here, ${theirs.length} there`);

const differences = own.map((value, at) =>
  255 * Math.abs(value - theirs[at]) * input.std[Math.floor(at % columns / input.imageSize ** 2)]
);
const equal = Array.from({ length: rows }, (_, row) => row)
  .filter((row) => differences.subarray(row * columns, (row + 1) * columns).every((value) => value < 0.01));
const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
const most = differences.reduce((largest, value) => Math.max(largest, value), 0);
console.log(
  `${rows} photos: mean absolute difference ${mean.toFixed(4)}, largest ${most.toFixed(2)} levels of 255`,
);
console.log(`equal in every pixel: ${equal.length}`);

async function features(images: Float32Array): Promise<Float32Array> {
  const batches = [];
  for (let first = 0; first < rows; first += 32) {
    const count = Math.min(32, rows - first);
    const values = images.slice(first * columns, (first + count) * columns) as Float32Array<ArrayBuffer>;
    batches.push(Tensor.from(gpu, values, [count, 3, input.imageSize, input.imageSize]));
  }
  return (await extractFeatures(encoder, network.space.max, "pooled", batches)).values;
}
console.log(`same nearest neighbour by pixels: ${percent(nearest(own, rows), nearest(theirs, rows))}`);
const [ownFeatures, theirFeatures] = [await features(own), await features(theirs)];
console.log(
  `same nearest neighbour by features: ${percent(nearest(ownFeatures, rows), nearest(theirFeatures, rows))}`,
);
encoder.release();
