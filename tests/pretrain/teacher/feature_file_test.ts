/** Whose row is whose in a file of features, and what is refused. */
import { assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { DataError } from "../../../src/errors.ts";
import {
  expectFeatures,
  featureDimension,
  readFeatures,
  type TaughtImages,
} from "../../../src/pretrain/teacher/feature_file.ts";
import { type TensorData, writeSafetensors } from "../../../src/store/safetensors.ts";
import { withFolder } from "../../store/with_folder.ts";

const images = (length: number, files?: string[], train?: number[]): TaughtImages => ({
  source: "folder:photos",
  length,
  files,
  train: Uint32Array.from(train ?? Array.from({ length }, (_, at) => at)),
});

function features(rows: number[][]): [string, TensorData] {
  return ["features", {
    dtype: "F32",
    shape: [rows.length, rows[0].length],
    data: Float32Array.from(rows.flat()),
  }];
}

const three = [[1, 2], [3, 4], [5, 6]];

/** Writes a file and hands over its path. */
function withFile(
  tensors: [string, TensorData][],
  metadata: Record<string, string>,
  test: (path: string) => Promise<void>,
): Promise<void> {
  return withFolder(async (folder) => {
    const path = `${folder}/features.safetensors`;
    await writeSafetensors(path, tensors, metadata);
    await test(path);
  });
}

Deno.test("rows are in the order of the images, or go by indices, or by names", async () => {
  let digest = "";
  await withFile([features(three)], {}, async (path) => {
    assertEquals(await featureDimension(path), 2);
    const found = await readFeatures(path, images(3, ["a.png", "b/c.png", "d.png"]));
    assertEquals([found.dimension, found.byteLength], [2, 24]);
    assertEquals([...found.rows(Uint32Array.of(2, 0, 2))], [5, 6, 1, 2, 5, 6]);
    digest = found.digest;
  });
  const indices: [string, TensorData] = ["indices", {
    dtype: "I32",
    shape: [3],
    data: Int32Array.of(2, 0, 3),
  }];
  await withFile([features(three), indices], { sourceImages: "4" }, async (path) => {
    const found = await readFeatures(path, images(4, undefined, [0, 2, 3]));
    assertEquals([...found.rows(Uint32Array.of(0, 2, 3))], [3, 4, 1, 2, 5, 6]);
  });
  const files = JSON.stringify(["d.png", "./a.png", "b\\c.png"]);
  await withFile([features([[5, 6], [1, 2], [3, 4]])], { files }, async (path) => {
    const found = await readFeatures(path, images(3, ["a.png", "b/c.png", "d.png"]));
    assertEquals([...found.rows(Uint32Array.of(0, 1, 2))], three.flat());
    // The same features in another order are the same.
    assertEquals(found.digest, digest);
    // Names of a set without files mean nothing: the order counts.
    assertEquals([...(await readFeatures(path, images(3))).rows(Uint32Array.of(0))], [5, 6]);
  });
  await withFile([features([[1, 2], [3, 4], [5, 6.5]])], {}, async (path) => {
    const found = await readFeatures(path, images(3));
    assertNotEquals(found.digest, digest);
    assertThrows(() => expectFeatures("features:x", found, digest), DataError, "Restore the file");
    expectFeatures("features:x", found, found.digest);
    expectFeatures("features:x", found, null);
  });
});

Deno.test("rows that belong to no image, lack, or point nowhere are refused", async () => {
  const vector = (...values: number[]): [string, TensorData] => [
    "indices",
    { dtype: "I32", shape: [values.length], data: Int32Array.from(values) },
  ];
  const files = (...names: string[]) => ({ files: JSON.stringify(names) });
  const photos = images(3, ["a.png", "b.png", "c.png"]);
  const cases: [[string, TensorData][], Record<string, string>, TaughtImages, string][] = [
    [[features(three)], {}, images(4), "3 rows, and folder:photos has 4 images"],
    [
      [features(three), vector(0, 1, 2)],
      { sourceImages: "3" },
      images(4),
      "features of 3 images; folder:photos has 4",
    ],
    [
      [features(three), vector(0, 1, 1)],
      {},
      images(3),
      "row 2 is of image 1, of which there is a row already",
    ],
    [
      [features(three), vector(0, 1, 7)],
      {},
      images(3),
      "row 2 is of image 7, but folder:photos has 3 images",
    ],
    [
      [features(three), vector(0, 1, 2)],
      {},
      images(4),
      "no row for image 3 of folder:photos, and for 1 of the 4",
    ],
    [[features(three)], files("a.png", "b.png", "x.png"), photos, 'no row for image 2 ("c.png")'],
    [[features(three)], files("a.png", "b.png", "a.png"), photos, 'rows 0 and 2 are both of "a.png"'],
    [[features(three)], files("x/a.png", "x/b.png", "x/c.png"), photos, "names none of the images"],
    [[features(three)], files("a.png", "b.png"), photos, "must list 3 names"],
    [[features(three)], { files: "a.png" }, photos, "no JSON list"],
    [[features([[1, 2], [NaN, 4]])], {}, images(2), "row 1 has the value NaN in column 0"],
    [[features([[1, 2], [3, -Infinity]])], {}, images(2), "row 1 has the value -Infinity in column 1"],
    [
      [features([[0, 0], [3, 4]])],
      files("a.png", "b.png"),
      images(2, ["a.png", "b.png"]),
      'row 0 ("a.png") is zero',
    ],
    [[["features", { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) }]], {}, images(2), "features"],
  ];
  for (const [tensors, metadata, wanted, message] of cases) {
    await withFile(tensors, metadata, async (path) => {
      await assertRejects(() => readFeatures(path, wanted), DataError, message);
    });
  }
  await withFile(
    [["other", { dtype: "F32", shape: [1, 2], data: Float32Array.of(1, 2) }]],
    {},
    async (path) => {
      await assertRejects(
        () => featureDimension(path),
        DataError,
        'no tensor "features" F32 [N, D]. It has other [1, 2]',
      );
    },
  );
});
