/**
 * Reading and writing `.safetensors` files. The layout itself is in src/store/safetensors_header.ts.
 */

import { DataError } from "../errors.ts";
import { writeAll, writeAtomically } from "./atomic_file.ts";
import { FileChecksum } from "./checksum.ts";
import { readFull } from "./read_full.ts";
import {
  arrayConstructors,
  decodeHeader,
  type Dtype,
  encodeHeader,
  formatShape,
  maximumHeaderBytes,
  type SafetensorsHeader,
  type TensorData,
  type TensorInfo,
  type TensorOf,
} from "./safetensors_header.ts";

export type { Dtype, SafetensorsHeader, TensorData, TensorInfo, TensorOf };

/** A whole file in memory. */
export interface SafetensorsContents {
  readonly path: string;
  readonly tensors: Map<string, TensorData>;
  readonly metadata: Readonly<Record<string, string>>;
  /** As in {@linkcode SafetensorsHeader}. */
  readonly checksum: string | undefined;
}

/**
 * An open file whose tensors are read one at a time, so that the file may be larger than memory. Close it, or declare
 * it with `using`. Open one with {@linkcode openSafetensors}.
 */
export class SafetensorsFile implements SafetensorsHeader, Disposable {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly checksum: string | undefined;
  readonly #file: Deno.FsFile;
  /** The read under way. Reads share the file's position, so each waits for the one before. */
  #previous: Promise<unknown> = Promise.resolve();

  /** Takes over an open file; {@linkcode openSafetensors} is the way to get one. */
  constructor(file: Deno.FsFile, header: SafetensorsHeader) {
    this.#file = file;
    this.path = header.path;
    this.tensors = header.tensors;
    this.metadata = header.metadata;
    this.checksum = header.checksum;
  }

  /** The tensors' names, in the order of their bytes. */
  get names(): string[] {
    return [...this.tensors.keys()];
  }

  /**
   * Element type, shape and place of a tensor.
   *
   * @throws {DataError} when the file has no such tensor.
   */
  info(name: string): TensorInfo {
    return findTensor(this, name);
  }

  /**
   * Reads one tensor.
   *
   * @throws {DataError} when the file has no such tensor or ends too early.
   */
  read(name: string): Promise<TensorData> {
    const info = this.info(name);
    const reading = this.#previous.then(() => this.#readTensor(info));
    // A failed read is reported to its own caller; the next one must not inherit it.
    this.#previous = reading.then(() => {}, () => {});
    return reading;
  }

  /**
   * Reads one tensor that must have this element type and shape, as {@linkcode expectTensor} checks them.
   *
   * @throws {DataError} when the file has no such tensor, has it otherwise, or ends too early.
   */
  async readExpected<D extends Dtype>(
    name: string,
    dtype: D,
    shape: readonly (number | null)[],
  ): Promise<TensorOf<D>> {
    expectTensor(this, name, dtype, shape);
    return await this.read(name) as TensorData & TensorOf<D>;
  }

  /** Closes the file. */
  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #readTensor(info: TensorInfo): Promise<TensorData> {
    const bytes = new Uint8Array(info.byteLength);
    try {
      await this.#file.seek(info.offset, Deno.SeekMode.Start);
      await readAll(this.#file, this.path, bytes);
    } catch (error) {
      throw asReadError(this.path, error);
    }
    // The constructor belongs to the dtype, which the compiler cannot follow through the table.
    return {
      dtype: info.dtype,
      shape: info.shape,
      data: new arrayConstructors[info.dtype](bytes.buffer),
    } as TensorData;
  }
}

/**
 * Opens a file and checks its header, its length and, where it has one, the checksum of all its bytes; tensors are read
 * on demand.
 *
 * @throws {DataError} when the file cannot be opened, is no safetensors file, is truncated or damaged, has tensors that
 * overlap or do not fit their shapes, or an element type that is not supported.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await openForReading(path);
  try {
    const { header, bytes } = await readHeader(file, path);
    if (header.checksum !== undefined) await verify(file, path, bytes, header.checksum);
    return new SafetensorsFile(file, header);
  } catch (error) {
    file.close();
    throw asReadError(path, error);
  }
}

/**
 * Reads the header only: names, element types, shapes and metadata, checked against the file's length, not against the
 * checksum.
 *
 * @throws {DataError} as {@linkcode openSafetensors}.
 */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  using file = await openForReading(path);
  try {
    return (await readHeader(file, path)).header;
  } catch (error) {
    throw asReadError(path, error);
  }
}

/** Bytes that are read at once while a checksum is taken. */
const blockBytes = 4 * 2 ** 20;

/** Reads the tensors' bytes, which follow the header, and compares the checksum. */
async function verify(file: Deno.FsFile, path: string, header: Uint8Array, stored: string): Promise<void> {
  const checksum = new FileChecksum();
  const block = new Uint8Array(blockBytes);
  await file.seek(header.byteLength, Deno.SeekMode.Start);
  for (let count; (count = await file.read(block)) !== null;) checksum.add(block.subarray(0, count));
  if (checksum.matches(header, stored)) return;
  throw new DataError(
    `${path} is damaged: its bytes do not have the checksum that it was written with (a failing disk, an edited or ` +
      `badly copied file?). Copy it again from where it is whole.`,
  );
}

