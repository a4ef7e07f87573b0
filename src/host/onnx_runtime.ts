/**
 * Networks of other programs, run by ONNX Runtime on the processor. It is 110 MB to download, so that it is no package of
 * this project's: Deno fetches it from npm when a command opens the first ONNX file.
 */
import { DataError } from "../errors.ts";
import type { Shape } from "../shape.ts";
import { readOnnxMetadata } from "../store/onnx/metadata.ts";

/** The part of `onnxruntime-node` that is used here. */
export interface OnnxRuntime {
  readonly Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => unknown;
  readonly InferenceSession: { create(path: string): Promise<OnnxSession> };
}

/** A dimension is a size, or a name for one that is free. */
interface OnnxValue {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly (number | string)[];
}

interface OnnxSession {
  readonly inputMetadata: readonly OnnxValue[];
  readonly outputMetadata: readonly OnnxValue[];
  run(feeds: Readonly<Record<string, unknown>>, fetches?: readonly string[]): Promise<
    Record<string, { readonly dims: readonly number[]; readonly data: Float32Array<ArrayBuffer> }>
  >;
  release(): Promise<void>;
}

/** Features [images, dimension]. */
export interface OnnxFeatures {
  readonly features: Float32Array<ArrayBuffer>;
  readonly dimension: number;
}

/** An ONNX file that makes one row of features of each image. */
export interface OnnxFeatureModel {
  /** Its images [N, 3, height, width]; a side that the file leaves open is undefined. */
  readonly input: {
    readonly name: string;
    readonly height: number | undefined;
    readonly width: number | undefined;
  };
  /** The output that is taken: `features`, or else the only one of two dimensions. */
  readonly output: string;
  /** What the file says beside its graph; see `extract/model.ts` for what Scion writes there. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * Runs images; a file of a fixed batch runs that many at once, padded.
   *
   * @param images [N, 3, H, W]
   * @throws {DataError} when ONNX Runtime fails, e.g. for a size of image that the network cannot take
   */
  run(images: Float32Array<ArrayBuffer>, shape: Shape): Promise<OnnxFeatures>;
  release(): Promise<void>;
}

const packageName = "npm:onnxruntime-node@1.30.0";

/**
 * ONNX Runtime from npm. The name is no literal, so that it is fetched when it is needed and not with the program.
 *
 * @throws {DataError} when it is not there and cannot be fetched
 */
export async function importOnnxRuntime(): Promise<OnnxRuntime> {
  const name: string = packageName;
  try {
    return await import(name);
  } catch (error) {
    throw new DataError(
      `ONNX Runtime (${packageName}), which runs .onnx files, could not be loaded: ${
        messageOf(error)
      }. It is fetched ` +
        "from npm at its first use (110 MB) and needs a network then; it is there for Linux, macOS and Windows.",
      { cause: error },
    );
  }
}

/**
 * Opens an ONNX file.
 *
 * @param runtime what runs it; ONNX Runtime from npm unless given
 * @throws {DataError} when the file is missing, no model, or not one that makes features [N, D] of images [N, 3, H, W]
 */
export async function openOnnxModel(
  path: string,
  runtime: () => Promise<OnnxRuntime> = importOnnxRuntime,
): Promise<OnnxFeatureModel> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound ? "there is no such file" : messageOf(error);
    throw new DataError(`Cannot read ${path}: ${reason}.`, { cause: error });
  }
  const { InferenceSession, Tensor } = await runtime();
  let session: OnnxSession;
  try {
    session = await InferenceSession.create(path);
  } catch (error) {
    throw new DataError(`${path} cannot be opened by ONNX Runtime: ${messageOf(error)}`, { cause: error });
  }
  try {
    const input = imageInput(path, session.inputMetadata);
    const output = featureOutput(path, session.outputMetadata);
    const metadata = await readOnnxMetadata(bytes);
    const batch = fixed(input.shape[0]);
    return {
      input: { name: input.name, height: fixed(input.shape[2]), width: fixed(input.shape[3]) },
      output,
      metadata,
      run: (images, shape) =>
        runInBatches(images, shape, batch, async (values, shape) => {
          try {
            const feeds = { [input.name]: new Tensor("float32", values, shape) };
            return (await session.run(feeds, [output]))[output];
          } catch (error) {
            throw new DataError(
              `${path} could not run images of ${shape[2]} x ${shape[3]} pixels: ${messageOf(error)}`,
              { cause: error },
            );
          }
        }),
      release: () => session.release(),
    };
  } catch (error) {
    await session.release();
    throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The size of a dimension; undefined where it is free. */
function fixed(size: number | string): number | undefined {
  return typeof size === "number" && size > 0 ? size : undefined;
}

function describe({ name, type, shape }: OnnxValue): string {
  return `"${name}" ${type} [${shape.join(", ")}]`;
}

function imageInput(path: string, inputs: readonly OnnxValue[]): OnnxValue {
  const [input] = inputs;
  const fits = inputs.length === 1 && input.type === "float32" && input.shape.length === 4 &&
    (fixed(input.shape[1]) ?? 3) === 3;
  if (fits) return input;
  throw new DataError(
    `${path} cannot make features of images: its inputs are ${
      inputs.map(describe).join(", ")
    }; expected one, float32 ` +
      "[N, 3, H, W].",
  );
}

function featureOutput(path: string, outputs: readonly OnnxValue[]): string {
  const matrices = outputs.filter(({ type, shape }) => type === "float32" && shape.length === 2);
  const chosen = matrices.find(({ name }) => name === "features") ??
    (matrices.length === 1 ? matrices[0] : undefined);
  if (chosen) return chosen.name;
  throw new DataError(
    `${path} does not say which output are the features: it has ${
      outputs.map(describe).join(", ")
    }; expected one named ` +
      '"features", or only one, of float32 [N, D]. Export it with such an output.',
  );
}

/** Runs a fixed number of images at once where there is one, with zeros in place of those that a last batch lacks. */
async function runInBatches(
  images: Float32Array<ArrayBuffer>,
  [count, ...image]: Shape,
  batch: number | undefined,
  run: (
    images: Float32Array<ArrayBuffer>,
    shape: Shape,
  ) => Promise<{ readonly dims: readonly number[]; readonly data: Float32Array<ArrayBuffer> }>,
): Promise<OnnxFeatures> {
  const size = images.length / count;
  const step = batch ?? count;
  let features: Float32Array<ArrayBuffer> | undefined;
  let dimension = 0;
  for (let first = 0; first < count; first += step) {
    const some = Math.min(step, count - first);
    let part = images.subarray(first * size, (first + some) * size);
    if (some < step) {
      const padded = new Float32Array(step * size);
      padded.set(part);
      part = padded;
    }
    const { dims, data } = await run(part, [step, ...image]);
    dimension = dims[1];
    features ??= new Float32Array(count * dimension);
    features.set(data.subarray(0, some * dimension), first * dimension);
  }
  return { features: features ?? new Float32Array(), dimension };
}
