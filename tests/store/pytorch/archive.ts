/** Archives as torch.save writes them, and as it never would, made byte by byte. */
import { crc32 } from "node:zlib";

/** An entry of an archive; what is given beside name and bytes is written in place of what is right. */
export interface Entry {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly method?: number;
  readonly checksum?: number;
  readonly byteLength?: number;
  readonly offset?: number;
  readonly flags?: number;
}

const text = new TextEncoder();

/** A zip archive of stored entries. */
export function archive(entries: readonly Entry[], comment = ""): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [], directory: Uint8Array[] = [];
  let at = 0;
  for (const { name, bytes, method = 0, checksum, byteLength, offset, flags = 0 } of entries) {
    const encoded = text.encode(name);
    const local = numbers([4, 0x04034b50], [2, 20], [2, flags], [2, method], [4, 0], [4, 0], [4, 0], [4, 0], [
      2,
      encoded.length,
    ], [2, 0]);
    const length = byteLength ?? bytes.length;
    directory.push(
      numbers(
        ...[[4, 0x02014b50], [2, 20], [2, 20], [2, flags], [2, method], [4, 0]] as const,
        ...[[4, checksum ?? crc32(bytes)], [4, length], [4, length], [2, encoded.length]] as const,
        ...[[2, 0], [2, 0], [2, 0], [2, 0], [4, 0], [4, offset ?? at]] as const,
      ),
      encoded,
    );
    parts.push(local, encoded, bytes);
    at += local.length + encoded.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const count = entries.length;
  const end = numbers([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, at], [
    2,
    comment.length,
  ]);
  return join(...parts, ...directory, end, text.encode(comment));
}

/** Little-endian numbers of some bytes each. */
export function numbers(...values: (readonly [bytes: number, value: number])[]): Uint8Array {
  return Uint8Array.from(
    values.flatMap(([bytes, value]) =>
      Array.from({ length: bytes }, (_, index) => Math.floor(value / 256 ** index) % 256)
    ),
  );
}

/** Bytes behind one another. */
export function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** A pickle: operations as Latin-1 characters, or texts and numbers that are pushed. */
export function pickle(...operations: (string | { push: string | number })[]): Uint8Array<ArrayBuffer> {
  return join(...operations.map((operation) => {
    if (typeof operation === "string") {
      return Uint8Array.from(operation, (character) => character.charCodeAt(0));
    }
    const { push } = operation;
    if (typeof push === "number") {
      // As LONG1 of eight bytes, which takes numbers of any size.
      return join(Uint8Array.of(0x8a, 8), new Uint8Array(BigInt64Array.of(BigInt(push)).buffer));
    }
    const encoded = text.encode(push);
    return join(Uint8Array.of(0x58), numbers([4, encoded.length]), encoded);
  }));
}

/** What describes a tensor; what is given is written in place of what is right. */
export interface TensorFields {
  readonly kind?: string;
  readonly key?: string;
  readonly length?: number;
  readonly offset?: number;
  readonly shape?: readonly number[];
  readonly strides?: readonly number[];
}

/** The pickle of a state dict with a tensor `x` [2, 3]. */
export function stateDict(fields: TensorFields = {}): Uint8Array<ArrayBuffer> {
  const { kind = "Float", key = "0", length = 6, offset = 0, shape = [2, 3], strides = [3, 1] } = fields;
  const tuple = (values: readonly number[]) => ["(", ...values.map((push) => ({ push })), "t"];
  return pickle(
    ...["\x80\x02", "}", { push: "x" }, "ctorch._utils\n_rebuild_tensor_v2\n", "("],
    ...["(", { push: "storage" }, `ctorch\n${kind}Storage\n`, { push: key }, { push: "cpu" }, {
      push: length,
    }],
    ...["t", "Q", { push: offset }, ...tuple(shape), ...tuple(strides), "\x89", "}", "t", "R", "s", "."],
  );
}

/** The entries of a file with the tensor `x` of {@linkcode stateDict}: 0, 1, …, 5. */
export function entriesOf(fields: TensorFields = {}): Entry[] {
  return [
    { name: "a/data.pkl", bytes: stateDict(fields) },
    { name: "a/data/0", bytes: new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer) },
    { name: "a/version", bytes: text.encode("3\n") },
  ];
}
