/** Headers of tar archives: ustar (POSIX.1-1988), with GNU's and star's numbers in base 256. */

/** Archives are made of blocks of so many bytes. */
export const blockBytes = 512;

/** What a header's fields say, before extended headers add to it. */
export interface TarHeader {
  readonly name: string;
  /** Of the data that follow, in bytes. */
  readonly size: number;
  /** A character, see {@linkcode TarReader}; that of old archives, NUL, as "0". */
  readonly type: string;
  /** When the member was changed last, in seconds since 1970. */
  readonly modified: number;
}

/** Why bytes are no header, in words that follow "its header". */
export class HeaderFault extends Error {}

const fields = {
  name: [0, 100],
  size: [124, 136],
  modified: [136, 148],
  checksum: [148, 156],
  type: 156,
  magic: [257, 263],
  prefix: [345, 500],
} as const;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const latin1 = new TextDecoder("latin1");

/** A name in an archive, which is bytes: UTF-8, or else ASCII with `\\x` and two digits for each other byte. */
export function decodeName(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    const toText = (byte: number) => byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`;
    return Array.from(bytes, toText).join("");
  }
}

/** The bytes before the first NUL. */
export function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** Whether a block holds zeros only: two of them end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/**
 * Reads a header.
 *
 * @param block its 512 bytes
 * @throws {HeaderFault} for a wrong checksum, or a field that is no number
 */
export function parseHeader(block: Uint8Array): TarHeader {
  const field = ([start, end]: readonly [number, number]) => block.subarray(start, end);
  const checksum = parseNumber(field(fields.checksum), "checksum");
  const sums = sumBytes(block);
  if (!sums.includes(checksum)) {
    throw new HeaderFault(`says that its checksum is ${checksum}, but it is ${sums[0]}`);
  }
  const size = parseNumber(field(fields.size), "size");
  if (size < 0) throw new HeaderFault(`has the size ${size}`);
  const base = decodeName(untilNul(field(fields.name)));
  // GNU's own headers have times where POSIX's have the start of a long name.
  const isPosix = latin1.decode(field(fields.magic)) === "ustar\0";
  const prefix = isPosix ? decodeName(untilNul(field(fields.prefix))) : "";
  const type = String.fromCharCode(block[fields.type]);
  return {
    name: prefix === "" ? base : `${prefix}/${base}`,
    size,
    type: type === "\0" ? "0" : type,
    modified: parseNumber(field(fields.modified), "time"),
  };
}

/** The sum of a header's bytes, its checksum's taken as spaces; and that of signed bytes, which some old programs wrote. */
function sumBytes(block: Uint8Array): [unsigned: number, signed: number] {
  const [start, end] = fields.checksum;
  let sum = 0, high = 0;
  for (let at = 0; at < block.length; at++) {
    const byte = at >= start && at < end ? 0x20 : block[at];
    sum += byte;
    high += byte >> 7;
  }
  return [sum, sum - 256 * high];
}

/** Octal digits between spaces and NULs, or, where the first bit is set, a number in base 256 (in two's
 * complement). */
function parseNumber(field: Uint8Array, name: string): number {
  if (field[0] >= 0x80) {
    const value = Number(BigInt.asIntN(8 * (field.length - 1), BigInt(`0x${field.subarray(1).toHex()}`)));
    if (Number.isSafeInteger(value)) return value;
    throw new HeaderFault(`has the ${name} ${value}`);
  }
  const text = latin1.decode(field);
  const digits = text.replace(/^ *([0-7]*)[ \0]*$/, "$1");
  if (/^[0-7]*$/.test(digits)) return digits === "" ? 0 : Number.parseInt(digits, 8);
  throw new HeaderFault(`has the ${name} ${JSON.stringify(text)}, which is no octal number`);
}
