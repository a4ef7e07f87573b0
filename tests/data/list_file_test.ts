import { assert, assertEquals, assertRejects } from "@std/assert";
import sharp from "sharp";
import { openSource } from "../../src/data/source.ts";
import { listImages } from "../../src/data/manifest.ts";
import { describeChange } from "../../src/data/changes.ts";
import { isSameSet, sharesPart } from "../../src/data/same_set.ts";
import { ConfigurationError, DataError } from "../../src/errors.ts";
import { withFolder } from "../store/with_folder.ts";

const options = { imageSize: 16, seed: 0, workers: 1 };

/** Writes plain images of given shades, by path. */
async function writeImages(folder: string, shades: Record<string, number>): Promise<void> {
  for (const [path, shade] of Object.entries(shades)) {
    const file = `${folder}/${path}`;
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    const background = { r: shade, g: shade, b: shade };
    await Deno.writeFile(
      file,
      await sharp({ create: { width: 16, height: 16, channels: 3, background } }).png().toBuffer(),
    );
  }
}

/** Shades of a set's images in order, labels and classes. */
async function look(source: string | string[]) {
  const warnings: string[] = [];
  const set = await openSource(source, { ...options, onWarning: (text) => void warnings.push(text) });
  try {
    if (set.kind !== "images") throw new Error("no images");
    const loaded = await set.load(Array.from({ length: set.length }, (_, index) => index));
    return {
      name: set.name,
      shades: loaded.map((image) => image!.pixels[0]),
      labels: set.labels && Array.from(set.labels),
      classes: set.classes,
      list: await listImages(set),
      warnings,
    };
  } finally {
    set.release();
  }
}

Deno.test("a list file: its order, its classes, comments, Windows line ends, a byte order mark", () =>
  withFolder(async (folder) => {
    await writeImages(folder, { "photos/cat/1.png": 10, "photos/dog/2.png": 20, "photos/cat/3.png": 30 });
    const list = `${folder}/some.txt`;
    await Deno.writeTextFile(
      list,
      `\uFEFF# chosen by hand\r\nphotos/dog/2.png\r\n\r\n  photos/cat/3.png \r\n${folder}/photos/cat/1.png\r\n`,
    );
    const { shades, labels, classes, list: { files } } = await look(list);
    assertEquals(shades, [20, 30, 10]);
    assertEquals([labels, classes], [[1, 0, 0], ["cat", "dog"]]);
    assertEquals(files.map(({ path }) => path), ["dog/2.png", "cat/3.png", "cat/1.png"]);
  }));

Deno.test("a list of one folder's images has no classes", () =>
  withFolder(async (folder) => {
    await writeImages(folder, { "flat/1.png": 10, "flat/2.png": 20 });
    await Deno.writeTextFile(`${folder}/flat.txt`, "flat/2.png\nflat/1.png");
    const { shades, labels, classes } = await look(`${folder}/flat.txt`);
    assertEquals([shades, labels, classes], [[20, 10], undefined, undefined]);
  }));

Deno.test("a list that another order makes another set says so", () =>
  withFolder(async (folder) => {
    await writeImages(folder, { "1.png": 10, "2.png": 20 });
    const list = `${folder}/x.txt`;
    await Deno.writeTextFile(list, "1.png\n2.png\n");
    const before = (await look(list)).list;
    await Deno.writeTextFile(list, "2.png\n1.png\n");
    assertEquals(describeChange(before, (await look(list)).list), "the same files in another order");
  }));

