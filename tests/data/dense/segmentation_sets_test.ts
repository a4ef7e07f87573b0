import { assert, assertEquals, assertRejects } from "@std/assert";
import sharp from "sharp";
import { cityscapesClasses } from "../../../src/data/dense/cityscapes.ts";
import { loadSamples, openSegmentation } from "../../../src/data/dense/open.ts";
import type { LabelTarget, SegmentationSource } from "../../../src/data/dense/target.ts";
import { openSource } from "../../../src/data/source.ts";
import { ConfigurationError, DataError } from "../../../src/errors.ts";
import { collecting, gray, gray16, inFolder, palette, photo } from "./files.ts";

/** Opens a set and closes it again whatever happens. */
async function withSet(
  spec: string,
  test: (source: SegmentationSource, warnings: string[]) => Promise<void>,
) {
  const { options, warnings } = collecting();
  const source = await openSegmentation(spec, options);
  try {
    await test(source, warnings);
  } finally {
    source.release();
  }
}

const refuse = (spec: string, kind: typeof DataError | typeof ConfigurationError, message: string) =>
  assertRejects(() => withSet(spec, async (source) => void await source.target(0)), kind, message);

const classes = (list: unknown[], more = {}) => JSON.stringify({ classes: list, ...more });

Deno.test("masks: gray and palette labels become numbers of classes by ascending id", async () => {
  const file = classes([{ id: 9, name: "b" }, { id: 4, name: "a", colour: [1, 2, 3] }], { ignore: [7] });
  const files = {
    "classes.json": file,
    "images/train/x/one.png": await photo(3, 2),
    "images/train/two.jpg": await photo(2, 2, "jpeg"),
    "labels/train/x/one.png": await gray([4, 9, 7, 255, 4, 4], 3),
    "labels/train/two.png": await palette([9, 9, 7, 4], 2),
    "labels/train/unused.png": await gray([4], 1),
  };
  await inFolder(files, async (root) => {
    for (const spec of [`masks:${root}`, `masks:${root}/train`, `masks:${root}/train/`]) {
      await withSet(spec, async (source, warnings) => {
        assertEquals(source.classes.map(({ id, name }) => [id, name]), [[4, "a"], [9, "b"]]);
        assertEquals(source.classes[0].colour, [1, 2, 3]);
        const [two, one] = await loadSamples(source, [0, 1]);
        assertEquals(two!.target.values, Uint8Array.of(1, 1, 255, 0));
        assertEquals(one!.target, {
          kind: "labels",
          width: 3,
          height: 2,
          values: Uint8Array.of(0, 1, 255, 255, 0, 0),
        });
        assertEquals([one!.image.width, one!.image.height], [3, 2]);
        assertEquals(warnings.filter((one) => one.includes("1 labels in")).length, 1);
      });
    }
  });
});

Deno.test("masks: 16 bits are not cut to 8", async () => {
  const files = {
    "classes.json": classes([{ id: 300, name: "a" }, { id: 44, name: "b" }]),
    "images/a.png": await photo(2, 1),
    "labels/a.png": await gray16([300, 44], 2),
  };
  await inFolder(files, (root) =>
    withSet(`masks:${root}`, async (source) => {
      assertEquals((await source.target(0)).values, Uint8Array.of(1, 0));
    }));
});

Deno.test("masks: without classes.json ids are classes, and it is said", async () => {
  const files = {
    "images/a.png": await photo(2, 2),
    "images/b.png": await photo(2, 2),
    "labels/a.png": await gray([0, 1, 1, 255], 2),
    "labels/b.png": await gray([0, 3, 1, 0], 2),
  };
  await inFolder(files, (root) =>
    withSet(`masks:${root}`, async (source, warnings) => {
      assertEquals(source.classes.length, 4);
      assertEquals((await source.target(0)).values, Uint8Array.of(0, 1, 1, 255));
      assert(warnings.some((one) => one.includes("ids 0 to 3 are taken for classes")), warnings.join());
    }));
});

Deno.test("masks: 0 and 255 is not taken for a class and ignored pixels, unless it is said which", async () => {
  const files = { "images/a.png": await photo(2, 1), "labels/a.png": await gray([0, 255], 2) };
  await inFolder(files, (root) => refuse(`masks:${root}`, DataError, "hold only 0 and 255"));
  const named = classes([{ id: 0, name: "ground" }, { id: 255, name: "object" }]);
  await inFolder({ ...files, "classes.json": named }, (root) =>
    withSet(`masks:${root}`, async (source) => {
      assertEquals((await source.target(0)).values, Uint8Array.of(0, 1));
    }));
});

