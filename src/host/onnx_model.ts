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

/** What an ONNX file that makes one row of features of each image says of itself. */
export interface OnnxFeatureFile {
  /** Its images [N, 3, height, width]; a side that the file leaves open is undefined. */
  readonly input: {
    readonly name: string;
    readonly height: number | undefined;
    readonly width: number | undefined;
  };
  /** Images of a batch, where the file fixes it. */
  readonly batch: number | undefined;
  /** The output that is taken: `features`, or else the only one of two dimensions; or the one that was asked for. */
  readonly output: string;
  /** Of the features, where the file says it. */
  readonly dimension: number | undefined;
  /** What the file says beside its graph; see `extract/model.ts` for what Scion writes there. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Such a file, ready to run. */
export interface OnnxFeatureModel extends OnnxFeatureFile {
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

/** Which output to take, and what to tell who has to say it. */
export interface OutputChoice {
  readonly wanted?: string | undefined;
  /** Ends the message that it cannot be told. */
  readonly remedy?: string;
}

/**
 * Looks at an ONNX file; nothing that could run it is loaded.
 *
 * @throws {DataError} when the file is missing, no model, or not one that makes features [N, D] of images [N, 3, H, W]
 */
export async function describeOnnxModel(path: string, choice: OutputChoice = {}): Promise<OnnxFeatureFile> {
  const { inputs, outputs, metadata } = await describeOnnxFile(path);
  const input = imageInput(path, inputs);
  const output = featureOutput(path, outputs, choice);
  const [batch, , height, width] = input.shape ?? [];
  return {
    input: { name: input.name, height, width },
    batch,
    output: output.name,
    dimension: output.shape?.[1],
    metadata,
  };
}

/**
 * Opens an ONNX file.
 *
 * @param load gives what runs it; ONNX Runtime from npm unless in tests
 * @throws {DataError} as {@linkcode describeOnnxModel}, and when ONNX Runtime cannot open the file
 */
export async function openOnnxModel(
  path: string,
  load = loadOnnxRuntime,
  choice: OutputChoice = {},
): Promise<OnnxFeatureModel> {
  const file = await describeOnnxModel(path, choice);
  const { input, output, batch } = file;
  const { InferenceSession, Tensor } = await load();
  let session: OnnxSession;
  try {
    session = await InferenceSession.create(path, { logSeverityLevel: errorsOnly });
  } catch (error) {
    throw failure(`${path} cannot be opened by ONNX Runtime`, error);
  }
  return {
    ...file,
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

function featureOutput(
  path: string,
  outputs: readonly OnnxPort[],
  { wanted, remedy = "Export it with such an output." }: OutputChoice,
): OnnxPort {
  const matrices = outputs.filter(({ type, shape }) => type === float32 && shape?.length === 2);
  // Where the file does not say the shape of an output that is named, the results will.
  const chosen = wanted === undefined
    ? matrices.find(({ name }) => name === "features") ?? (matrices.length === 1 ? matrices[0] : undefined)
    : outputs.find(({ name, type, shape }) =>
      name === wanted && type === float32 && (shape === undefined || shape.length === 2)
    );
  if (chosen) return chosen;
  const listed = outputs.map(describe).join(", ");
  throw new DataError(
    wanted === undefined
      ? `${path} does not say which output are the features: it has ${listed}; expected one named "features", or only ` +
        `one, of float32 [N, D]. ${remedy}`
      : `${path} has no output "${wanted}" of float32 [N, D]: it has ${listed}. ${remedy}`,
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
