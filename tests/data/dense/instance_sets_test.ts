import { assert, assertEquals, assertRejects } from "@std/assert";
import sharp from "sharp";
import { loadSamples, openInstances } from "../../../src/data/dense/open.ts";
import { unpackMask } from "../../../src/data/dense/run_lengths.ts";
import type { InstanceSource } from "../../../src/data/dense/target.ts";
import { ConfigurationError, DataError } from "../../../src/errors.ts";
import { collecting, gray16, inFolder, palette, photo } from "./files.ts";

async function withSet(
  spec: string,
  masks: boolean,
  test: (source: InstanceSource, warnings: string[]) => Promise<void>,
  changes: { emptyImages?: "keep" | "drop" } = {},
) {
  const { options, warnings } = collecting();
  const source = await openInstances(spec, masks, { ...options, ...changes });
  try {
    await test(source, warnings);
  } finally {
    source.release();
  }
}

const images = [
  { id: 30, file_name: "c.png", width: 6, height: 4 },
  { id: 7, file_name: "sub/a.png", width: 6, height: 4 },
  { id: 8, file_name: "empty.png", width: 6, height: 4 },
];
const categories = [{ id: 90, name: "toothbrush" }, { id: 13, name: "stop sign" }];
const square = {
  id: 0,
  image_id: 7,
  category_id: 90,
  bbox: [1, 1, 2, 2],
  area: 4,
  iscrowd: 0,
  segmentation: [[1, 1, 3, 1, 3, 3, 1, 3]],
};
const crowd = {
  id: 5,
  image_id: 7,
  category_id: 13,
  bbox: [0, 0, 6, 4],
  area: 8.5,
  iscrowd: 1,
  segmentation: { size: [4, 6], counts: [16, 8] },
};
const text = {
  id: 6,
  image_id: 30,
  category_id: 13,
  bbox: [2, 1, 0.5, 2],
  area: 1,
  segmentation: { size: [4, 6], counts: "0h0" },
};
const file = (annotations: unknown[], more = {}) =>
  JSON.stringify({ images, categories, annotations, ...more });

async function photos() {
  return { "p/c.png": await photo(6, 4), "p/sub/a.png": await photo(6, 4), "p/empty.png": await photo(6, 4) };
}

Deno.test("coco: categories with gaps, crowds, three kinds of masks, images without objects", async () => {
  await inFolder({ ...await photos(), "a.json": file([square, crowd, text]) }, async (root) => {
    await withSet(`coco:${root}/p,${root}/a.json`, true, async (source, warnings) => {
      assertEquals(source.classes.map(({ id, name }) => [id, name]), [[13, "stop sign"], [90, "toothbrush"]]);
      const [c, a, empty] = await loadSamples(source, [0, 1, 2]);
      assertEquals([c, a, empty].map((sample) => sample!.target.imageId), [30, 7, 8]);
      assertEquals(empty!.target.instances, []);
      const [first, second] = a!.target.instances;
      assertEquals([first.id, first.classIndex, first.box, first.area, first.crowd], [
        0,
        1,
        [1, 1, 2, 2],
        4,
        false,
      ]);
      assertEquals(
        unpackMask(first.mask!),
        Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, ...new Array(9).fill(0)]),
      );
      assertEquals([second.crowd, second.area, second.classIndex], [true, 8.5, 0]);
      assertEquals([...second.mask!.counts], [16, 8]);
      assertEquals([...c!.target.instances[0].mask!.counts], [0, 24]);
      assert(
        warnings.some((one) => one.includes("1 of the 3 images") && one.includes("kept")),
        warnings.join(),
      );
      assert(
        warnings.some((one) => one.includes("1 boxes are less than a pixel") && one.includes("annotation 6")),
      );
    });
    await withSet(`coco:${root}/p,${root}/a.json`, false, async (source, warnings) => {
      assertEquals(source.images.length, 2);
      assertEquals((await source.target(1)).instances[0].mask, undefined);
      assert(warnings.some((one) => one.includes("left out")));
    }, { emptyImages: "drop" });
  });
});

