import { ConfigurationError, DataError } from "../errors.ts";
import { openSafetensors, type SafetensorsFile } from "../store/safetensors.ts";
import { recordsOrigin, statPath } from "./path.ts";
import type { ImageSource, TensorSource } from "./image_set.ts";

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

/** A pixel that is not finite makes weights that are not, and shows only much later. */
function expectFinite(path: string, { data, shape }: { data: Float32Array; shape: readonly number[] }): void {
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  const [, channels, height, width] = shape;
  const row = Math.floor(at / width), plane = Math.floor(row / height);
  throw new DataError(
    `${path}: image ${Math.floor(plane / channels)} has the value ${data[at]} in channel ${
      plane % channels
    }, row ` +
      `${row % height}, column ${at % width}. Network inputs must be finite; mend or remove the image.`,
  );
}

/**
 * Refuses ready-made inputs of another size than the network's, which nothing can be done with: they are used as they
 * are, and every command must see the same ones.
 *
 * @throws DataError naming both sizes, and what to do
 */
export function expectTensorSize(
  source: ImageSource | TensorSource,
  imageSize: number,
  remedy: (height: number, width: number) => string,
): void {
  if (source.kind !== "tensor") return;
  const { name, height, width } = source;
  if (height === imageSize && width === imageSize) return;
  throw new DataError(
    `${name} has images of ${height} x ${width} pixels; the network's are ${imageSize} x ${imageSize} ` +
      `(data.imageSize). ${remedy(height, width)}`,
  );
}

/**
 * Opens a safetensors file with `images` F32 [N, 3, H, W], used as they are, and optionally `labels` I32 or I64 [N].
 *
 * @throws ConfigurationError when the file is missing or a folder
 * @throws DataError when it is no safetensors file, its tensors are others, or a value is not finite
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
  expectFinite(path, images);
  const labels = await readLabels(file, length);
  return {
    kind: "tensor",
    name,
    length,
    labels,
    skipped: [],
    origin: recordsOrigin([path]),
    channels: 3,
    height,
    width,
    images: images.data,
    release: () => {},
  };
}
