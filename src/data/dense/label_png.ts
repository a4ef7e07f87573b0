/**
 * PNG files whose pixels are numbers and not colours: labels. Grey and palette images of any depth, interlaced or not, keep
 * the values as they are stored, which decoders of photos do not: they look colours up, and stretch or cut depths.
 */
import { DataError } from "../../errors.ts";
import { crc32 } from "./crc32.ts";

/** A label image. */
export interface LabelPng {
  readonly width: number;
  readonly height: number;
  /** [height, width]: the stored gray level, the index into the palette, or the id of the colour. */
  readonly values: Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;
  /** Red, green, blue of each index; absent for gray. */
  readonly palette?: Uint8Array<ArrayBuffer>;
}

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** As of photos. */
const mostPixels = 2 ** 28;
const longestSide = 65535;

const colourNames: Record<number, string> = {
  2: "red, green and blue",
  4: "gray with transparency",
  6: "red, green, blue and transparency",
};
/** Depths by colour type: gray and palette. */
const depths: Record<number, readonly number[]> = { 0: [1, 2, 4, 8, 16], 3: [1, 2, 4, 8] };

/** Ids by colour: red times 65 536, green times 256, blue. */
export type ColourIds = ReadonlyMap<number, number>;

/** Places of the pixels of each pass of an interlaced file: first column, first row, and the steps between. */
const interlacedPasses = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;
const onePass = [[0, 0, 1, 1]] as const;

interface Header {
  readonly width: number;
  readonly height: number;
  /** Of a pixel; 24 are a colour. */
  readonly bits: number;
  readonly palette: boolean;
  readonly interlaced: boolean;
}

/**
 * Reads a label.
 *
 * @param bytes a file's
 * @param colours what colours stand for; without it a file of red, green and blue is refused
 * @throws {DataError} whose message follows the file's name: no PNG, colours, damaged, cut off, too large
 */
export async function decodeLabelPng(bytes: Uint8Array, colours?: ColourIds): Promise<LabelPng> {
  const { header, palette, compressed } = readChunks(bytes, colours !== undefined);
  const { width, height, bits } = header;
  const passes = (header.interlaced ? interlacedPasses : onePass).map(([left, top, stepX, stepY]) => ({
    left,
    top,
    stepX,
    stepY,
    columns: Math.ceil(Math.max(0, width - left) / stepX),
    rows: Math.ceil(Math.max(0, height - top) / stepY),
  })).filter(({ columns, rows }) => columns > 0 && rows > 0);
  const rowBytes = (columns: number) => Math.ceil(columns * bits / 8);
  const length = passes.reduce((sum, { columns, rows }) => sum + rows * (1 + rowBytes(columns)), 0);
  const data = await inflate(compressed, length);
  const values = bits > 8 ? new Uint16Array(width * height) : new Uint8Array(width * height);
  const unknown = new Map<number, number>();
  let start = 0;
  for (const { left, top, stepX, stepY, columns, rows } of passes) {
    const line = rowBytes(columns);
    restoreRows(data.subarray(start, start + rows * (1 + line)), line, Math.max(1, bits / 8));
    for (let row = 0; row < rows; row++) {
      const from = start + row * (1 + line) + 1;
      let to = (top + row * stepY) * width + left;
      for (let column = 0; column < columns; column++, to += stepX) {
        const sample = sampleAt(data, from, column, bits);
        const id = bits === 24 ? colours!.get(sample) : sample;
        if (id === undefined) unknown.set(sample, (unknown.get(sample) ?? 0) + 1);
        else values[to] = id;
      }
    }
    start += rows * (1 + line);
  }
  for (const [colour, count] of unknown) {
    const channels = [colour >> 16, (colour >> 8) & 255, colour & 255];
    throw new DataError(
      `${count} pixels have the colour [${channels.join(", ")}], which is that of no class`,
    );
  }
  return { width, height, values, ...(palette && { palette }) };
}

