import { assertEquals, assertRejects } from "@std/assert";
import { crc32 } from "node:zlib";
import { DataError } from "../../src/errors.ts";
import { joinCrc32, writeNpz } from "../../src/store/npz.ts";
import type { RowBlock, RowLayout } from "../../src/store/rows.ts";
import { randomStreams } from "../helpers.ts";
import { readNpz } from "./read_npz.ts";
import { withFolder } from "./with_folder.ts";

const files = ["a/1.jpg", "größe \u{1f33f}.png", "c.jpg", "d.jpg"];

const layout: RowLayout = {
  matrix: "features",
  columns: 3,
  vectors: ["labels", "indices"],
  texts: { name: "files", values: files, by: "indices" },
  maximumRows: 4,
  metadata: { source: "folder:größe", mean: "[0.5,0.5,0.5]" },
};

function block(indices: number[]): RowBlock {
  const values = Float32Array.from(indices.flatMap((index) => [index, index + 0.25, -index]));
  return { values, vectors: { indices, labels: indices.map((index) => 10 * index) } };
}

Deno.test("an .npz holds arrays of the rows that came, under checksums that are theirs", () =>
  withFolder(async (folder) => {
    const path = `${folder}/rows.npz`;
    assertEquals(await writeNpz(path, layout, [block([0, 1]), block([3])]), 3);
    const arrays = await readNpz(path);
    assertEquals([...arrays.keys()], ["features", "labels", "indices", "files", "metadata"]);
    assertEquals(arrays.get("features"), {
      descr: "<f4",
      shape: [3, 3],
      values: [0, 0.25, -0, 1, 1.25, -1, 3, 3.25, -3],
    });
    assertEquals(arrays.get("labels"), { descr: "<i4", shape: [3], values: [0, 10, 30] });
    assertEquals(arrays.get("indices"), { descr: "<i4", shape: [3], values: [0, 1, 3] });
    assertEquals(arrays.get("files"), { descr: "<U11", shape: [3], values: [files[0], files[1], files[3]] });
    const { shape, values } = arrays.get("metadata")!;
    assertEquals([shape, values.map((text) => JSON.parse(text as string))], [[], [layout.metadata]]);
  }));

Deno.test("no rows are a sound file; when the rows break off, there is none", () =>
  withFolder(async (folder) => {
    const path = `${folder}/rows.npz`;
    const { texts: _, ...plain } = layout;
    assertEquals(await writeNpz(path, plain, []), 0);
    assertEquals((await readNpz(path)).get("features")!.shape, [0, 3]);
    await Deno.remove(path);
    const broken = (function* () {
      yield block([0]);
      throw new Error("the source is gone");
    })();
    await assertRejects(() => writeNpz(path, layout, broken), Error, "the source is gone");
    assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
  }));

Deno.test("more than a zip holds is refused before the work", () =>
  withFolder(async (folder) => {
    const large = { ...layout, columns: 2048, maximumRows: 600_000 };
    await assertRejects(() => writeNpz(`${folder}/x.npz`, large, []), DataError, "Write .safetensors");
  }));

Deno.test("the checksum of two parts is that of the whole", () => {
  for (const [index, random] of randomStreams(5, 20).entries()) {
    const bytes = Uint8Array.from({ length: 1 + index * 977 }, () => random.integer(256));
    const at = random.integer(bytes.length + 1);
    const [first, second] = [bytes.subarray(0, at), bytes.subarray(at)];
    assertEquals(joinCrc32(crc32(first), crc32(second), second.length), crc32(bytes));
  }
});