Deno.test("masks: labels in colours are read where every class has its own", async () => {
  const raw = { raw: { width: 2, height: 2, channels: 3 as const } };
  const colours = [[9, 0, 0], [0, 9, 0], [0, 0, 0], [9, 0, 0]];
  const label = await sharp(Uint8Array.from(colours.flat()), raw).png({ progressive: true }).toBuffer();
  const list = [{ id: 4, name: "red", colour: [9, 0, 0] }, { id: 2, name: "green", colour: [0, 9, 0] }];
  const files = { "images/a.png": await photo(2, 2), "labels/a.png": label };
  await inFolder(
    { ...files, "classes.json": classes(list, { ignoreColours: [[0, 0, 0]] }) },
    (root) =>
      withSet(`masks:${root}`, async (source) => {
        assertEquals((await source.target(0)).values, Uint8Array.of(1, 0, 255, 1));
      }),
  );
  const same = [list[0], { ...list[1], colour: [9, 0, 0] }];
  const cases: [string, string][] = [
    [classes(list), `a.png" cannot be used: 1 pixels have the colour [0, 0, 0], which is that of no class`],
    [classes(list.map(({ id, name }) => ({ id, name }))), "red, green and blue where labels are one number"],
    [classes(same), "red, green and blue where labels are one number"],
    [classes(list, { ignoreColours: [[9, 0, 0]] }), "a colour that is ignored is a class's, too"],
    [classes(list, { ignoreColours: [3] }), `the colour in "ignoreColours" is no list`],
    [classes(list, { ignoreColours: 3 }), `"ignoreColours" is no list of colours`],
    [
      classes([{ ...list[0], id: 255 }], { ignoreColours: [[0, 0, 0]] }),
      "does not go with a class of the id 255",
    ],
  ];
  for (const [json, message] of cases) {
    await inFolder({ ...files, "classes.json": json }, (root) => refuse(`masks:${root}`, DataError, message));
  }
});

Deno.test("masks: what is wrong is named with its file", async () => {
  const one = { "images/a.png": await photo(2, 2), "labels/a.png": await gray([0, 5, 5, 1], 2) };
  const two = classes([{ id: 0, name: "a" }, { id: 1, name: "b" }]);
  const colour = await sharp(new Uint8Array(12), { raw: { width: 2, height: 2, channels: 3 } }).png()
    .toBuffer();
  const cases: [Record<string, Uint8Array | string>, string][] = [
    [
      { "classes.json": two },
      `labels/a.png": 2 of 4 pixels have the id 5, which is no class; classes are 0, 1`,
    ],
    [{ "labels/a.png": colour }, `labels/a.png" cannot be used: it has red, green and blue`],
    [{ "labels/a.png": await gray([0], 1) }, `a.png" has 2 x 2 pixels, but its annotation is for 1 x 1`],
    [
      { "labels/a.png": (await gray([0, 1, 1, 0], 2)).subarray(0, 50) },
      `a.png" cannot be used: it ends early`,
    ],
    [{ "images/b.png": await photo(2, 2) }, `images/b.png" has no label`],
    [{ "images/a.jpg": await photo(2, 2, "jpeg") }, "would have the same label"],
    [{ "classes.json": "{" }, `classes.json" cannot be used`],
    [{ "classes.json": `{"classes": 3}` }, `it has no list "classes"`],
    [{ "classes.json": classes([{ id: -1, name: "a" }]) }, "the id of class 0 is -1"],
    [{ "classes.json": classes([{ id: 1 }]) }, "class 0 has no name"],
    [{ "classes.json": classes([{ id: 1, name: "a", colour: [1, 2] }]) }, `the colour of class "a"`],
    [{ "classes.json": classes([{ id: 1, name: "a" }, { id: 1, name: "b" }]) }, `the id 1 of class "b"`],
    [{ "classes.json": classes([{ id: 1, name: "a" }], { ignore: [1] }) }, "the id 1 is a class and ignored"],
    [{ "classes.json": classes([]) }, "there are 0 classes"],
    [{ "classes.json": classes([{ id: 1, name: "a" }], { ignore: [-2] }) }, `"ignore" is no list of ids`],
  ];
  for (const [changes, message] of cases) {
    await inFolder({ ...one, ...changes }, (root) =>
      assertRejects(
        () => withSet(`masks:${root}`, async (source) => void await loadSamples(source, [0])),
        DataError,
        message,
      ));
  }
});