Deno.test("coco: what is wrong is named", async () => {
  const files = await photos();
  const cases: [string, string][] = [
    ["[", "no JSON"],
    ["{}", `it has no list "images"`],
    [file([], { categories: [] }), "it has no categories"],
    [file([], { images: [] }), "it has no images"],
    [file([], { images: [images[0], images[0]] }), "the image id 30 comes twice"],
    [file([], { categories: [categories[0], categories[0]] }), "the category id 90 comes twice"],
    [file([], { images: [{ ...images[0], file_name: "../x.png" }] }), "the file_name of image 30"],
    [file([], { images: [{ ...images[0], width: 0 }] }), "the width of image 30 is 0"],
    [file([], { images: [{ ...images[0], height: 1e9 }] }), "the height of image 30 is 1000000000"],
    [file([{ ...square, image_id: 9 }]), "annotation 0: its image_id is 9, which is no image"],
    [file([{ ...square, category_id: 1 }]), "its category_id is 1, which is no category"],
    [file([{ ...square, bbox: [1, 1, 2] }]), "its bbox is [1,1,2]"],
    [file([{ ...square, bbox: [4, 1, 6, 3] }]), "not two corners"],
    [file([{ ...square, iscrowd: 2 }]), "its iscrowd is 2"],
    [file([{ ...square, area: -1 }]), "its area is -1"],
    [file([{ ...square, segmentation: undefined }]), "annotation 0: its segmentation is missing"],
    [file([{ ...square, segmentation: [[1, 2]] }]), "annotation 0: a polygon has 2 coordinates"],
    [file([{ ...square, segmentation: { size: [6, 4], counts: [24] } }]), "its mask has the size [6,4]"],
    [file([{ ...square, segmentation: { size: [4, 6], counts: [23] } }]), "add up to 23 pixels"],
    [file([{ ...square, segmentation: { size: [4, 6], counts: {} } }]), "its counts are {}"],
  ];
  for (const [json, message] of cases) {
    await inFolder({ ...files, "a.json": json }, (root) =>
      assertRejects(
        () => withSet(`coco:${root}/p,${root}/a.json`, true, async (source) => void await source.target(1)),
        DataError,
        message,
      ));
  }
  // Before anything is trained.
  await inFolder(
    { ...files, "a.json": file([{ ...square, segmentation: undefined }]) },
    (root) =>
      assertRejects(
        () => withSet(`coco:${root}/p,${root}/a.json`, true, async () => {}),
        DataError,
        "annotation 0: its segmentation is missing",
      ),
  );
  await inFolder(files, async (root) => {
    const open = (spec: string) => withSet(spec, true, async () => {});
    await assertRejects(
      () => open(`coco:${root}/p,${root}/none.json`),
      DataError,
      'none.json": it is not there',
    );
    await assertRejects(() => open(`coco:${root}/q,${root}/a.json`), ConfigurationError, "does not exist");
    await assertRejects(
      () => open(`coco:${root}/p`),
      ConfigurationError,
      "needs the images' folder and the file",
    );
    await assertRejects(
      () => open(`masks:${root}`),
      ConfigurationError,
      "has no objects; for detection give coco:",
    );
  });
});

Deno.test("coco: a photo that its EXIF orientation turns is refused with the reason", async () => {
  const turned = await sharp(await photo(6, 4, "jpeg")).withMetadata({ orientation: 6 }).jpeg().toBuffer();
  const one = JSON.stringify({ images: [{ ...images[0], file_name: "c.jpg" }], categories, annotations: [] });
  await inFolder(
    { "p/c.jpg": turned, "a.json": one },
    (root) =>
      withSet(`coco:${root}/p,${root}/a.json`, true, async (source) => {
        await assertRejects(() => loadSamples(source, [0]), DataError, "EXIF orientation turns it");
      }),
  );
});

Deno.test("coco: an orientation that the annotation's sides cannot tell of is warned of, once", async () => {
  const list = [6, 3, 1, 6].map((orientation, at) => ({
    orientation,
    image: { id: at, file_name: `${at}.jpg`, width: at === 0 ? 4 : 5, height: at === 0 ? 6 : 5 },
  }));
  const files: Record<string, Uint8Array | string> = {
    "a.json": JSON.stringify({ images: list.map(({ image }) => image), categories, annotations: [] }),
  };
  for (const { orientation, image } of list) {
    const [width, height] = image.width === image.height ? [5, 5] : [6, 4];
    files[`p/${image.file_name}`] = await sharp(await photo(width, height, "jpeg")).withMetadata({
      orientation,
    })
      .jpeg().toBuffer();
  }
  await inFolder(files, (root) =>
    withSet(`coco:${root}/p,${root}/a.json`, true, async (source, warnings) => {
      assertEquals((await loadSamples(source, [0, 1, 2, 3])).filter((sample) => sample).length, 4);
      const about = warnings.filter((one) => one.includes("EXIF orientation"));
      assertEquals(about.length, 1);
      assert(
        about[0].includes('/1.jpg" has the EXIF orientation 3') || about[0].includes("/3.jpg"),
        about[0],
      );
    }));
});

Deno.test("a photo that is kept smaller still goes with its annotation", async () => {
  const one = JSON.stringify({
    images: [{ id: 1, file_name: "c.png", width: 101, height: 67 }],
    categories,
    annotations: [],
  });
  await inFolder({ "p/c.png": await photo(101, 67), "a.json": one }, async (root) => {
    const { options } = collecting();
    const source = await openInstances(`coco:${root}/p,${root}/a.json`, true, { ...options, storedSide: 20 });
    try {
      const [sample] = await loadSamples(source, [0]);
      assertEquals([sample!.image.width, sample!.image.height, sample!.target.width], [30, 20, 101]);
    } finally {
      source.release();
    }
  });
});

