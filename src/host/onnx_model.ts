/** Networks of other programs that make features of images, run by ONNX Runtime on the processor. */
import { DataError } from "../errors.ts";
import type { Shape } from "../shape.ts";
import { describeOnnxFile, type OnnxPort } from "../store/onnx/describe.ts";
import { loadOnnxRuntime, type OnnxResult, type OnnxSession } from "./onnx_runtime.ts";

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

/** TensorProto.DataType.FLOAT. */
const float32 = 1;
/** ONNX Runtime's levels of messages. */
const errorsOnly = 3;

/**
 * Opens an ONNX file.
 *
 * @param load gives what runs it; ONNX Runtime from npm unless in tests
 * @throws {DataError} when the file is missing, no model, or not one that makes features [N, D] of images [N, 3, H, W]
 */
export async function openOnnxModel(path: string, load = loadOnnxRuntime): Promise<OnnxFeatureModel> {
  const { inputs, outputs, metadata } = await describeOnnxFile(path);
  const input = imageInput(path, inputs);
  const output = featureOutput(path, outputs);
  const { InferenceSession, Tensor } = await load();
  let session: OnnxSession;
  try {
    session = await InferenceSession.create(path, { logSeverityLevel: errorsOnly });
  } catch (error) {
    throw failure(`${path} cannot be opened by ONNX Runtime`, error);
  }
  const [batch, , height, width] = input.shape ?? [];
  return {
    input: { name: input.name, height, width },
    output,
    metadata,
    run: (images, shape) =>
      runInBatches(images, shape, batch, async (values, shape) => {
        try {
          const feeds = { [input.name]: new Tensor("float32", values, shape) };
          return expectRows(path, (await session.run(feeds, [output]))[output], shape[0]);
        } catch (error) {
          throw failure(`${path} could not run images of ${shape[2]} x ${shape[3]} pixels`, error);
        }
      }),
    release: () => session.release(),
  };
}

function failure(what: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof DataError) return error;
  return new DataError(`${what}: ${error.message.split("\n")[0]}`, { cause: error });
}

function describe({ name, type, shape }: OnnxPort): string {
  const kind = type === float32 ? "float32 " : "";
  return `"${name}" ${kind}[${shape?.map((size) => size ?? "?").join(", ") ?? "?"}]`;
}

function imageInput(path: string, inputs: readonly OnnxPort[]): OnnxPort {
  const [input] = inputs;
  const fits = inputs.length === 1 && input.type === float32 &&
    (input.shape === undefined || input.shape.length === 4 && (input.shape[1] ?? 3) === 3);
  if (fits) return input;
  throw new DataError(
    `${path} cannot make features of images: its inputs are ${
      inputs.map(describe).join(", ") || "none"
    }; expected ` +
      "one, float32 [N, 3, H, W].",
  );
}

function featureOutput(path: string, outputs: readonly OnnxPort[]): string {
  const matrices = outputs.filter(({ type, shape }) => type === float32 && shape?.length === 2);
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

function expectRows(path: string, result: OnnxResult, rows: number): OnnxResult {
  const { type, dims } = result;
  if (type === "float32" && dims.length === 2 && dims[0] === rows) return result;
  throw new DataError(
    `${path} gives ${type} [${dims.join(", ")}] for ${rows} images; expected float32 [${rows}, D].`,
  );
}

/** Runs a fixed number of images at once where there is one, with zeros in place of those that a last batch lacks. */
async function runInBatches(
  images: Float32Array<ArrayBuffer>,
  [count, ...image]: Shape,
  batch: number | undefined,
  run: (images: Float32Array<ArrayBuffer>, shape: Shape) => Promise<OnnxResult>,
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
