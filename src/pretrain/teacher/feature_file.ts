/** A teacher's features in a file: a row an image, as `deno task embed` or Python writes them. */
import { DataError } from "../../errors.ts";
import { openSafetensors, readSafetensorsHeader, type SafetensorsFile } from "../../store/safetensors.ts";
import { sha256Hex } from "../../store/digest.ts";

/** The images that features are wanted of. */
export interface TaughtImages {
  /** The specification, for messages. */
  readonly source: string;
  /** Number of images, unreadable ones among them. */
  readonly length: number;
  /** Path of each image within the set, where each has a file. */
  readonly files: readonly string[] | undefined;
  /** Those that are trained on: each must have features. */
  readonly train: Uint32Array;
}

/** Features of images. */
export interface TeacherFeatures {
  readonly dimension: number;
  /** Of what is known of each image; the same for the same features, in whatever order the file has them. */
  readonly digest: string;
  /** On the host. */
  readonly byteLength: number;
  /** Rows of some images, one after the other. */
  rows(images: Uint32Array): Float32Array<ArrayBuffer>;
}

/** Images of a piece that is digested at once. */
const imagesPerPiece = 4096;

/**
 * Dimension of a file's features.
 * @throws {DataError} for a file that cannot be read or holds none
 */
export async function featureDimension(path: string): Promise<number> {
  const { tensors } = await readSafetensorsHeader(path);
  const shape = tensors.get("features")?.shape;
  if (shape?.length === 2 && shape[1] > 0) return shape[1];
  const found = [...tensors].map(([name, { shape }]) => `${name} [${shape.join(", ")}]`).join(", ");
  throw new DataError(`${path} has no tensor "features" F32 [N, D]. It has ${found || "none"}.`);
}

/**
 * Reads a file. Rows belong to images by name where the file's metadata have a JSON list `files` and the images are files;
 * else by the tensor `indices` I32 [N], which `embed` writes; else in the order of the images, one each.
 *
 * @throws {DataError} for rows that cannot be told to belong to the images, that lack, or that hold no direction
 */
export async function readFeatures(path: string, images: TaughtImages): Promise<TeacherFeatures> {
  using file = await openSafetensors(path);
  const { data, shape: [count, dimension] } = await file.readExpected("features", "F32", [null, null]);
  const values = data as Float32Array<ArrayBuffer>;
  const names = namesIn(file, count);
  const rowOf = await assignRows(file, count, names, images);
  const nameOf = (image: number) =>
    images.files ? `image ${image} ("${images.files[image]}")` : `image ${image}`;
  const missing = images.train.find((image) => rowOf[image] < 0);
  if (missing !== undefined) {
    const without = images.train.reduce((sum, image) => sum + (rowOf[image] < 0 ? 1 : 0), 0);
    throw new DataError(
      `${path} has no row for ${nameOf(missing)} of ${images.source}, and for ${without} of the ` +
        `${images.train.length} training images in all. Make the features of all of them.`,
    );
  }
  expectDirections(path, values, dimension, names);
  const rows = (wanted: Uint32Array) => {
    const result = new Float32Array(wanted.length * dimension);
    wanted.forEach((image, at) => {
      const row = rowOf[image];
      if (row >= 0) result.set(values.subarray(row * dimension, (row + 1) * dimension), at * dimension);
    });
    return result;
  };
  return {
    dimension,
    digest: await digestOf(images.length, dimension, rows),
    byteLength: values.byteLength,
    rows,
  };
}

/** The names that a file gives its rows. */
function namesIn({ path, metadata }: SafetensorsFile, count: number): readonly string[] | undefined {
  if (metadata.files === undefined) return undefined;
  let names: unknown;
  try {
    names = JSON.parse(metadata.files);
  } catch (error) {
    throw new DataError(`${path}: its metadata "files" are no JSON list.`, { cause: error });
  }
  if (Array.isArray(names) && names.length === count && names.every((name) => typeof name === "string")) {
    return names.map(plainPath);
  }
  throw new DataError(`${path}: its metadata "files" must list ${count} names, one a row of "features".`);
}