Deno.test("cityscapes: objects and groups of the classes that have some", async () => {
  const files = {
    "leftImg8bit/train/ulm/a_leftImg8bit.png": await photo(3, 2),
    "gtFine/train/ulm/a_gtFine_instanceIds.png": await gray16([7, 26000, 26001, 26001, 24, 33005], 3),
  };
  await inFolder(files, (root) =>
    withSet(`cityscapes:${root}/train`, true, async (source) => {
      assertEquals(source.classes.map(({ id }) => id), [24, 25, 26, 27, 28, 31, 32, 33]);
      const [sample] = await loadSamples(source, [0]);
      const told = sample!.target.instances.map((
        { classIndex, box, area, crowd },
      ) => [classIndex, box, area, crowd]);
      assertEquals(told, [
        [0, [1, 1, 1, 1], 1, true],
        [2, [1, 0, 1, 1], 1, false],
        [2, [0, 0, 3, 2], 2, false],
        [7, [2, 1, 1, 1], 1, false],
      ]);
    }));
});

const object = (name: string, [x0, y0, x1, y1]: number[], more = "") =>
  `<object><name>${name}</name>${more}<bndbox><xmax>${x1}</xmax><xmin>${x0}</xmin><ymin>${y0}</ymin><ymax>${y1}</ymax></bndbox></object>`;
const xml = (...objects: string[]) =>
  `<annotation><size><width>4</width><height>3</height><depth>3</depth></size>${
    objects.join("\n")
  }</annotation>`;
const head =
  "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>1</xmax><ymax>1</ymax></bndbox></part>";

Deno.test("voc: boxes begin at 1 and include their ends; difficult ones are marked", async () => {
  const files = {
    "JPEGImages/a.jpg": await photo(4, 3, "jpeg"),
    "ImageSets/Main/train.txt": "a\n",
    "ImageSets/Main/person_train.txt": "a 1\n",
    "ImageSets/Segmentation/train.txt": "a\n",
    "Annotations/a.xml": xml(
      object("person", [1, 1, 2, 3], head),
      object("dog", [3, 2, 4, 3], "<difficult>1</difficult>"),
    ),
    "SegmentationObject/a.png": await palette([1, 1, 0, 0, 1, 255, 2, 2, 1, 0, 0, 2], 4),
    "SegmentationClass/a.png": await palette([15, 15, 0, 0, 15, 255, 12, 12, 15, 0, 0, 12], 4),
  };
  await inFolder(files, async (root) => {
    await withSet(`voc:${root}`, false, async (source) => {
      const [sample] = await loadSamples(source, [0]);
      const told = sample!.target.instances.map(({ classIndex, box, ignored }) => [
        source.classes[classIndex].name,
        box,
        ignored,
      ]);
      assertEquals(told, [["person", [0, 0, 2, 3], false], ["dog", [2, 1, 2, 2], true]]);
    });
    await withSet(`voc:${root}/train`, true, async (source) => {
      const { instances } = await source.target(0);
      const told = instances.map((
        { classIndex, box, area, ignored },
      ) => [source.classes[classIndex].name, box, area, ignored]);
      assertEquals(told, [["person", [0, 0, 2, 3], 4, false], ["dog", [2, 1, 2, 2], 3, true]]);
    });
  });
  const cases: [string, string][] = [
    [xml(object("unicorn", [1, 1, 2, 2])), `object 1 is "unicorn", which is no class`],
    [xml(object("dog", [3, 1, 2, 2])), "a box without pixels"],
    [xml("<object><name>dog</name></object>"), "no <bndbox>"],
    [xml(object("dog", [NaN, 1, 2, 2])), "no number <xmin>"],
    ["<annotation></annotation>", "it has no <size>"],
  ];
  for (const [content, message] of cases) {
    await inFolder(
      { ...files, "Annotations/a.xml": content },
      (root) =>
        assertRejects(
          () => withSet(`voc:${root}`, false, async (source) => void await source.target(0)),
          DataError,
          message,
        ),
    );
  }
});

Deno.test("synthetic: one object with its box and mask", async () => {
  await withSet("synthetic:30", true, async (source) => {
    const { instances, imageId } = await source.target(25);
    assertEquals([instances.length, imageId, instances[0].classIndex], [1, 26, 5]);
    const [x, y, width, height] = instances[0].box;
    const mask = unpackMask(instances[0].mask!);
    const ones = [...mask.keys()].filter((at) => mask[at]);
    assertEquals(instances[0].area, ones.length);
    assertEquals([Math.min(...ones.map((at) => at % 32)), Math.floor(ones[0] / 32)], [x, y]);
    assertEquals([Math.max(...ones.map((at) => at % 32)) + 1, Math.floor(ones.at(-1)! / 32) + 1], [
      x + width,
      y + height,
    ]);
    await Promise.resolve();
  });
});

Deno.test("coco: a box without an extent may have a negative product for its area; it is counted, and not trained on", async () => {
  const inverted = { ...square, bbox: [1, 1, -2, 2], area: -4 };
  await inFolder(
    { ...await photos(), "a.json": file([inverted]) },
    (root) =>
      withSet(`coco:${root}/p,${root}/a.json`, false, async (source, warnings) => {
        const all = await Promise.all(
          source.images.length > 1 ? [0, 1].map((at) => source.target(at)) : [source.target(0)],
        );
        assertEquals(all.flatMap(({ instances }) => instances.map(({ area }) => area)), [0]);
        assert(warnings.some((one) => one.includes("less than a pixel wide or high")));
      }),
  );
});
