/** Shards as sets of images. */
import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { imageName, imageNames } from "../../../src/data/image_name.ts";
import type { ImageSource, SourceOptions } from "../../../src/data/image_set.ts";
import { listImages } from "../../../src/data/manifest.ts";
import { findOverlap } from "../../../src/data/overlap.ts";
import { recordSet } from "../../../src/data/run_record.ts";
import { isSameSet } from "../../../src/data/same_set.ts";
import { ConfigurationError, DataError } from "../../../src/errors.ts";
import type { Entry } from "../../store/tar/tar_writer.ts";
import { withFolder } from "../../store/with_folder.ts";
import { openImages } from "../open.ts";
import { pngOf, writeShard, writeShards } from "./shards.ts";

const notKnown = "it holds no image of a known format; JPEG, PNG, WebP, GIF, TIFF and AVIF are read";

/** Opens shards, and closes them whatever happens. */
async function withShards(
  spec: string,
  test: (source: ImageSource, warnings: string[]) => Promise<void> | void,
  options: Partial<SourceOptions> = {},
): Promise<void> {
  const warnings: string[] = [];
  const source = await openImages(spec, { ...options, onWarning: (text) => void warnings.push(text) });
  try {
    await test(source, warnings);
  } finally {
    source.release();
  }
}

/** One shard with these members, opened. */
const ofEntries = (
  entries: readonly Entry[],
  test: (source: ImageSource, warnings: string[], path: string) => Promise<void> | void,
) =>
  withFolder(async (folder) => {
    const path = `${folder}/a.tar`;
    await writeShard(path, entries);
    await withShards(`tar:${path}`, (source, warnings) => test(source, warnings, path));
  });

const namesOf = (source: ImageSource) => imageNames(source)!.map((name) => name.slice(name.indexOf(":") + 1));

Deno.test("images of several shards follow each other, with their pixels, names and classes", () =>
  withFolder(async (folder) => {
    const spec = await writeShards(folder, [3, 0, 2], 2);
    await withShards(spec, async (source, warnings) => {
      assertEquals([source.length, [...source.shards!]], [5, [0, 3, 3]]);
      assertEquals([[...source.labels!], source.classes], [[0, 1, 0, 1, 0], ["0", "1"]]);
      const images = await source.load([4, 0, 3, 2, 1]);
      assertEquals(images.map((image) => image!.pixels[0]), [4, 0, 3, 2, 1]);
      assertEquals(imageNames(source), [
        "train-0.tar:0.png",
        "train-0.tar:1.png",
        "train-0.tar:2.png",
        "train-2.tar:3.png",
        "train-2.tar:4.png",
      ]);
      assertEquals(imageName(source, 3), "train-2.tar:3.png");
      assertEquals(warnings, []);
    });
  }));

Deno.test("a sample is what is alike up to the first dot, wherever it lies in the shard", async () => {
  const png = await pngOf(1);
  await ofEntries([
    { name: "./b/one.PNG", data: png },
    { name: "b/one.json", data: "{}" },
    { name: "b/one.seg.png", data: "a mask, no image of the sample" },
    { name: "a.b/one.jpeg", data: png },
    { name: "b/one.cls", data: "12\n" },
    { name: "folder.jpg/", type: "5" },
    { name: "linked.jpg", type: "1" },
    { name: "b/.hidden.jpg", data: png },
    { name: "README", data: "no dot" },
    { name: "a.b/one.cls", data: " 5" },
  ], async (source, warnings) => {
    assertEquals(namesOf(source), ["b/one.PNG", "a.b/one.jpeg"]);
    assertEquals([[...source.labels!], source.classes], [[1, 0], ["5", "12"]]);
    assertEquals((await source.load([1]))[0]!.pixels[0], 1);
    assertEquals(warnings, []);
  });
});

Deno.test("samples without an image are counted once; labels that some lack are not used", async () => {
  const png = await pngOf(1);
  await ofEntries([
    { name: "a.png", data: png },
    { name: "a.cls", data: "1" },
    { name: "b.cls", data: "2" },
    { name: "c.txt", data: "words" },
    { name: "d.png", data: png },
    { name: "e.png", data: png },
    { name: "e.cls", data: "cat" },
  ], (source, warnings, path) => {
    assertEquals([source.labels, source.classes], [undefined, undefined]);
    assertEquals(namesOf(source), ["a.png", "d.png", "e.png"]);
    assertEquals(warnings.length, 2);
    assertMatch(warnings[0], new RegExp(`leaving out 2 samples of tar:${path}.*the first is "${path}:b"`));
    assertMatch(
      warnings[1],
      new RegExp(`2 of the 3 images .* no class number .*the first is "${path}:d.png"`),
    );
  });
});

