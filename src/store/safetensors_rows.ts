/**
 * Writing a `.safetensors` file row by row, when neither the rows fit into memory nor their number is known before the
 * last one: the header's place is kept free for the longest it can become, and filled in at the end.
 */
import { writeAll, writeAtomically } from "./atomic_file.ts";
import { FileChecksum } from "./checksum.ts";
import { type RowBlock, type RowLayout, rowTexts } from "./rows.ts";
import { formatHeader, type TensorPart } from "./safetensors_header.ts";

function describe({ matrix, columns, vectors }: RowLayout, rows: number): TensorPart[] {
  return [
    { name: matrix, dtype: "F32", shape: [rows, columns], byteLength: 4 * rows * columns },
    ...vectors.map((name) => ({ name, dtype: "I32", shape: [rows], byteLength: 4 * rows } as const)),
  ];
}

/** The metadata with the rows' texts, a JSON list under their name. */
function withTexts({ metadata, texts }: RowLayout, values: readonly string[]): Record<string, string> {
  return texts ? { ...metadata, [texts.name]: JSON.stringify(values) } : { ...metadata };
}

/**
 * Writes a file atomically while its rows come; only the vectors are kept in memory. Texts become a JSON list in the
 * metadata, an entry per row. When `blocks` throws, there is no file.
 *
 * @returns the number of rows
 * @throws {DataError} when the file system refuses
 */
export async function writeRows(
  path: string,
  layout: RowLayout,
  blocks: AsyncIterable<RowBlock> | Iterable<RowBlock>,
): Promise<number> {
  const reserved =
    formatHeader(path, describe(layout, layout.maximumRows), withTexts(layout, layout.texts?.values ?? []))
      .byteLength;
  const vectors = layout.vectors.map((name) => ({ name, data: new Int32Array(layout.maximumRows) }));
  let rows = 0;
  await writeAtomically(path, async (file) => {
    const checksum = new FileChecksum();
    const append = async (bytes: Uint8Array) => {
      checksum.add(bytes);
      await writeAll(file, bytes);
    };
    await file.seek(reserved, Deno.SeekMode.Start);
    for await (const block of blocks) {
      await append(new Uint8Array(block.values.buffer, block.values.byteOffset, block.values.byteLength));
      for (const { name, data } of vectors) data.set(block.vectors[name], rows);
      rows += block.values.length / layout.columns;
    }
    for (const { data } of vectors) await append(new Uint8Array(data.buffer, 0, 4 * rows));
    const { texts } = layout;
    const places = vectors.find(({ name }) => name === texts?.by)?.data.subarray(0, rows);
    const metadata = withTexts(layout, texts && places ? rowTexts(texts, places) : []);
    const header = formatHeader(path, describe(layout, rows), metadata, reserved);
    checksum.seal(header);
    await file.seek(0, Deno.SeekMode.Start);
    await writeAll(file, header);
  });
  return rows;
}