Deno.test("splits are named, not mixed", async () => {
  const files: Record<string, Uint8Array> = {};
  for (const split of ["train", "test"]) {
    files[`images/${split}/a.png`] = await photo(1, 1);
    files[`labels/${split}/a.png`] = await gray([0], 1);
  }
  await inFolder(files, async (root) => {
    await refuse(
      `masks:${root}`,
      ConfigurationError,
      `has the splits train, test; name one, e.g. masks:${root}/train`,
    );
    await refuse(`masks:${root}/images/train`, ConfigurationError, "has no folders images and labels");
    await refuse(`masks:${root}/none`, ConfigurationError, "does not exist");
    await refuse(
      "cifar10:x",
      ConfigurationError,
      "has no classes of pixels; for segmentation give masks:DIR",
    );
  });
});

Deno.test("cityscapes: ids become train ids", async () => {
  const ids = Array.from({ length: 34 }, (_, id) => id);
  const files = {
    "leftImg8bit/val/ulm/ulm_000001_000019_leftImg8bit.png": await photo(35, 1),
    "gtFine/val/ulm/ulm_000001_000019_gtFine_labelIds.png": await gray([...ids, 255], 35),
  };
  await inFolder(files, async (root) => {
    for (const spec of [`cityscapes:${root}`, `cityscapes:${root}/val`]) {
      await withSet(spec, async (source) => {
        const [sample] = await loadSamples(source, [0]);
        const known: Record<number, number> = {
          7: 0,
          8: 1,
          11: 2,
          12: 3,
          13: 4,
          17: 5,
          19: 6,
          20: 7,
          21: 8,
          22: 9,
        };
        const later: Record<number, number> = {
          23: 10,
          24: 11,
          25: 12,
          26: 13,
          27: 14,
          28: 15,
          31: 16,
          32: 17,
          33: 18,
        };
        const expected = [...ids, 255].map((id) => known[id] ?? later[id] ?? 255);
        assertEquals([...sample!.target.values], expected);
        assertEquals(source.classes, cityscapesClasses);
      });
    }
  });
  const [, label] = Object.keys(files);
  await inFolder(
    { [Object.keys(files)[0]]: await photo(1, 1), [`${label}.txt`]: "" },
    (root) => refuse(`cityscapes:${root}`, DataError, `labelIds.png" cannot be used: it is not there`),
  );
});

Deno.test("voc: indices of the palette, the border does not count", async () => {
  const files = {
    "JPEGImages/2007_1.jpg": await photo(2, 2, "jpeg"),
    "SegmentationClass/2007_1.png": await palette([0, 15, 20, 255], 2),
    "ImageSets/Segmentation/train.txt": "2007_1\n",
    "ImageSets/Segmentation/val.txt": "2007_1\n\n",
  };
  await inFolder(files, async (root) => {
    await withSet(`voc:${root}/train`, async (source) => {
      const [sample] = await loadSamples(source, [0]);
      assertEquals(sample!.target.values, Uint8Array.of(0, 15, 20, 255));
      assertEquals([source.classes[15].name, source.classes[15].colour], [
        "person",
        [192, 128, 128] as const,
      ]);
    });
    await refuse(`voc:${root}`, ConfigurationError, "has the splits train, val");
    await refuse(`voc:${root}/test`, DataError, `test.txt": it is not there`);
  });
  const list = { ...files, "ImageSets/Segmentation/train.txt": "../../secret\n" };
  await inFolder(list, (root) => refuse(`voc:${root}/train`, DataError, `has the line "../../secret"`));
});

Deno.test("synthetic: the mask of the scene, background first", async () => {
  await withSet("synthetic:12", async (source) => {
    assertEquals(source.classes.length, 11);
    const samples = await loadSamples(source, [3, 11]);
    for (const [at, index] of [3, 11].entries()) {
      const { width, height, values } = samples[at]!.target as LabelTarget;
      assertEquals([width, height, values.length], [32, 32, 1024]);
      assert(
        values.includes(index % 10 + 1) && values.every((value) => value === 0 || value === index % 10 + 1),
      );
    }
  });
});

Deno.test("a dense set's photos can be used without labels", async () => {
  const files = {
    "images/b.png": await photo(9, 8),
    "images/a.png": await photo(12, 10),
    "labels/a.png": await gray([0], 1),
  };
  await inFolder({ ...files, "labels/b.png": await gray([0], 1) }, async (root) => {
    const source = await openSource(`masks:${root}`, { imageSize: 8, seed: 1, workers: 1 });
    try {
      assertEquals([source.length, source.labels], [2, undefined]);
    } finally {
      source.release();
    }
  });
});
