/** Reading `.npz` by the formats' words, for tests: every checksum and both of zip's headers are looked at. */
import { assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";

/** An array of numbers or texts. */
export interface NpzArray {
  readonly descr: string;
  readonly shape: readonly number[];
  readonly values: readonly (number | string)[];
}

/** The arrays of a file by name, in the order of its directory. */
export async function readNpz(path: string): Promise<Map<string, NpzArray>> {
  const bytes = await Deno.readFile(path);
  const view = new DataView(bytes.buffer);
  const text = (at: number, length: number) => new TextDecoder().decode(bytes.subarray(at, at + length));
  let end = bytes.length - 22;
  while (view.getUint32(end, true) !== 0x06054b50) end--;
  assertEquals(end + 22 + view.getUint16(end + 20, true), bytes.length);
  const arrays = new Map<string, NpzArray>();
  let at = view.getUint32(end + 16, true);
  for (let entry = 0; entry < view.getUint16(end + 10, true); entry++) {
    assertEquals(view.getUint32(at, true), 0x02014b50);
    const length = view.getUint16(at + 28, true);
    const local = view.getUint32(at + 42, true);
    assertEquals(view.getUint32(local, true), 0x04034b50);
    // Version, flags, method, time, checksum, sizes, length of the name: the same in both headers.
    assertEquals(bytes.subarray(at + 6, at + 32), bytes.subarray(local + 4, local + 30));
    const size = view.getUint32(at + 24, true);
    const start = local + 30 + length;
    const contents = bytes.slice(start, start + size);
    assertEquals(crc32(contents), view.getUint32(at + 16, true));
    arrays.set(text(at + 46, length).replace(/\.npy$/, ""), readArray(contents));
    at += 46 + length;
  }
  assertEquals(at, end);
  return arrays;
}

function readArray(bytes: Uint8Array<ArrayBuffer>): NpzArray {
  assertEquals(bytes.subarray(0, 8), Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0));
  const start = 10 + new DataView(bytes.buffer).getUint16(8, true);
  assertEquals(start % 64, 0);
  const head = new TextDecoder().decode(bytes.subarray(10, start));
  const [, descr, dimensions] = /^\{'descr': '([^']+)', 'fortran_order': False, 'shape': \(([^)]*)\), \} *\n$/
    .exec(head)!;
  const shape = dimensions.split(",").filter((size) => size.trim() !== "").map(Number);
  const data = bytes.slice(start).buffer;
  if (descr === "<f4") return { descr, shape, values: [...new Float32Array(data)] };
  if (descr === "<i4") return { descr, shape, values: [...new Int32Array(data)] };
  const width = Number(descr.slice(2));
  const points = new Uint32Array(data);
  const values = Array.from(
    { length: points.length / width },
    (_, row) => String.fromCodePoint(...points.subarray(row * width, (row + 1) * width)).replace(/\0+$/, ""),
  );
  return { descr, shape, values };
}
