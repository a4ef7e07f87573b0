import { assertEquals, assertRejects } from "@std/assert";
import { readSafetensors } from "../../src/store/safetensors.ts";
import type { RowBlock } from "../../src/store/rows.ts";
import { writeRows } from "../../src/store/safetensors_rows.ts";
import { withFolder } from "./with_folder.ts";

const layout = {
  matrix: "features",
  columns: 3,
  vectors: ["labels", "indices"],
  maximumRows: 1_000_000,
  metadata: { source: "Größe \u{1f33f}" },
};

function block(first: number, rows: number): RowBlock {
  const values = Float32Array.from({ length: 3 * rows }, (_, at) => 3 * first + at);
  const indices = Uint32Array.from({ length: rows }, (_, row) => first + row);
  return { values, vectors: { indices, labels: Array.from(indices, (index) => -index) } };
}

Deno.test("rows that come in blocks, far fewer than there was room for", () =>
  withFolder(async (folder) => {
    const path = `${folder}/rows.safetensors`;
    assertEquals(await writeRows(path, layout, [block(0, 2), block(2, 1), block(3, 4)]), 7);
    const { tensors, metadata } = await readSafetensors(path);
    assertEquals(metadata, layout.metadata);
    assertEquals(tensors.get("features"), {
      dtype: "F32",
      shape: [7, 3],
      data: Float32Array.from({ length: 21 }, (_, at) => at),
    });
    assertEquals(tensors.get("indices"), {
      dtype: "I32",
      shape: [7],
      data: Int32Array.of(0, 1, 2, 3, 4, 5, 6),
    });
    assertEquals(tensors.get("labels")!.data, Int32Array.of(0, -1, -2, -3, -4, -5, -6));
  }));

Deno.test("no rows are a sound file; as many as there is room for fit", () =>
  withFolder(async (folder) => {
    const path = `${folder}/rows.safetensors`;
    assertEquals(await writeRows(path, layout, []), 0);
    assertEquals((await readSafetensors(path)).tensors.get("features")!.shape, [0, 3]);
    assertEquals(await writeRows(path, { ...layout, maximumRows: 12 }, [block(0, 12)]), 12);
    assertEquals((await readSafetensors(path)).tensors.get("indices")!.data[11], 11);
  }));

Deno.test("texts are a list in the metadata, one for each row that came", () =>
  withFolder(async (folder) => {
    const path = `${folder}/rows.safetensors`;
    const values = Array.from({ length: 9 }, (_, index) => `größe "${index}"`);
    const texts = { name: "files", values, by: "indices" };
    await writeRows(path, { ...layout, texts, maximumRows: 9 }, [block(0, 2), block(6, 1)]);
    const { metadata, tensors } = await readSafetensors(path);
    assertEquals(JSON.parse(metadata.files), [values[0], values[1], values[6]]);
    assertEquals(metadata.source, layout.metadata.source);
    assertEquals(tensors.get("indices")!.data, Int32Array.of(0, 1, 6));
  }));

Deno.test("when the rows break off, the file that was there stays", () =>
  withFolder(async (folder) => {
    const path = `${folder}/rows.safetensors`;
    await writeRows(path, layout, [block(0, 1)]);
    await assertRejects(
      () =>
        writeRows(
          path,
          layout,
          (function* () {
            yield block(0, 5);
            throw new Error("the source is gone");
          })(),
        ),
      Error,
      "the source is gone",
    );
    assertEquals((await readSafetensors(path)).tensors.get("indices")!.shape, [1]);
    assertEquals((await Array.fromAsync(Deno.readDir(folder))).length, 1);
  }));
