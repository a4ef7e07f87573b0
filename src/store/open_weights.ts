/** Opens weights that other programs wrote: `.safetensors`, or what `torch.save` writes. Told apart by their bytes. */
import { createHash } from "node:crypto";
import { DataError } from "../errors.ts";
import { openPyTorch } from "./pytorch/tensors.ts";
import { readFull } from "./read_full.ts";
import { openSafetensors, type SafetensorsFile, type TensorData } from "./safetensors.ts";
import type { WeightsFile } from "./weights_file.ts";

/** What the formats begin with. */
const zipStart = [0x50, 0x4b];
/** A pickle of the number 0x1950a86a20f9469cfc6c, by which PyTorch before 1.6 marked its files. */
const legacyStart = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/** What a safetensors file's header begins with, behind eight bytes of length. */
const headerStart = "{".charCodeAt(0);

/**
 * Opens a file of weights and checks what it says of itself.
 *
 * @throws {DataError} for a file that cannot be opened, is of neither format, is damaged, or holds code
 */
export async function openWeightsFile(path: string): Promise<WeightsFile> {
  const file = await openForReading(path);
  let opened: WeightsFile | undefined;
  try {
    const start = new Uint8Array(legacyStart.length);
    const count = await readFull(file, start);
    const startsWith = (bytes: readonly number[]) =>
      count >= bytes.length && bytes.every((byte, at) => start[at] === byte);
    if (startsWith(legacyStart)) throw legacy(path);
    if (startsWith(zipStart)) opened = await openPyTorch(file, path);
    else if (start[8] !== headerStart && !path.endsWith(".safetensors")) throw neither(path);
  } catch (error) {
    throw asReadError(path, error);
  } finally {
    if (!opened) file.close();
  }
  return opened ?? ofSafetensors(await openSafetensors(path));
}

/**
 * SHA-256 of a whole file, as 64 hexadecimal digits.
 *
 * @throws {DataError} when it cannot be read
 */
export async function fileSha256(path: string): Promise<string> {
  using file = await openForReading(path);
  const hash = createHash("sha256");
  const block = new Uint8Array(4 * 2 ** 20);
  try {
    for (let count; (count = await file.read(block)) !== null;) hash.update(block.subarray(0, count));
  } catch (error) {
    throw asReadError(path, error);
  }
  return hash.digest("hex");
}

async function openForReading(path: string): Promise<Deno.FsFile> {
  try {
    const file = await Deno.open(path, { read: true });
    if ((await file.stat()).isFile) return file;
    file.close();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const reason = error instanceof Deno.errors.NotFound ? "there is no such file" : error.message;
    throw new DataError(`Cannot open ${path}: ${reason}. Check the path.`, { cause: error });
  }
  throw new DataError(`${path} is no file. Give a .safetensors, .pth or .pt file of weights.`);
}

/** What the file system reports, as a {@linkcode DataError}; other errors as they are. */
function asReadError(path: string, error: unknown): unknown {
  if (!(error instanceof Error && "code" in error && typeof error.code === "string")) return error;
  return new DataError(`Cannot read ${path}: ${error.message}.`, { cause: error });
}

function legacy(path: string): DataError {
  return new DataError(
    `${path} was saved in the format of PyTorch before 1.6, which is not read. Load and save it again in Python, from a ` +
      `source that you trust: torch.save(torch.load("old.pth"), "new.pth").`,
  );
}

function neither(path: string): DataError {
  return new DataError(
    `${path} is neither a .safetensors file nor what torch.save writes since PyTorch 1.6. Save the weights so: ` +
      `torch.save(model.state_dict(), "weights.pth").`,
  );
}

function ofSafetensors(file: SafetensorsFile): WeightsFile {
  return {
    path: file.path,
    tensors: new Map([...file.tensors].map(([name, { shape, dtype }]) => [
      name,
      { shape, floats: ["F64", "F32", "F16", "BF16"].includes(dtype) },
    ])),
    read: async (name) => asFloat32(file.path, name, await file.read(name)),
    [Symbol.dispose]: () => file.close(),
  };
}

function asFloat32(path: string, name: string, { dtype, data }: TensorData): Float32Array<ArrayBuffer> {
  switch (dtype) {
    case "F32":
      return data as Float32Array<ArrayBuffer>;
    case "F64":
      return Float32Array.from(data);
    case "F16":
      return Float32Array.from(new Float16Array(data.buffer, data.byteOffset, data.length));
    case "BF16":
      // The upper half of a float32.
      return new Float32Array(Uint32Array.from(data, (bits) => bits << 16).buffer);
    default:
      throw new DataError(`${path}: "${name}" has elements of type ${dtype}, expected floats.`);
  }
}
