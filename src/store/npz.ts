/**
 * NumPy's `.npz`: a zip of `.npy` arrays, as `numpy.load` reads it without pickles. The arrays are stored, not compressed:
 * features hardly shrink.
 *
 * Written here because the number of rows, and with it the head of the first array, is known after the last row only: the
 * head's place is kept free and filled in at the end, and the array's checksum is put together from those of its parts.
 * Layouts: NumPy's format 1.0, and PKWARE's APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16.
 */
import { crc32 } from "node:zlib";
import { DataError } from "../errors.ts";
import { writeAll, writeAtomically } from "./atomic_file.ts";
import { type RowBlock, type RowLayout, rowTexts } from "./rows.ts";

/** Bytes of an array's head; NumPy asks for a multiple of 64. */
const headBytes = 128;
/** Zip's bound without its extension to 64 bits. */
const maximumBytes = 2 ** 32 - 1;
/** Most texts that are encoded at once. */
const textsPerPart = 4096;

/** The head of an array: `descr` is NumPy's name of the element type. */
function arrayHead(descr: string, shape: readonly number[]): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const head = new Uint8Array(headBytes).fill(0x20);
  head.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, headBytes - 10, 0]);
  head.set(new TextEncoder().encode(text), 10);
  head[headBytes - 1] = 0x0a;
  return head;
}

interface Entry {
  readonly name: Uint8Array;
  readonly offset: number;
  readonly crc: number;
  readonly size: number;
}

