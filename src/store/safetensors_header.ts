/**
 * The safetensors layout: 8 bytes little-endian header length, a JSON header padded with spaces, then the tensors'
 * bytes without gaps. Everything here is pure; src/store/safetensors.ts does the reading and writing.
 *
 * Typed arrays are in the machine's byte order, which is little-endian wherever Deno runs, as the format demands.
 */

import { DataError } from "../errors.ts";
import { blankChecksum, checksumKey, takeChecksum } from "./checksum.ts";
import { jsonFault } from "./json_shape.ts";

/** Which typed array holds the elements of each element type. F16 and BF16 are raw bits, BOOL is 0 or 1. */
export interface DtypeArrays {
  F64: Float64Array;
  F32: Float32Array;
  F16: Uint16Array;
  BF16: Uint16Array;
  I64: BigInt64Array;
  U64: BigUint64Array;
  I32: Int32Array;
  U32: Uint32Array;
  I16: Int16Array;
  U16: Uint16Array;
  I8: Int8Array;
  U8: Uint8Array;
  BOOL: Uint8Array;
}

/** An element type, by the name it has in the header. */
export type Dtype = keyof DtypeArrays;

/** A tensor with element type `D`: row-major `data` of as many elements as `shape` says. */
export interface TensorOf<D extends Dtype> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: DtypeArrays[D];
}

/** A tensor of any element type; comparing `dtype` narrows `data` to its typed array. */
export type TensorData = { [D in Dtype]: TensorOf<D> }[Dtype];

/** What the header says about one tensor. `offset` counts bytes from the start of the file. */
export interface TensorInfo {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly byteLength: number;
}

/** A file's header: tensors in the order of their bytes, and the free-form metadata. */
export interface SafetensorsHeader {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Without the checksum. */
  readonly metadata: Readonly<Record<string, string>>;
  /** SHA-256 that covers the whole file; undefined in files of other programs. See src/store/checksum.ts. */
  readonly checksum: string | undefined;
}

/** The constructor of each element type's typed array. */
export const arrayConstructors: {
  readonly [D in Dtype]: {
    readonly BYTES_PER_ELEMENT: number;
    new (buffer: ArrayBuffer): DtypeArrays[D];
  };
} = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  I32: Int32Array,
  U32: Uint32Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
};

/** The format's own bound on the header's length, in bytes. */
export const maximumHeaderBytes = 100_000_000;

/** Levels of a header: the object, its entries, a shape. */
const headerDepth = 3;

/** The header's key for the metadata, which no tensor may have. */
const metadataKey = "__metadata__";

/** The number of elements of a shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** A shape as it is printed in messages; an extent that may be anything is a question mark. */
export function formatShape(shape: readonly (number | null)[]): string {
  return `[${shape.map((extent) => extent ?? "?").join(", ")}]`;
}

/**
 * Encodes length, header and padding, and returns the order in which the tensors' bytes must follow: wide elements
 * first and names in code-unit order within a width, which keeps every tensor aligned and makes the file independent
 * of the order given.
 *
 * @throws {DataError} for a repeated or reserved name, or data that do not fit the shape.
 */
export function encodeHeader(
  path: string,
  tensors: Iterable<readonly [string, TensorData]>,
  metadata: Readonly<Record<string, string>>,
): { bytes: Uint8Array; order: TensorData[] } {
  const entries = [...tensors];
  const names = new Set<string>();
  for (const [name, tensor] of entries) {
    if (name === metadataKey || names.has(name)) {
      const reason = name === metadataKey ? "is reserved" : "is given twice";
      throw new DataError(`Cannot write ${path}: the tensor name "${name}" ${reason}.`);
    }
    names.add(name);
    checkData(path, name, tensor);
  }
  entries.sort(([nameA, a], [nameB, b]) =>
    b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT || (nameA < nameB ? -1 : 1)
  );

  const parts = entries.map(([name, { dtype, shape, data }]) => ({
    name,
    dtype,
    shape,
    byteLength: data.byteLength,
  }));
  return { bytes: formatHeader(path, parts, metadata), order: entries.map(([, tensor]) => tensor) };
}

/** A tensor as the header describes it; its bytes follow those of the one before. */
export type TensorPart = Omit<TensorInfo, "offset"> & { readonly name: string };

/**
 * Encodes length, header and padding for tensors whose bytes follow in this order, with a blank checksum.
 *
 * @param minimumBytes pads the result to at least this many bytes, a multiple of 8
 * @throws {DataError} when names and metadata are too long for the format
 */
export function formatHeader(
  path: string,
  parts: readonly TensorPart[],
  metadata: Readonly<Record<string, string>>,
  minimumBytes = 0,
): Uint8Array {
  // Built by hand because an object would move names that look like integers to the front.
  const fields: string[] = [];
  const texts: Record<string, string> = { ...metadata, [checksumKey]: blankChecksum };
  const pairs = Object.keys(texts).sort().map((key) =>
    `${JSON.stringify(key)}:${JSON.stringify(texts[key])}`
  );
  fields.push(`"${metadataKey}":{${pairs.join(",")}}`);
  let offset = 0;
  for (const { name, dtype, shape, byteLength } of parts) {
    const end = offset + byteLength;
    fields.push(
      `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [offset, end] })}`,
    );
    offset = end;
  }
  const json = new TextEncoder().encode(`{${fields.join(",")}}`);
  const headerBytes = Math.max(Math.ceil(json.byteLength / 8) * 8, minimumBytes - 8);
  if (headerBytes > maximumHeaderBytes) {
    throw new DataError(
      `Cannot write ${path}: names and metadata take ${headerBytes} bytes, the format allows ${maximumHeaderBytes}.`,
    );
  }
  const bytes = new Uint8Array(8 + headerBytes).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.set(json, 8);
  return bytes;
}

