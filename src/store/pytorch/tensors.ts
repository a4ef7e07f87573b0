/**
 * Tensors of a file that `torch.save` wrote (since PyTorch 1.6): a zip archive with a pickle, `NAME/data.pkl`, that
 * describes the tensors, and their storages, `NAME/data/KEY`. Nothing of the file is executed; see src/store/pytorch/pickle.ts.
 */
import { elements } from "../../shape.ts";
import { DataError } from "../../errors.ts";
import type { WeightsFile } from "../weights_file.ts";
import { mostPickleBytes, PickledTensor, type PickleValue, readPickle, type StorageKind } from "./pickle.ts";
import { damaged, ZipArchive } from "./zip.ts";

/** How many bytes an element has, and its value; undefined for what is no floating-point number. */
const elementTypes: Record<
  StorageKind,
  { readonly bytes: number; readonly get?: (view: DataView, at: number) => number }
> = {
  Float: { bytes: 4, get: (view, at) => view.getFloat32(at, true) },
  Double: { bytes: 8, get: (view, at) => view.getFloat64(at, true) },
  Half: { bytes: 2, get: (view, at) => view.getFloat16(at, true) },
  BFloat16: { bytes: 2, get: bfloat16 },
  Long: { bytes: 8 },
  Int: { bytes: 4 },
  Short: { bytes: 2 },
  Char: { bytes: 1 },
  Byte: { bytes: 1 },
  Bool: { bytes: 1 },
};

/** The upper half of a float32. */
function bfloat16(view: DataView, at: number): number {
  upperHalf.setUint16(0, view.getUint16(at, true), false);
  return upperHalf.getFloat32(0, false);
}
const upperHalf = new DataView(new ArrayBuffer(4));

/** Names under which training programs keep the weights beside other things. */
const wrappers = ["state_dict", "model"];

const mostDimensions = 8;

/**
 * Opens an archive that begins as a zip file.
 *
 * @param file open for reading; closed with the result, or by the caller where this fails
 * @throws {DataError} for one that holds code or other objects, is damaged, compressed, or no state dict
 */
export async function openPyTorch(file: Deno.FsFile, path: string): Promise<WeightsFile> {
  const archive = await ZipArchive.open(file, path);
  const root = rootOf(archive);
  const pickle = archive.entries.get(`${root}/data.pkl`)!;
  if (pickle.byteLength > mostPickleBytes) {
    throw new DataError(
      `${path} describes its contents in ${pickle.byteLength} bytes; the weights of a network take at most ` +
        `${mostPickleBytes}. Save them alone: torch.save(model.state_dict(), "weights.pth").`,
    );
  }
  await expectLittleEndian(archive, root);
  const tensors = tensorsOf(path, readPickle(path, await archive.read(pickle.name)));
  for (const [name, tensor] of tensors) checkTensor(archive, root, name, tensor);
  return {
    path,
    tensors: new Map([...tensors].map(([name, { shape, storage }]) => [
      name,
      { shape, floats: elementTypes[storage.kind].get !== undefined },
    ])),
    read: (name) => readTensor(archive, root, name, tensors.get(name)!),
    [Symbol.dispose]: () => archive.close(),
  };
}

/** The folder that everything of the archive lies in. */
function rootOf({ path, entries }: ZipArchive): string {
  const names = [...entries.keys()];
  if (names.some((name) => /^[^/]+\/(code\/|constants\.pkl$)/.test(name))) {
    throw new DataError(
      `${path} is a TorchScript program, which holds code. Save its weights alone, in Python and from a source that you ` +
        `trust: torch.save(torch.jit.load("model.pt").state_dict(), "weights.pth").`,
    );
  }
  const roots = names.flatMap((name) => /^([^/]+)\/data\.pkl$/.exec(name)?.[1] ?? []);
  if (roots.length === 1) return roots[0];
  throw new DataError(
    `${path} is a zip archive, but none that torch.save wrote: it has ${roots.length} entries NAME/data.pkl, not one.`,
  );
}

async function expectLittleEndian(archive: ZipArchive, root: string): Promise<void> {
  const entry = archive.entries.get(`${root}/byteorder`);
  // Files from before PyTorch 2.1 have none, and were written on little-endian machines.
  if (!entry || entry.byteLength > 16) return;
  const order = new TextDecoder("latin1").decode(await archive.read(entry.name));
  if (order === "little") return;
  throw new DataError(
    `${archive.path} was saved on a machine with ${order}-endian numbers. Load and save it again on another one.`,
  );
}

/** The tensors of a state dict, which may lie within a dictionary of a training program. */
function tensorsOf(path: string, value: PickleValue): Map<string, PickledTensor> {
  if (value instanceof Map) {
    const wrapped = wrappers.map((name) => value.get(name)).find((inner) => inner instanceof Map);
    const found = new Map<string, PickledTensor>();
    for (const [name, tensor] of wrapped ?? value) {
      if (typeof name === "string" && tensor instanceof PickledTensor) found.set(name, tensor);
    }
    if (found.size > 0) return found;
  }
  throw new DataError(
    `${path} holds no state dict: neither it nor its ${
      wrappers.map((name) => `"${name}"`).join(" or ")
    } is a ` +
      `dictionary of tensors. Save one: torch.save(model.state_dict(), "weights.pth").`,
  );
}

/** Whether a tensor's numbers are where it says. */
function checkTensor(archive: ZipArchive, root: string, name: string, tensor: PickledTensor): void {
  const { storage, offset, shape, strides } = tensor;
  const fault = (reason: string) => damaged(archive.path, `its tensor "${shorten(name)}" ${reason}`);
  if (shape.length > mostDimensions || strides.length !== shape.length) {
    throw fault(`has ${shape.length} dimensions and ${strides.length} strides`);
  }
  const wrong = [offset, storage.length, ...shape, ...strides].find((value) =>
    !Number.isSafeInteger(value) || value < 0
  );
  if (wrong !== undefined) throw fault(`has a size, stride or place of ${wrong}`);
  const count = elements(shape);
  const last = offset + shape.reduce((sum, extent, axis) => sum + (extent - 1) * strides[axis], 0);
  // Also of one that repeats its numbers by strides of 0: no state dict has such, and a few bytes would become gigabytes.
  if (count > storage.length || (count > 0 && last >= storage.length)) {
    throw fault(`of shape [${shape.join(", ")}] does not fit its storage of ${storage.length} elements`);
  }
  const entry = archive.entries.get(`${root}/data/${storage.key}`);
  if (!entry) throw fault(`has no numbers: there is no entry "${root}/data/${shorten(storage.key)}"`);
  const bytes = storage.length * elementTypes[storage.kind].bytes;
  if (entry.byteLength !== bytes) {
    throw fault(`has a storage of ${entry.byteLength} bytes, expected ${bytes}`);
  }
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

async function readTensor(
  archive: ZipArchive,
  root: string,
  name: string,
  { storage, offset, shape, strides }: PickledTensor,
): Promise<Float32Array<ArrayBuffer>> {
  const { bytes, get } = elementTypes[storage.kind];
  if (!get) {
    throw new DataError(`${archive.path}: "${name}" has elements of type ${storage.kind}, expected floats.`);
  }
  const view = new DataView((await archive.read(`${root}/data/${storage.key}`)).buffer);
  const values = new Float32Array(elements(shape));
  // An odometer over the indices: row-major in the result, by strides in the storage.
  const index = shape.map(() => 0);
  let at = offset;
  for (let place = 0; place < values.length; place++) {
    values[place] = get(view, at * bytes);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= index[axis] * strides[axis];
      index[axis] = 0;
    }
  }
  return values;
}
