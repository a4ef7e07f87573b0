import { DataError } from "../errors.ts";
import { statPath, trimSlashes } from "./path.ts";
import type { DecodedImage, ImageSource } from "./image_set.ts";

const side = 32;
const plane = side * side;
const recordBytes = 1 + 3 * plane;

/** CIFAR-10's class names, in the order of its labels. */
export const cifar10Classes: readonly string[] = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
];

async function filesOf(path: string): Promise<string[]> {
  const status = await statPath(
    path,
    "give cifar10: the folder with data_batch_1.bin … data_batch_5.bin, or one .bin file",
  );
  if (status.isFile) return [path];
  const names: string[] = [];
  for await (const entry of Deno.readDir(path)) names.push(entry.name);
  const batches = names.filter((name) => /^data_batch_\d+\.bin$/.test(name));
  if (batches.length === 0) {
    throw new DataError(
      `folder "${path}" holds no data_batch_*.bin; unpack CIFAR-10's binary version (cifar-10-binary.tar.gz), or name ` +
        `one file, e.g. cifar10:${path}/test_batch.bin`,
    );
  }
  const order = (name: string) => Number(name.match(/\d+/)![0]);
  return batches.sort((a, b) => order(a) - order(b)).map((name) => `${path}/${name}`);
}

async function readRecords(file: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(file);
  } catch (error) {
    throw new DataError(`cannot read "${file}": ${(error as Error).message}`);
  }
  if (bytes.length === 0 || bytes.length % recordBytes !== 0) {
    throw new DataError(
      `"${file}" has ${bytes.length} bytes, which is no multiple of ${recordBytes} (a label and 32x32x3 pixels): it is ` +
        `truncated or not in CIFAR-10's binary format; download it again`,
    );
  }
  for (let start = 0; start < bytes.length; start += recordBytes) {
    if (bytes[start] >= cifar10Classes.length) {
      throw new DataError(
        `"${file}": image ${start / recordBytes} has label ${
          bytes[start]
        }, allowed are 0 to 9; this is not a file of ` +
          `CIFAR-10's binary version (CIFAR-100 has another format)`,
      );
    }
  }
  return bytes;
}

function toImage(record: Uint8Array): DecodedImage {
  const pixels = new Uint8Array(4 * plane);
  for (let i = 0; i < plane; i++) {
    pixels[4 * i] = record[1 + i];
    pixels[4 * i + 1] = record[1 + plane + i];
    pixels[4 * i + 2] = record[1 + 2 * plane + i];
    pixels[4 * i + 3] = 255;
  }
  return { width: side, height: side, pixels };
}

/**
 * Opens CIFAR-10's binary version: of a folder all `data_batch_*.bin` in the order of their numbers (the 50 000
 * training images), or the one file that `path` names, e.g. `DIR/test_batch.bin`.
 *
 * @throws ConfigurationError when `path` is missing
 * @throws DataError when there are no such files or they have another format
 */
export async function openCifar10(name: string, path: string): Promise<ImageSource> {
  const files: Uint8Array[] = [];
  for (const file of await filesOf(trimSlashes(path))) files.push(await readRecords(file));
  let records = files.flatMap((bytes) =>
    Array.from(
      { length: bytes.length / recordBytes },
      (_, i) => bytes.subarray(i * recordBytes, (i + 1) * recordBytes),
    )
  );
  return {
    kind: "images",
    name,
    length: records.length,
    labels: Int32Array.from(records, (record) => record[0]),
    classes: cifar10Classes,
    skipped: [],
    load: (indices) => Promise.resolve(indices.map((index) => toImage(records[index]))),
    release: () => {
      records = [];
    },
  };
}
