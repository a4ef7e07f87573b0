/**
 * Writing a `.safetensors` file row by row, when neither the rows fit into memory nor their number is known before the
 * last one: the header's place is kept free for the longest it can become, and filled in at the end.
 */
import { writeAll, writeAtomically } from "./atomic_file.ts";
import { FileChecksum } from "./checksum.ts";
import { formatHeader, type TensorPart } from "./safetensors_header.ts";

/** The file's tensors: a matrix, and vectors with an entry for each of its rows. */
export interface RowLayout {
  /** Name of the F32 matrix [rows, columns]. */
  readonly matrix: string;
  readonly columns: number;
  /** Names of the I32 vectors [rows]. */
  readonly vectors: readonly string[];
  /** The most rows that can come. */
  readonly maximumRows: number;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Some rows. */
export interface RowBlock {
  /** [rows, columns]. */
  readonly values: Float32Array<ArrayBuffer>;
  /** For each vector of the layout, an entry per row. */
  readonly vectors: Readonly<Record<string, ArrayLike<number>>>;
}

function describe({ matrix, columns, vectors }: RowLayout, rows: number): TensorPart[] {
  return [
    { name: matrix, dtype: "F32", shape: [rows, columns], byteLength: 4 * rows * columns },
    ...vectors.map((name) => ({ name, dtype: "I32", shape: [rows], byteLength: 4 * rows } as const)),
  ];
}

/**
 * Writes a file atomically while its rows come; only the vectors are kept in memory. When `blocks` throws, there is no
 * file.
 *
 * @returns the number of rows
 * @throws {DataError} when the file system refuses
 */
export async function writeRows(
  path: string,
  layout: RowLayout,
  blocks: AsyncIterable<RowBlock> | Iterable<RowBlock>,
): Promise<number> {
  const reserved = formatHeader(path, describe(layout, layout.maximumRows), layout.metadata).byteLength;
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
    const header = formatHeader(path, describe(layout, rows), layout.metadata, reserved);
    checksum.seal(header);
    await file.seek(0, Deno.SeekMode.Start);
    await writeAll(file, header);
  });
  return rows;
}