Deno.test("wrong lists name file, line and what is wrong", () =>
  withFolder(async (folder) => {
    await writeImages(folder, { "1.png": 10, "folder.png/2.png": 20 });
    const list = `${folder}/x.txt`;
    const cases: [string, string][] = [
      ["# first\n1.png\nnone.png\n", 'line 3: "'],
      ["1.png\nnone.png\n", "it is not there; paths are relative to the list's folder"],
      ["1.png\n1.png 3\n", 'line 2: "1.png 3" is not named like an image'],
      ["1.png\n\n./1.png\n", 'line 3: "./1.png" is in line 1 already'],
      ["folder.png\n", "is no file"],
    ];
    for (const [text, message] of cases) {
      await Deno.writeTextFile(list, text);
      const error = await assertRejects(() => openSource(list, options), ConfigurationError, message);
      assert(error.message.startsWith(`${list}, line `), error.message);
    }
    await Deno.writeTextFile(list, "# nothing\n");
    await assertRejects(() => openSource(list, options), DataError, "names no image");
    await assertRejects(() => openSource(`${folder}/no.txt`, options), ConfigurationError, "does not exist");
    await assertRejects(() => openSource(`list:${folder}`, options), ConfigurationError, "write folder:");
    await assertRejects(() => openSource(`${folder}/1.png`, options), ConfigurationError, "not a folder");
  }));

Deno.test("several sources: one set, classes merged by name", () =>
  withFolder(async (folder) => {
    await writeImages(folder, {
      "a/cat/1.png": 10,
      "a/dog/1.png": 20,
      "b/bird/1.png": 30,
      "b/cat/9.png": 40,
    });
    await writeImages(folder, { "c/cat/x.png": 50, "c/fish/x.png": 60 });
    await Deno.writeTextFile(`${folder}/c.txt`, "c/fish/x.png\nc/cat/x.png\n");
    const { name, shades, labels, classes, warnings, list } = await look([
      `${folder}/b`,
      `folder:${folder}/a/`,
      `${folder}/c.txt`,
    ]);
    assertEquals(name, `${folder}/b + folder:${folder}/a/ + ${folder}/c.txt`);
    assertEquals(shades, [30, 40, 10, 20, 60, 50]);
    assertEquals(classes, ["bird", "cat", "dog", "fish"]);
    assertEquals(labels, [0, 1, 1, 2, 3, 1]);
    assertEquals(warnings, []);
    assertEquals(list.files[0].path, "b/bird/1.png");
  }));

Deno.test("labelled with unlabelled is unlabelled, and says so", () =>
  withFolder(async (folder) => {
    await writeImages(folder, { "a/cat/1.png": 10, "flat/1.png": 20 });
    const { shades, labels, warnings } = await look([`${folder}/a`, `${folder}/flat`]);
    assertEquals([shades, labels], [[10, 20], undefined]);
    assert(warnings.length === 1 && warnings[0].includes("used without labels"), warnings.join());
  }));

Deno.test("what cannot be joined is refused", () =>
  withFolder(async (folder) => {
    await writeImages(folder, { "a/1.png": 10, "a/b/2.png": 20 });
    await assertRejects(
      () => openSource([`${folder}/a`, "synthetic:8"], options),
      ConfigurationError,
      "only folders and list files can",
    );
    await assertRejects(
      () => openSource([`${folder}/a`, `${folder}/a/b`], options),
      ConfigurationError,
      "an image counts once",
    );
  }));

Deno.test("sets are the same whatever their spelling; a part of one is told", () =>
  withFolder(async (folder) => {
    await writeImages(folder, { "a/1.png": 10, "b/1.png": 20 });
    const [a, b] = [`${folder}/a`, `${folder}/b`];
    assert(await isSameSet(a, `folder:${folder}/b/../a`));
    assert(await isSameSet([a, b], [`folder:${a}`, b]));
    assert(!await isSameSet([a, b], [b, a]));
    assert(!await isSameSet([a, b], a));
    assert(await sharesPart(`folder:${a}`, [a, b]));
    assert(!await sharesPart("synthetic", [a, b]));
    assert(await isSameSet(`coco:${a},${b}/x.json`, `coco:${a}/../a,${b}/x.json`));
    assert(!await isSameSet(`coco:${a},${b}/x.json`, `coco:${a},${b}/y.json`));
    assert(await isSameSet(`masks:${a}`, `masks:${b}/../a`));
    assert(!await isSameSet(`masks:${a}`, `voc:${a}`));
  }));