function sampleAt(data: Uint8Array, from: number, column: number, bits: number): number {
  if (bits === 8) return data[from + column];
  if (bits === 16) return data[from + 2 * column] * 256 + data[from + 2 * column + 1];
  if (bits === 24) {
    const at = from + 3 * column;
    return (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
  }
  const bit = column * bits;
  return (data[from + (bit >> 3)] >> (8 - bits - (bit & 7))) & ((1 << bits) - 1);
}

/** The header, the palette and the pixels' chunks; checks the order and the checksum of all. */
function readChunks(
  bytes: Uint8Array,
  coloured: boolean,
): { header: Header; palette: Uint8Array<ArrayBuffer> | undefined; compressed: Uint8Array[] } {
  if (signature.some((byte, at) => bytes[at] !== byte)) throw new DataError("it is no PNG file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let header: Header | undefined, palette: Uint8Array<ArrayBuffer> | undefined;
  const compressed: Uint8Array[] = [];
  for (let at = signature.length;;) {
    if (at + 12 > bytes.length) throw new DataError("it ends early");
    const length = view.getUint32(at), end = at + 12 + length;
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (!/^[A-Za-z]{4}$/.test(kind)) throw new DataError("it is damaged");
    if (end > bytes.length) throw new DataError("it ends early");
    if (crc32(bytes.subarray(at + 4, end - 4)) !== view.getUint32(end - 4)) {
      throw new DataError(`it is damaged: the checksum of its part ${kind} is wrong`);
    }
    const content = bytes.subarray(at + 8, end - 4);
    at = end;
    if (kind === "IHDR" && !header) header = readHeader(content, coloured);
    else if (!header) throw new DataError("it is damaged: it does not begin with its size");
    else if (kind === "PLTE") palette = readPalette(content, header);
    else if (kind === "IDAT") compressed.push(content);
    else if (kind === "IEND") break;
    // A small letter says that a reader may pass the part over: times, texts, gamma, transparency.
    else if (kind[0] < "a") throw new DataError(`it has the part ${kind}, which is unknown`);
  }
  if (header.palette && !palette) throw new DataError("it is damaged: it has no palette");
  return { header, palette: header.palette ? palette : undefined, compressed };
}

function readHeader(content: Uint8Array, coloured: boolean): Header {
  if (content.length !== 13) throw new DataError("it is damaged");
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const width = view.getUint32(0), height = view.getUint32(4);
  const [bits, colour, compression, filter, interlace] = content.subarray(8);
  if (width === 0 || height === 0 || compression !== 0 || filter !== 0 || interlace > 1) {
    throw new DataError("it is damaged");
  }
  if (Math.max(width, height) > longestSide || width * height > mostPixels) {
    throw new DataError(
      `it has ${width} x ${height} pixels; at most ${longestSide} a side and ${mostPixels} are read`,
    );
  }
  if (colour === 2 && bits === 8 && coloured) {
    return { width, height, bits: 24, palette: false, interlaced: interlace === 1 };
  }
  if (colour in colourNames) {
    throw new DataError(
      `it has ${
        colourNames[colour]
      } where labels are one number a pixel: save class ids as gray or palette PNG`,
    );
  }
  if (!depths[colour]?.includes(bits)) throw new DataError("it is damaged");
  return { width, height, bits, palette: colour === 3, interlaced: interlace === 1 };
}

function readPalette(content: Uint8Array, { bits }: Header): Uint8Array<ArrayBuffer> {
  if (content.length % 3 !== 0 || content.length === 0 || content.length > 3 * 2 ** Math.min(8, bits)) {
    throw new DataError("it is damaged: its palette has a wrong length");
  }
  return content.slice();
}

/** Inflates to just that many bytes, never holding more: a small file may claim to hold very much. */
async function inflate(chunks: readonly Uint8Array[], length: number): Promise<Uint8Array<ArrayBuffer>> {
  // Deflate makes at most 1032 bytes of one.
  const given = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (length > 1032 * given + 1032) throw new DataError("its pixels end early");
  const data = new Uint8Array(length);
  const stream = ReadableStream.from(chunks.map((chunk) => chunk.slice()))
    .pipeThrough(new DecompressionStream("deflate"));
  const reader = stream.getReader();
  let filled = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (filled + value.length > length) throw new DataError("it has more pixels than its size says");
      data.set(value, filled);
      filled += value.length;
    }
  } catch (error) {
    reader.cancel().catch(() => {}); // the fault below is the one that matters
    if (error instanceof DataError) throw error;
    throw new DataError(filled < length ? "its pixels are damaged or end early" : "its pixels are damaged", {
      cause: error,
    });
  }
  if (filled < length) throw new DataError("its pixels end early");
  return data;
}

/** Undoes the filter of each row, in place. @param step bytes of a pixel */
function restoreRows(data: Uint8Array, line: number, step: number): void {
  for (let start = 0; start < data.length; start += line + 1) {
    const filter = data[start];
    if (filter === 0) continue;
    if (filter > 4) throw new DataError(`it is damaged: a row has the filter ${filter}`);
    const above = start - line - 1;
    for (let at = 1; at <= line; at++) {
      const left = at > step ? data[start + at - step] : 0;
      const up = start > 0 ? data[above + at] : 0;
      const corner = start > 0 && at > step ? data[above + at - step] : 0;
      data[start + at] += predict(filter, left, up, corner);
    }
  }
}

function predict(filter: number, left: number, up: number, corner: number): number {
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const toLeft = Math.abs(up - corner),
    toUp = Math.abs(left - corner),
    toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}
