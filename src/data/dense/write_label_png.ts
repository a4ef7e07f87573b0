/** Writing labels, e.g. predictions, as PNG files that keep their ids. */
import { DataError, ShapeError } from "../../errors.ts";
import { crc32 } from "./crc32.ts";

/**
 * Writes ids as PNG: as indices of a palette where one is given, so that viewers show colours, else as gray of 8 or 16 bits.
 *
 * @param values [height, width]
 * @param palette red, green, blue of each id
 * @throws {ShapeError} for another number of values
 * @throws {DataError} for an id beyond the palette, or a palette of more than 256 colours
 */
export async function encodeLabelPng(
  values: Uint8Array | Uint16Array,
  width: number,
  height: number,
  palette?: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  if (values.length !== width * height || values.length === 0) {
    throw new ShapeError(`a label of ${width} x ${height} pixels cannot have ${values.length} values`);
  }
  if (palette) checkPalette(values, palette);
  const bytes = palette || values instanceof Uint8Array ? 1 : 2;
  const rows = new Uint8Array(height * (1 + bytes * width));
  for (let row = 0, to = 0; row < height; row++) {
    to++; // each row says first that it is stored as it is
    for (let column = 0; column < width; column++) {
      const value = values[row * width + column];
      if (bytes === 2) rows[to++] = value >> 8;
      rows[to++] = value & 0xff;
    }
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8 * bytes, palette ? 3 : 0], 8);
  const stream = ReadableStream.from([rows]).pipeThrough(new CompressionStream("deflate"));
  const compressed = new Uint8Array(await new Response(stream).arrayBuffer());
  return joinBytes([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk("IHDR", header),
    ...(palette ? [chunk("PLTE", palette)] : []),
    chunk("IDAT", compressed),
    chunk("IEND", new Uint8Array()),
  ]);
}

function checkPalette(values: Uint8Array | Uint16Array, palette: Uint8Array): void {
  const colours = palette.length / 3;
  if (!Number.isInteger(colours) || colours < 1 || colours > 256) {
    throw new DataError(`a palette has 1 to 256 colours of three bytes, not ${palette.length} bytes`);
  }
  const beyond = values.find((value) => value >= colours);
  if (beyond !== undefined) throw new DataError(`id ${beyond} has no colour in a palette of ${colours}`);
}

function chunk(kind: string, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(new TextEncoder().encode(kind), 4);
  bytes.set(content, 8);
  view.setUint32(8 + content.length, crc32(bytes.subarray(4, 8 + content.length)));
  return bytes;
}

function joinBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * The palette of 256 colours that PASCAL VOC's labels have, and that many others borrow: the bits of the id, from the low
 * ones on, go to red, green and blue in turn, high bits of the colours first.
 */
export function standardPalette(): Uint8Array<ArrayBuffer> {
  const palette = new Uint8Array(3 * 256);
  for (let id = 0; id < 256; id++) {
    for (let bit = 0; bit < 8; bit++) {
      palette[3 * id + bit % 3] |= ((id >> bit) & 1) << (7 - Math.floor(bit / 3));
    }
  }
  return palette;
}