Deno.test("a sample of two images or two classes is refused with both names", () =>
  withFolder(async (folder) => {
    const refusal = async (...names: string[]) => {
      await writeShard(`${folder}/a.tar`, names.map((name) => ({ name, data: "1" })));
      return (await assertRejects(() => openImages(`tar:${folder}/a.tar`), DataError)).message;
    };
    assertMatch(await refusal("a.jpg", "b.jpg", "a.png"), /a\.tar" has "a\.jpg" and "a\.png": .* one image/);
    assertMatch(await refusal("a.jpg", "b.jpg", "a.jpg"), /has "a\.jpg" twice/);
    assertMatch(await refusal("a.jpg", "a.cls", "a.cls"), /has "a\.cls" twice/);
    assertMatch(await refusal("a.txt", "img.v2.jpg"), /holds no images; .*Of 2 samples .*a\.tar:a"/);
    assertMatch(await refusal(), /holds no images/);
  }));

Deno.test("a broken member is named and skipped when it is met; strict refuses it", () =>
  withFolder(async (folder) => {
    const path = `${folder}/a.tar`;
    await writeShard(path, [
      { name: "good.png", data: await pngOf(9) },
      { name: "empty.png" },
      { name: "text.jpg", data: "no image" },
    ]);
    await withShards(`tar:${path}`, async (source, warnings) => {
      assertEquals([[...source.broken!], warnings], [[], []]);
      const [good, empty, text] = await source.load([0, 1, 2], "evaluation");
      assertEquals([good!.pixels[0], empty, text], [9, undefined, undefined]);
      assertEquals([...source.broken!].sort(), [1, 2]);
      assertEquals(warnings.sort(), [
        `skipping broken image "${path}:empty.png": it is empty`,
        `skipping broken image "${path}:text.jpg": ${notKnown}`,
      ]);
      const { unreadable } = await recordSet(source, undefined);
      assertEquals(unreadable, [[1, "it is empty"], [2, notKnown]]);
    });
    await withShards(`tar:${path}`, async (source) => {
      const { message } = await assertRejects(() => source.load([1]), DataError);
      assert(message.startsWith(`image "${path}:empty.png" is broken`), message);
    }, { strict: true });
  }));

Deno.test("shards that are missing, folders, damaged or cut off are refused by name", () =>
  withFolder(async (folder) => {
    const spec = await writeShards(folder, [2, 2, 2]);
    const refusal = async (spec: string, kind: typeof ConfigurationError | typeof DataError) =>
      (await assertRejects(() => openImages(spec), kind)).message;
    assertMatch(
      await refusal(`tar:${folder}/train-{1..4}.tar`, ConfigurationError),
      /train-3\.tar" does not exist; 2 of 4 shards do not/,
    );
    assertMatch(await refusal(`tar:${folder}`, ConfigurationError), /is no file; give tar: archives/);
    const path = `${folder}/train-1.tar`;
    const bytes = await Deno.readFile(path);
    await Deno.writeFile(path, bytes.subarray(0, bytes.length - 1024));
    assertMatch(await refusal(spec, DataError), /train-1\.tar" ends early/);
    await Deno.writeFile(path, bytes);
    await withShards(spec, async (source, warnings) => {
      await Deno.truncate(path, 600);
      const [first, cut] = await source.load([0, 2]);
      assertEquals([first!.pixels[0], cut], [0, undefined]);
      assertEquals(warnings, [`skipping broken image "${path}:2.png": its archive has become shorter`]);
    });
  }));

Deno.test("the record knows other members, times, classes and sizes, and no other folder", () =>
  withFolder(async (folder) => {
    const digestOf = async (path: string) => {
      let digest = "";
      await withShards(`tar:${path}`, async (source) => {
        ({ digest } = await listImages(source));
      });
      return digest;
    };
    const png = await pngOf(1);
    const entries: Entry[] = [{ name: "a.png", data: png }, { name: "a.cls", data: "1" }];
    const [path, moved] = [`${folder}/a.tar`, `${folder}/moved/a.tar`];
    await Deno.mkdir(`${folder}/moved`);
    await writeShard(path, entries);
    const digest = await digestOf(path);
    await Deno.copyFile(path, moved);
    assertEquals(await digestOf(moved), digest);
    const changes: Entry[][] = [
      [{ ...entries[0], name: "b.png" }, { ...entries[1], name: "b.cls" }],
      [{ ...entries[0], modified: 7 }, entries[1]],
      [entries[0], { ...entries[1], data: "2" }],
      [entries[0]],
      [{ ...entries[0], data: png.subarray(1) }, entries[1]],
      [...entries, { name: "words.txt", data: "grows" }],
    ];
    for (const changed of changes) {
      await writeShard(path, changed);
      assertNotEquals(await digestOf(path), digest);
    }
  }));

Deno.test("the same shards are the same set however they are spelled; shared shards are told", () =>
  withFolder(async (folder) => {
    const spec = await writeShards(folder, [2, 2, 2]);
    assert(await isSameSet(spec, `tar:${folder}/./train-{0..2}.tar`));
    assert(!await isSameSet(spec, `tar:${folder}/train-{0..1}.tar`));
    assert(!await isSameSet(spec, `folder:${folder}`));
    await withShards(spec, (one) =>
      withShards(`tar:${folder}/train-2.tar`, async (other) => {
        assertEquals((await findOverlap(one, other)).files, ["train-2.tar"]);
      }));
  }));
