/** What headers before a member's own say of it: pax records (POSIX.1-2001). */
import { decodeName, HeaderFault } from "./header.ts";

/** What is said of a member beside its header, or in its place. */
export interface Extended {
  readonly name?: string;
  readonly size?: number;
  /** Holes are left out of its data. */
  readonly sparse?: boolean;
}

const space = 0x20, equals = 0x3d, newline = 0x0a;

/**
 * Reads pax records, each `LENGTH KEY=VALUE` and a newline, where LENGTH is the record's own number of bytes. What does not
 * concern names and sizes is passed over.
 *
 * @throws {HeaderFault} for records that are none
 */
export function parsePax(bytes: Uint8Array): Extended {
  let extended: Extended = {};
  for (let start = 0; start < bytes.length;) {
    const gap = bytes.indexOf(space, start);
    const digits = decodeName(bytes.subarray(start, Math.max(start, gap)));
    const end = start + Number(digits);
    if (!/^\d{1,9}$/.test(digits) || end <= gap || end > bytes.length || bytes[end - 1] !== newline) {
      throw new HeaderFault("is followed by extended records that are damaged");
    }
    const record = bytes.subarray(gap + 1, end - 1);
    const middle = record.indexOf(equals);
    if (middle < 0) throw new HeaderFault("is followed by an extended record without a value");
    extended = {
      ...extended,
      ...meaningOf(decodeName(record.subarray(0, middle)), record.subarray(middle + 1)),
    };
    start = end;
  }
  return extended;
}

function meaningOf(key: string, value: Uint8Array): Extended {
  if (key === "path") return { name: decodeName(value) };
  if (key.startsWith("GNU.sparse.")) return { sparse: true };
  if (key !== "size") return {};
  const digits = decodeName(value);
  if (/^\d{1,15}$/.test(digits)) return { size: Number(digits) };
  throw new HeaderFault(`is followed by the size ${JSON.stringify(digits)}`);
}