function plainPath(name: string): string {
  return name.replaceAll("\\", "/").replace(/^(\.\/)+/, "");
}

/** Which row belongs to each image, [images]; -1 for none. */
async function assignRows(
  file: SafetensorsFile,
  count: number,
  names: readonly string[] | undefined,
  { source, length, files }: TaughtImages,
): Promise<Int32Array> {
  const { path, metadata: { sourceImages } } = file;
  if (names && files) return rowsByName(path, names, source, files);
  if (file.tensors.has("indices")) {
    if (sourceImages !== undefined && Number(sourceImages) !== length) {
      throw new DataError(
        `${path} has features of ${sourceImages} images; ${source} has ${length}. Make the features of these images.`,
      );
    }
    const { data } = await file.readExpected("indices", "I32", [count]);
    const rowOf = new Int32Array(length).fill(-1);
    data.forEach((image, row) => {
      if (image >= 0 && image < length && rowOf[image] < 0) rowOf[image] = row;
      else {
        throw new DataError(
          `${path}: row ${row} is of image ${image}, ${
            image >= 0 && image < length
              ? "of which there is a row already"
              : `but ${source} has ${length} images`
          }.`,
        );
      }
    });
    return rowOf;
  }
  if (count === length) return Int32Array.from({ length }, (_, image) => image);
  throw new DataError(
    `${path} has ${count} rows, and ${source} has ${length} images. Without names (metadata "files") or "indices", there ` +
      "must be a row for each image, in their order (folders: sorted paths).",
  );
}

function rowsByName(
  path: string,
  names: readonly string[],
  source: string,
  files: readonly string[],
): Int32Array {
  const rows = new Map<string, number>();
  for (const [row, name] of names.entries()) {
    if (rows.has(name)) {
      throw new DataError(`${path}: rows ${rows.get(name)} and ${row} are both of "${name}".`);
    }
    rows.set(name, row);
  }
  const rowOf = Int32Array.from(files, (name) => rows.get(name) ?? -1);
  if (rowOf.some((row) => row >= 0)) return rowOf;
  throw new DataError(
    `${path} names none of the images of ${source}: its first row is of "${names[0]}", the first image is "${
      files[0]
    }". ` +
      "Names are paths within the folder of the images.",
  );
}

/** Refuses rows that point nowhere. */
function expectDirections(
  path: string,
  values: Float32Array,
  dimension: number,
  names: readonly string[] | undefined,
): void {
  for (let row = 0; row * dimension < values.length; row++) {
    const part = values.subarray(row * dimension, (row + 1) * dimension);
    const wrong = part.findIndex((value) => !Number.isFinite(value));
    const name = names ? ` ("${names[row]}")` : "";
    if (wrong >= 0) {
      throw new DataError(`${path}: row ${row}${name} has the value ${part[wrong]} in column ${wrong}.`);
    }
    if (part.every((value) => value === 0)) {
      throw new DataError(`${path}: row ${row}${name} is zero, which has no direction to learn.`);
    }
  }
}

async function digestOf(
  length: number,
  dimension: number,
  rows: (images: Uint32Array) => Float32Array<ArrayBuffer>,
): Promise<string> {
  const pieces: string[] = [`${length} x ${dimension}`];
  for (let first = 0; first < length; first += imagesPerPiece) {
    const images = Uint32Array.from(
      { length: Math.min(imagesPerPiece, length - first) },
      (_, at) => first + at,
    );
    pieces.push(await sha256Hex(rows(images)));
  }
  return (await sha256Hex(new TextEncoder().encode(pieces.join()))).slice(0, 32);
}

/**
 * Refuses features other than those that a run began with, with a {@linkcode DataError}.
 * @param recorded digest of those; null for a run that begins
 */
export function expectFeatures(teacher: string, { digest }: TeacherFeatures, recorded: string | null): void {
  if (recorded === null || recorded === digest) return;
  throw new DataError(
    `distillation.teacher (${teacher}) no longer gives the features that the run began with: their digest is ${digest}, ` +
      `distillation.digest is ${recorded}. Restore the file, or start a new run.`,
  );
}