function checkData(path: string, name: string, { dtype, shape, data }: TensorData): void {
  const expected = arrayConstructors[dtype];
  const fits = isShape(shape) && data instanceof expected && data.length === elementCount(shape);
  if (fits) return;
  throw new DataError(
    `Cannot write ${path}: tensor "${name}" is declared ${dtype} ${formatShape(shape)}, ` +
      `but its data are a ${data.constructor.name} of ${data.length} elements.`,
  );
}

function isShape(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((extent) => Number.isSafeInteger(extent) && extent >= 0);
}

/**
 * Checks and decodes a header's JSON. The tensors must cover `dataBytes` bytes without gap or overlap.
 *
 * @param json the header's bytes, without the eight of its length.
 * @param fileBytes the length of the whole file.
 * @throws {DataError} when the file is none of the format, is cut short, or contradicts itself.
 */
export function decodeHeader(path: string, json: Uint8Array, fileBytes: number): SafetensorsHeader {
  const header = parseObject(path, json);
  const dataStart = 8 + json.byteLength;
  let metadata: Record<string, string> = {};
  const tensors: [string, TensorInfo][] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === metadataKey) metadata = checkMetadata(path, value);
    else tensors.push([name, decodeInfo(path, name, value, dataStart)]);
  }
  tensors.sort(([, a], [, b]) => a.offset - b.offset || a.byteLength - b.byteLength);

  let end = dataStart;
  for (const [name, info] of tensors) {
    if (info.offset !== end) {
      const relation = info.offset < end ? "overlaps the tensor before it" : "leaves a gap before it";
      throw new DataError(
        `${path} contradicts itself: tensor "${name}" starts at byte ${
          info.offset - dataStart
        } of the data and ` +
          `${relation}, which ends at ${end - dataStart}. Write the file again.`,
      );
    }
    end = info.offset + info.byteLength;
  }
  checkFileLength(path, end, fileBytes);
  return { path, tensors: new Map(tensors), ...takeChecksum(path, metadata) };
}

/**
 * @throws {DataError} when a file has fewer or more bytes than its header asks for.
 */
function checkFileLength(path: string, expected: number, actual: number): void {
  if (actual === expected) return;
  const what = actual < expected
    ? "is truncated (an interrupted copy or download?)"
    : "has bytes after its last tensor";
  throw new DataError(
    `${path} ${what}: its header asks for ${expected} bytes, the file has ${actual}. Copy or write it again.`,
  );
}

function parseObject(path: string, json: Uint8Array): Record<string, unknown> {
  let reason: string;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(json);
    const value: unknown = JSON.parse(text);
    const fault = jsonFault(text, headerDepth);
    if (isRecord(value) && fault === undefined) return value;
    reason = fault === undefined ? "its header is not a JSON object" : `of its header, ${fault}`;
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    reason = `its header is not JSON (${error.message})`;
  }
  throw new DataError(`${path} is not a safetensors file: ${reason}.`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checkMetadata(path: string, value: unknown): Record<string, string> {
  if (isRecord(value)) {
    const wrong = Object.entries(value).find(([, text]) => typeof text !== "string");
    if (wrong === undefined) return value as Record<string, string>;
    throw new DataError(
      `${path} contradicts the format: metadata "${wrong[0]}" is ${JSON.stringify(wrong[1])}, ` +
        `and only strings are allowed.`,
    );
  }
  throw new DataError(`${path} contradicts the format: its metadata are not an object of strings.`);
}

function decodeInfo(path: string, name: string, value: unknown, dataStart: number): TensorInfo {
  const { dtype, shape, data_offsets: offsets } = isRecord(value) ? value : {};
  if (typeof dtype !== "string" || !isShape(shape) || !isShape(offsets) || offsets.length !== 2) {
    throw new DataError(
      `${path} contradicts the format: tensor "${name}" needs dtype, shape and data_offsets, ` +
        `and is described as ${JSON.stringify(value)}.`,
    );
  }
  if (!Object.hasOwn(arrayConstructors, dtype)) {
    throw new DataError(
      `${path}: tensor "${name}" has the element type ${dtype}, which is not supported. ` +
        `Supported are ${Object.keys(arrayConstructors).join(", ")}: convert it before.`,
    );
  }
  const [begin, end] = offsets;
  const byteLength = elementCount(shape) * arrayConstructors[dtype as Dtype].BYTES_PER_ELEMENT;
  if (end - begin !== byteLength) {
    throw new DataError(
      `${path} contradicts itself: tensor "${name}" is ${dtype} ${formatShape(shape)}, which takes ` +
        `${byteLength} bytes, but its data_offsets ${formatShape(offsets)} hold ${
          end - begin
        }. Write the file again.`,
    );
  }
  return { dtype: dtype as Dtype, shape, offset: dataStart + begin, byteLength };
}
