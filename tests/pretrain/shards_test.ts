/** Runs on shards: resumed, and of several ranks. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { DecodePool } from "../../src/data/decode_pool.ts";
import { DataError } from "../../src/errors.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { resumeRun, startRun } from "../../src/pretrain/pretrain.ts";
import { readDataRecord } from "../../src/store/data_record.ts";
import { Peers } from "../../src/train/distributed/peers.ts";
import { pngOf, writeShard, writeShards } from "../data/tar/shards.ts";
import { withFolder } from "../store/with_folder.ts";
import { linkedCommunicators } from "../train/distributed/linked.ts";
import { assertSameRun, collectingHooks, run, smallRun } from "./small_run.ts";

const shardsTest = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test({ name, sanitizeOps: false, sanitizeResources: false, fn: () => withFolder(body) });

/** Members that the decoders read, by decoder, while `body` runs. */
async function countDecoded(body: () => Promise<void>): Promise<string[][]> {
  const decoded = new Map<DecodePool, string[]>();
  const { decode } = DecodePool.prototype;
  DecodePool.prototype.decode = function (files, use) {
    const names = files.map(({ path, part }) => `${path}@${part!.start}`);
    decoded.set(this, [...decoded.get(this) ?? [], ...names]);
    return decode.call(this, files, use);
  };
  try {
    await body();
  } finally {
    DecodePool.prototype.decode = decode;
  }
  return [...decoded.values()];
}

shardsTest(
  "a run on shards that was interrupted goes on to the same bytes; changed shards are refused",
  async (folder) => {
    const source = await writeShards(folder, [20, 30, 14], 4, 20);
    const config = smallRun({ data: { source } });
    const [whole, parts] = [`${folder}/whole`, `${folder}/parts`];
    using gpu = await openGpu();
    const { steps, images, classes, knn } = await run(gpu, whole, config);
    assertEquals([steps, images, classes, knn !== undefined], [6, 48, 4, true]);
    const stopped = await startRun(gpu, parts, config, collectingHooks({ stopAtOnce: true }).hooks);
    assert(stopped.interrupted && stopped.steps < steps);
    await run(gpu, parts, "resume");
    await assertSameRun(parts, whole);
    const { list } = (await readDataRecord(parts))!;
    assertEquals([list.kind, list.images, list.files.map(({ path }) => path)], ["records", 64, [
      "train-0.tar",
      "train-1.tar",
      "train-2.tar",
    ]]);
    await Deno.copyFile(`${folder}/train-0.tar`, `${folder}/train-2.tar`);
    const { message } = await assertRejects(
      () => resumeRun(gpu, parts, {}, collectingHooks().hooks),
      DataError,
    );
    assertMatch(message, /no longer what the run began with: 1 with other contents \("train-2\.tar"\)/);
  },
);

shardsTest("of two ranks each decodes its part of an epoch, and none the whole set", async (folder) => {
  const source = await writeShards(folder, [16, 16, 16], 0, 20);
  const changes = { data: { source, heldOut: 0 }, training: { epochs: 1, batch: 16 }, knn: { every: 0 } };
  const decodedBy = (shuffle: boolean) =>
    countDecoded(async () => {
      const config = smallRun({ ...changes, moco: { queue: 32, shuffle } });
      const gpus = [await openGpu(), await openGpu()];
      await Promise.all(
        linkedCommunicators(2).map((one, rank) =>
          startRun(gpus[rank], `${folder}/run-${shuffle}`, config, collectingHooks().hooks, new Peers(one))
        ),
      );
      gpus.forEach((gpu) => gpu.release());
    });
  const plain = await decodedBy(false);
  assertEquals(plain.map(({ length }) => length), [24, 24]);
  assertEquals(new Set(plain.flat()).size, 48);
  // A rank computes keys of images whose queries are another's.
  for (const names of await decodedBy(true)) {
    assert(24 < names.length && names.length < 46, String(names.length));
  }
});

shardsTest("the first rank names the broken members that another met", async (folder) => {
  const source = await writeShards(folder, [16, 16], 0, 20);
  const good = await Promise.all(Array.from({ length: 14 }, (_, at) => pngOf(at, 20)));
  await writeShard(`${folder}/train-1.tar`, [
    { name: "bad.png", data: "no image" },
    ...good.map((data, at) => ({ name: `${at}.png`, data })),
    { name: "empty.png" },
  ]);
  const config = smallRun({
    ...{ data: { source, heldOut: 0 }, moco: { queue: 16, shuffle: false }, knn: { every: 0 } },
    training: { epochs: 1, batch: 16 },
  });
  const gpus = [await openGpu(), await openGpu()];
  const heard = await Promise.all(
    linkedCommunicators(2).map(async (one, rank) => {
      const { hooks, warnings } = collectingHooks();
      await startRun(gpus[rank], `${folder}/run`, config, hooks, new Peers(one));
      return warnings;
    }),
  );
  gpus.forEach((gpu) => gpu.release());
  const named = (text: string) => /^(skipping|another rank skipped the) broken image/.test(text);
  for (const [rank, warnings] of heard.entries()) {
    const text = warnings.filter(named).join("\n");
    assertMatch(text, /train-1\.tar:bad\.png/, `rank ${rank}`);
    assertMatch(text, /train-1\.tar:empty\.png/, `rank ${rank}`);
    assertEquals(warnings.at(-1), "2 images could not be read and were left out.");
  }
  // Without shuffled keys no image is met by both.
  const count = (start: string) => heard.flat().filter((text) => text.startsWith(start)).length;
  assertEquals([count("skipping"), count("another rank")], [2, 2]);
});

shardsTest("a broken member is named, and another stands in for it, in a resumed run too", async (folder) => {
  const source = await writeShards(folder, [20, 20], 0, 20);
  await writeShard(`${folder}/train-1.tar`, [
    { name: "broken.png", data: "no image" },
    { name: "other.png", data: await pngOf(77, 20) },
  ]);
  const config = smallRun({
    data: { source, heldOut: 0 },
    training: { epochs: 3, batch: 11 },
    knn: { every: 0 },
  });
  using gpu = await openGpu();
  const start = async (path: string, stopAtOnce: boolean) => {
    const { hooks, warnings } = collectingHooks({ stopAtOnce });
    const outcome = await startRun(gpu, path, config, hooks);
    return { outcome, warnings };
  };
  const whole = await start(`${folder}/whole`, false);
  assertEquals(
    whole.warnings.filter((text) => text.includes("broken")).length,
    1,
    whole.warnings.join("\n"),
  );
  assertMatch(
    whole.warnings.join("\n"),
    /skipping broken image ".*train-1\.tar:broken\.png": it holds no image/,
  );
  assert((await start(`${folder}/parts`, true)).outcome.interrupted);
  await resumeRun(gpu, `${folder}/parts`, {}, collectingHooks().hooks);
  await assertSameRun(`${folder}/parts`, `${folder}/whole`);
});
