/** Writes tar archives, also such as no program would. */

/** A member; fields of its header that are not given follow from the others. */
export interface Entry {
  readonly name: string | Uint8Array;
  readonly data?: Uint8Array | string;
  /** Default "0", a file. */
  readonly type?: string;
  /** The bytes of the field, where it does not say the length of the data in octal digits. */
  readonly size?: Uint8Array | string;
  /** In seconds since 1970. */
  readonly modified?: number;
  /** Added to the checksum. */
  readonly checksumError?: number;
}

const block = 512;
const toBytes = (text: Uint8Array | string) =>
  typeof text === "string" ? new TextEncoder().encode(text) : text;

/** An archive in ustar's format. */
export function tarOf(entries: readonly Entry[], end = 2 * block): Uint8Array<ArrayBuffer> {
  const parts = entries.flatMap((entry) => {
    const data = toBytes(entry.data ?? "");
    const padded = new Uint8Array(Math.ceil(data.length / block) * block);
    padded.set(data);
    return [headerOf(entry, data.length), padded];
  });
  return new Uint8Array(concatenate([...parts, new Uint8Array(end)]));
}

/** A member's header; its data have `length` bytes. */
export function headerOf(entry: Entry, length: number): Uint8Array {
  const header = new Uint8Array(block);
  const put = (start: number, value: Uint8Array | string) => header.set(toBytes(value), start);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  put(0, entry.name);
  put(100, "0000644\x000000000\x000000000\x00");
  put(124, entry.size ?? `${octal(length, 11)}\0`);
  put(136, `${octal(entry.modified ?? 0, 11)}\0`);
  put(148, " ".repeat(8));
  put(156, entry.type ?? "0");
  put(257, "ustar\x0000");
  const sum = header.reduce((sum, byte) => sum + byte, 0) + (entry.checksumError ?? 0);
  put(148, `${octal(sum, 6)}\0 `);
  return header;
}

/** A header of pax records for the member behind it, or with type "g" for all. */
export function paxEntry(records: Readonly<Record<string, string>>, type = "x"): Entry {
  const data = Object.entries(records).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    const bytes = new TextEncoder().encode(rest).length;
    let length = bytes;
    while (String(length).length + bytes !== length) length = String(length).length + bytes;
    return length + rest;
  }).join("");
  return { name: "pax", type, data };
}

/** Bytes behind each other. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