/** What the file system reports while a file is read, as a {@linkcode DataError}; other errors as they are. */
function asReadError(path: string, error: unknown): unknown {
  if (!(error instanceof Error && "code" in error && typeof error.code === "string")) return error;
  return new DataError(`Cannot read ${path}: ${error.message}.`, { cause: error });
}

/**
 * Reads a whole file.
 *
 * @throws {DataError} as {@linkcode openSafetensors}.
 */
export async function readSafetensors(path: string): Promise<SafetensorsContents> {
  using file = await openSafetensors(path);
  const tensors = new Map<string, TensorData>();
  for (const name of file.names) tensors.set(name, await file.read(name));
  return { path, tensors, metadata: file.metadata, checksum: file.checksum };
}

/**
 * Writes a file atomically, straight from the tensors' arrays. The same tensors and metadata give the same bytes,
 * in whatever order they come.
 *
 * @throws {DataError} when names repeat, data do not fit their shapes, or the file system refuses.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, TensorData]>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { bytes, order } = encodeHeader(path, tensors, metadata);
  const parts = order.map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  const checksum = new FileChecksum();
  for (const part of parts) checksum.add(part);
  checksum.seal(bytes);
  await writeAtomically(path, async (file) => {
    for (const part of [bytes, ...parts]) await writeAll(file, part);
  });
}

/**
 * Finds a tensor and checks its element type and shape; works on a header, an open file and a file in memory alike,
 * and returns that one's entry.
 *
 * @param shape the extents that are allowed; null stands for any.
 * @throws {DataError} naming the tensor, what was found and what was expected.
 */
export function expectTensor<D extends Dtype, T extends { dtype: Dtype; shape: readonly number[] }>(
  file: { readonly path: string; readonly tensors: ReadonlyMap<string, T> },
  name: string,
  dtype: D,
  shape: readonly (number | null)[],
): T & { readonly dtype: D } {
  const found = findTensor(file, name);
  const sameShape = found.shape.length === shape.length &&
    shape.every((extent, axis) => extent === null || extent === found.shape[axis]);
  if (found.dtype === dtype && sameShape) return found as T & { readonly dtype: D };
  throw new DataError(
    `${file.path}: tensor "${name}" is ${found.dtype} ${formatShape(found.shape)}, ` +
      `expected ${dtype} ${formatShape(shape)}.`,
  );
}

function findTensor<T>(file: { path: string; tensors: ReadonlyMap<string, T> }, name: string): T {
  const found = file.tensors.get(name);
  if (found !== undefined) return found;
  const names = [...file.tensors.keys()];
  const listed = names.slice(0, 8).join(", ") + (names.length > 8 ? `, … (${names.length} in all)` : "");
  throw new DataError(`${file.path} has no tensor "${name}". It has ${listed || "none"}.`);
}

async function openForReading(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { read: true });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const reason = error instanceof Deno.errors.NotFound ? "there is no such file" : error.message;
    throw new DataError(`Cannot open ${path}: ${reason}. Check the path.`, { cause: error });
  }
}

/** @returns the header, and the bytes of length, JSON and padding */
async function readHeader(
  file: Deno.FsFile,
  path: string,
): Promise<{ header: SafetensorsHeader; bytes: Uint8Array }> {
  const status = await file.stat();
  if (!status.isFile) throw new DataError(`${path} is a folder, expected a safetensors file.`);
  const fileBytes = status.size;
  // The length and the header's first character, which tells a damaged file from one of another kind.
  const start = new Uint8Array(9);
  if (fileBytes < start.byteLength) {
    throw new DataError(
      `${path} is not a safetensors file: it has ${fileBytes} bytes, too few to hold a header.`,
    );
  }
  await readAll(file, path, start);
  const headerBytes = Number(new DataView(start.buffer).getBigUint64(0, true));
  if (start[8] !== "{".charCodeAt(0) || headerBytes > maximumHeaderBytes) {
    throw new DataError(`${path} is not a safetensors file: it does not start with the format's header.`);
  }
  if (8 + headerBytes > fileBytes) {
    throw new DataError(
      `${path} is truncated (an interrupted copy or download?): its header alone takes ${
        8 + headerBytes
      } bytes, ` +
        `the file has ${fileBytes}. Copy or write it again.`,
    );
  }
  const bytes = new Uint8Array(8 + headerBytes);
  await file.seek(0, Deno.SeekMode.Start);
  await readAll(file, path, bytes);
  return { header: decodeHeader(path, bytes.subarray(8), fileBytes), bytes };
}

async function readAll(file: Deno.FsFile, path: string, bytes: Uint8Array): Promise<void> {
  const filled = await readFull(file, bytes);
  if (filled === bytes.byteLength) return;
  throw new DataError(
    `${path} became shorter while it was read: ${filled} of ${bytes.byteLength} bytes came. ` +
      `Try again when nothing writes to it.`,
  );
}