/** The fields that an entry's two headers share: flags for UTF-8 names, method "stored", 1 January 1980. */
function sharedFields(view: DataView, at: number, { name, crc, size }: Entry): void {
  const fields: [bytes: 2 | 4, value: number][] = [
    [2, 20],
    [2, 0x0800],
    [2, 0],
    [2, 0],
    [2, 0x21],
    [4, crc],
    [4, size],
    [4, size],
    [2, name.length],
    [2, 0],
  ];
  for (const [bytes, value] of fields) {
    if (bytes === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += bytes;
  }
}

function localHeader(entry: Entry): Uint8Array {
  const bytes = new Uint8Array(30 + entry.name.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x04034b50, true);
  sharedFields(view, 4, entry);
  bytes.set(entry.name, 30);
  return bytes;
}

function centralHeader(entry: Entry): Uint8Array {
  const bytes = new Uint8Array(46 + entry.name.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x02014b50, true);
  view.setUint16(4, 20, true);
  sharedFields(view, 6, entry);
  view.setUint32(42, entry.offset, true);
  bytes.set(entry.name, 46);
  return bytes;
}

function endRecord(entries: number, size: number, offset: number, comment: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(22 + comment.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(8, entries, true);
  view.setUint16(10, entries, true);
  view.setUint32(12, size, true);
  view.setUint32(16, offset, true);
  view.setUint16(20, comment.length, true);
  bytes.set(comment, 22);
  return bytes;
}

/**
 * The CRC-32 of two texts in a row from those of both: the first's, moved over `length` bytes of the second, plus the
 * second's. Moving over a zero byte is linear over GF(2), so that 2^k bytes are k squarings of a matrix of 32 columns.
 */
export function joinCrc32(first: number, second: number, length: number): number {
  const times = (matrix: Uint32Array, vector: number): number => {
    let sum = 0;
    for (let bit = 0; bit < 32; bit++) if (vector >>> bit & 1) sum ^= matrix[bit];
    return sum >>> 0;
  };
  const square = (matrix: Uint32Array) => matrix.map((column) => times(matrix, column));
  // Over one zero bit: a shift, and the polynomial where a one falls out.
  let matrix = Uint32Array.from({ length: 32 }, (_, bit) => bit === 0 ? 0xedb88320 : 2 ** (bit - 1));
  for (let doubling = 0; doubling < 3; doubling++) matrix = square(matrix);
  let moved = first;
  for (let rest = length; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) moved = times(matrix, moved);
    matrix = square(matrix);
  }
  return (moved ^ second) >>> 0;
}

/** Texts as NumPy's fixed-width unicode: four bytes a code point, zeros behind. */
function* encodeTexts(texts: readonly string[], width: number): Generator<Uint8Array<ArrayBuffer>> {
  for (let first = 0; first < texts.length; first += textsPerPart) {
    const part = texts.slice(first, first + textsPerPart);
    const points = new Uint32Array(part.length * width);
    part.forEach((text, row) => points.set(Array.from(text, (point) => point.codePointAt(0)!), row * width));
    yield new Uint8Array(points.buffer);
  }
}

function widthOf(texts: readonly string[]): number {
  return texts.reduce((most, text) => Math.max(most, Array.from(text).length), 1);
}

/** What the file takes at most, in bytes. */
function mostBytes({ columns, vectors, maximumRows, texts, metadata }: RowLayout): number {
  const row = 4 * (columns + vectors.length + (texts ? widthOf(texts.values) : 0));
  return maximumRows * row + 8 * JSON.stringify(metadata).length + 2 ** 16;
}

/** An end-of-file comment tells a file of this program's. */
export const npzComment = "scion";

/**
 * Writes a file atomically while its rows come; only the vectors are kept in memory. The arrays are the layout's matrix
 * `<f4` [rows, columns], vectors `<i4` [rows], the texts `<U…` [rows], and `metadata`, a JSON text of no dimensions. When
 * `blocks` throws, there is no file.
 *
 * @returns the number of rows
 * @throws {DataError} when there can be more than 4 GiB, which the format does not hold, or the file system refuses
 */
export async function writeNpz(
  path: string,
  layout: RowLayout,
  blocks: AsyncIterable<RowBlock> | Iterable<RowBlock>,
): Promise<number> {
  if (mostBytes(layout) > maximumBytes) {
    throw new DataError(
      `${path} could become larger than the 4 GiB that a .npz holds: ${layout.maximumRows} rows of ${layout.columns} ` +
        "features. Write .safetensors.",
    );
  }
  const vectors = layout.vectors.map((name) => ({ name, data: new Int32Array(layout.maximumRows) }));
  let rows = 0;
  await writeAtomically(path, async (file) => {
    const entries: Entry[] = [];
    let end = 0;
    /** Streams an array whose head is known when its parts are written. */
    const add = async (
      name: string,
      head: () => Uint8Array,
      parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    ) => {
      const bytes = new TextEncoder().encode(`${name}.npy`);
      const start = end + 30 + bytes.length;
      await file.seek(start + headBytes, Deno.SeekMode.Start);
      let crc = 0, size = 0;
      for await (const part of parts) {
        await writeAll(file, part);
        crc = crc32(part, crc);
        size += part.byteLength;
      }
      const entry = {
        name: bytes,
        offset: end,
        crc: joinCrc32(crc32(head()), crc, size),
        size: headBytes + size,
      };
      await file.seek(end, Deno.SeekMode.Start);
      await writeAll(file, localHeader(entry));
      await writeAll(file, head());
      entries.push(entry);
      end = start + entry.size;
    };
    const features = async function* () {
      for await (const block of blocks) {
        yield new Uint8Array(block.values.buffer, block.values.byteOffset, block.values.byteLength);
        for (const { name, data } of vectors) data.set(block.vectors[name], rows);
        rows += block.values.length / layout.columns;
      }
    };
    await add(layout.matrix, () => arrayHead("<f4", [rows, layout.columns]), features());
    for (const { name, data } of vectors) {
      await add(name, () => arrayHead("<i4", [rows]), [new Uint8Array(data.buffer, 0, 4 * rows)]);
    }
    const texts = async (name: string, values: readonly string[], shape: readonly number[]) => {
      const width = widthOf(values);
      await add(name, () => arrayHead(`<U${width}`, shape), encodeTexts(values, width));
    };
    if (layout.texts) {
      const pointers = vectors.find(({ name }) => name === layout.texts!.by)!;
      await texts(layout.texts.name, rowTexts(layout.texts, pointers.data.subarray(0, rows)), [rows]);
    }
    await texts("metadata", [JSON.stringify(layout.metadata)], []);
    await file.seek(end, Deno.SeekMode.Start);
    const central = entries.map(centralHeader);
    for (const header of central) await writeAll(file, header);
    const size = central.reduce((sum, { length }) => sum + length, 0);
    await writeAll(file, endRecord(entries.length, size, end, new TextEncoder().encode(npzComment)));
  });
  return rows;
}
