import { ConfigurationError, DataError } from "../errors.ts";
import { openSafetensors, type SafetensorsFile } from "../store/safetensors.ts";
import { statPath } from "./path.ts";
import type { TensorSource } from "./source.ts";

async function readLabels(file: SafetensorsFile, length: number): Promise<Int32Array | undefined> {
  const found = file.tensors.get("labels");
  if (!found) return undefined;
  const { data } = await file.readExpected("labels", found.dtype === "I64" ? "I64" : "I32", [length]);
  const labels = Int32Array.from(data, Number);
  const wrong = labels.findIndex((label, index) => label < 0 || label !== Number(data[index]));
  if (wrong >= 0) {
    throw new DataError(
      `${file.path}: label ${wrong} is ${data[wrong]}; labels are class numbers from 0 to 2147483647`,
    );
  }
  return labels;
}

/**
 * Opens a safetensors file with `images` F32 [N, 3, H, W], used as they are, and optionally `labels` I32 or I64 [N].
 *
 * @throws ConfigurationError when the file is missing or a folder
 * @throws DataError when it is no safetensors file or its tensors are others
 */
export async function openTensorFile(name: string, path: string): Promise<TensorSource> {
  const status = await statPath(path, "give tensor: a .safetensors file");
  if (!status.isFile) throw new ConfigurationError(`"${path}" is no file; give tensor: a .safetensors file`);
  using file = await openSafetensors(path);
  const images = await file.readExpected("images", "F32", [null, 3, null, null]);
  const [length, , height, width] = images.shape;
  if (images.data.length === 0) {
    throw new DataError(`${path}: tensor "images" is empty ([${images.shape.join(", ")}])`);
  }
  const labels = await readLabels(file, length);
  return {
    kind: "tensor",
    name,
    length,
    labels,
    skipped: [],
    channels: 3,
    height,
    width,
    images: images.data,
    close: () => {},
  };
}
