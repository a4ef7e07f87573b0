/**
 * What shards cost: the look through their headers when a set is opened, and images read out of their middle.
 *
 *     deno run --allow-all bench/shards.ts [FOLDER]
 *
 * Opened are one shard of 100 000 images of 1.5 kB, and ten of 10 000 images of 110 kB with classes, written sparsely. With
 * a folder, its images are loaded from it and from shards of the same, in an epoch's order, nothing cached. Least of three
 * times; written before, so that headers come from the system's cache.
 */
import type { ImageSource } from "../src/data/image_set.ts";
import { epochOrder } from "../src/data/order.ts";
import { scanFolder } from "../src/data/scan.ts";
import { openSource } from "../src/data/source.ts";
import { concatenate, type Entry, headerOf, tarOf } from "../tests/store/tar/tar_writer.ts";

const rounds = 3, batch = 256, batches = 40;
const imagesOfShard = 2500;
const [folder] = Deno.args;

/** Writes samples of a class and of an image whose bytes are left out. */
async function writeSparse(path: string, samples: number, imageBytes: number): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  for (let at = 0; at < samples; at++) {
    const label: Entry = { name: `${at}.cls`, data: "7" };
    const parts = [tarOf([label], 0), headerOf({ name: `${at}.jpg` }, imageBytes)];
    await writeWhole(file, concatenate(parts));
    await file.seek(512 * Math.ceil(imageBytes / 512), Deno.SeekMode.Current);
  }
  await writeWhole(file, new Uint8Array(1024));
}

async function writeWhole(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

async function open(spec: string): Promise<ImageSource> {
  const source = await openSource(spec, {
    ...{ imageSize: 32, seed: 1, preload: false, cacheBytes: 0, workers: navigator.hardwareConcurrency },
  });
  if (source.kind === "images") return source;
  throw new Error(`${spec} has no images`);
}

async function least(work: () => Promise<void>): Promise<number> {
  let best = Infinity;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    await work();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

async function timeOpening(what: string, spec: string): Promise<void> {
  let images = 0;
  const milliseconds = await least(async () => {
    const source = await open(spec);
    images = source.length;
    source.release();
  });
  console.log(`${what}: ${images} images opened in ${(milliseconds / 1000).toFixed(2)} s`);
}

async function timeLoading(what: string, spec: string): Promise<void> {
  const source = await open(spec);
  const all = Uint32Array.from({ length: source.length }, (_, index) => index);
  const order = epochOrder(all, 1, 0, source.shards).subarray(0, batch * batches);
  const milliseconds = await least(async () => {
    for (let at = 0; at < order.length; at += batch) {
      await source.load(Array.from(order.subarray(at, at + batch).toSorted()));
    }
  });
  source.release();
  console.log(`${what}: ${(1000 * milliseconds / order.length).toFixed(0)} µs an image`);
}

async function writeShardsOf(folder: string, into: string): Promise<string> {
  const { paths } = await scanFolder(folder);
  const order = epochOrder(Uint32Array.from(paths, (_, index) => index), 1, 0);
  const shards = Math.ceil(paths.length / imagesOfShard);
  for (let shard = 0; shard < shards; shard++) {
    const entries: Entry[] = [];
    for (const index of order.subarray(shard * imagesOfShard, (shard + 1) * imagesOfShard)) {
      const ending = paths[index].slice(paths[index].lastIndexOf("."));
      entries.push({ name: `${index}${ending}`, data: await Deno.readFile(`${folder}/${paths[index]}`) });
    }
    await Deno.writeFile(`${into}/loaded-${shard}.tar`, tarOf(entries));
  }
  return `tar:${into}/loaded-{0..${shards - 1}}.tar`;
}

const root = await Deno.makeTempDir({ prefix: "scion-shards-" });
try {
  const data = new Uint8Array(1500).fill(1);
  const small = Array.from({ length: 100_000 }, (_, at): Entry => ({ name: `${at}.jpg`, data }));
  await Deno.writeFile(`${root}/small.tar`, tarOf(small));
  for (let shard = 0; shard < 10; shard++) await writeSparse(`${root}/large-${shard}.tar`, 10_000, 110_000);
  await timeOpening("one shard, images of 1.5 kB", `tar:${root}/small.tar`);
  await timeOpening("ten shards, images of 110 kB with classes", `tar:${root}/large-{0..9}.tar`);
  if (folder !== undefined) {
    const shards = await writeShardsOf(folder, root);
    await timeLoading("from the folder", `folder:${folder}`);
    await timeLoading("from shards", shards);
  }
} finally {
  await Deno.remove(root, { recursive: true });
}
