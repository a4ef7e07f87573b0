/** A teacher that is a network in an ONNX file: its features of all images, made once and kept. */
import { ConfigurationError, DataError } from "../../errors.ts";
import type { ImageSource } from "../../data/image_set.ts";
import { digestFile } from "../../data/manifest.ts";
import { streamImages } from "../../data/stream.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { OnnxRuntime, OnnxSession } from "../../host/onnx_runtime.ts";
import { describeOnnxFile, type OnnxPort } from "../../store/onnx/describe.ts";
import { type RowBlock, writeRows } from "../../store/safetensors_rows.ts";
import type { Shape } from "../../shape.ts";

/** How images become a network's input, and what is taken of its results. */
export interface OnnxTeacher {
  readonly path: string;
  /** Digest of the file. */
  readonly digest: string;
  readonly input: string;
  readonly output: string;
  /** Side of the square images, in pixels. */
  readonly imageSize: number;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Images of a batch, where the file fixes it. */
  readonly batch: number | undefined;
  /** Of the output, where the file says it. */
  readonly dimension: number | undefined;
  /** What was assumed, for the user; empty where the file says everything. */
  readonly assumed: string;
}

/** What most networks were trained with: ImageNet's statistics, at this side where any is allowed. */
const imageNet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], imageSize: 224 } as const;
const float32 = 1;
const defaultBatch = 32;

/**
 * Looks at a network's file.
 *
 * @param output the output to take; null for `features`, or the only one of shape [N, D]
 * @throws {DataError} for a file that is no network of images
 * @throws {ConfigurationError} when the output cannot be told
 */
export async function describeTeacher(path: string, output: string | null): Promise<OnnxTeacher> {
  const { inputs, outputs, metadata } = await describeOnnxFile(path);
  const [input] = inputs;
  if (inputs.length !== 1 || input.type !== float32 || !isImages(input)) {
    throw new DataError(
      `${path} takes ${
        inputs.map(describePort).join(", ") || "nothing"
      }; a teacher takes one input of float32 images ` +
        "[N, 3, H, W].",
    );
  }
  const [batch, , height, width] = input.shape ?? [];
  if (height !== width) {
    throw new DataError(
      `${path} takes images of ${height ?? "any"} x ${width ?? "any"} pixels; a teacher's are square.`,
    );
  }
  const chosen = chooseOutput(path, outputs, output);
  const stated = statedInput(metadata);
  const imageSize = height ?? stated.imageSize ?? imageNet.imageSize;
  const assumed = [
    ...(height === undefined && stated.imageSize === undefined ? [`images of ${imageSize} pixels`] : []),
    ...(stated.mean ? [] : ["ImageNet's mean and deviation"]),
  ];
  return {
    path,
    digest: await digestFile(path),
    input: input.name,
    output: chosen.name,
    imageSize,
    mean: stated.mean ?? imageNet.mean,
    std: stated.std ?? imageNet.std,
    batch,
    dimension: chosen.shape?.[1],
    assumed: assumed.length === 0
      ? ""
      : `${path} does not say its input: ${assumed.join(" and ")} are assumed.`,
  };
}

function isImages({ shape }: OnnxPort): boolean {
  return shape === undefined || (shape.length === 4 && (shape[1] ?? 3) === 3);
}

function describePort({ name, shape }: OnnxPort): string {
  return `${name} [${shape?.map((size) => size ?? "?").join(", ") ?? "?"}]`;
}

function chooseOutput(path: string, outputs: readonly OnnxPort[], wanted: string | null): OnnxPort {
  const listed = outputs.map(describePort).join(", ");
  const flat = outputs.filter(({ shape }) => shape?.length === 2);
  const found = wanted === null
    ? outputs.find(({ name }) => name === "features") ?? (flat.length === 1 ? flat[0] : undefined)
    : outputs.find(({ name }) => name === wanted);
  if (found && found.type === float32 && (found.shape === undefined || found.shape.length === 2)) {
    return found;
  }
  if (found) {
    throw new ConfigurationError(
      `${path}: its output ${
        describePort(found)
      } is not float32 [N, D]. It has ${listed}; name another with ` +
        "--set distillation.output=NAME.",
    );
  }
  throw new ConfigurationError(
    wanted === null
      ? `${path} has no output called features, and ${flat.length} of shape [N, D]. Name one of its outputs with ` +
        `--set distillation.output=NAME: ${listed}.`
      : `${path} has no output "${wanted}" (distillation.output). It has ${listed}.`,
  );
}

type Channels = readonly [number, number, number];

/** What a file of Scion's own says of its input. */
function statedInput(metadata: Readonly<Record<string, string>>): {
  imageSize?: number;
  mean?: Channels;
  std?: Channels;
} {
  const channels = (text: string | undefined): Channels | undefined => {
    const value = parsed(text);
    return Array.isArray(value) && value.length === 3 && value.every(Number.isFinite)
      ? value as never
      : undefined;
  };
  const [mean, std, size] = [channels(metadata.mean), channels(metadata.std), parsed(metadata.imageSize)];
  const imageSize = Number.isInteger(size) ? size as number : undefined;
  return { ...(imageSize && { imageSize }), ...(mean && std && { mean, std }) };
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return undefined;
  }
}

/** Runs a teacher on batches of images. */
export class TeacherSession {
  private constructor(
    readonly runtime: OnnxRuntime,
    readonly session: OnnxSession,
    readonly teacher: OnnxTeacher,
  ) {}

  /** @throws {DataError} when the network cannot be loaded */
  static async open(runtime: OnnxRuntime, teacher: OnnxTeacher): Promise<TeacherSession> {
    const errorsOnly = 3;
    try {
      const session = await runtime.InferenceSession.create(teacher.path, { logSeverityLevel: errorsOnly });
      return new TeacherSession(runtime, session, teacher);
    } catch (error) {
      throw failed(teacher.path, "cannot be loaded by", error);
    }
  }

  /**
   * Features of images, [N, D] row by row.
   * @param images [N, 3, side, side], normalised; N is what the file fixes, if it does
   * @throws {DataError} when the network fails or gives something else
   */
  async run(images: Float32Array<ArrayBuffer>, shape: Shape): Promise<Float32Array<ArrayBuffer>> {
    const { runtime, session, teacher: { path, input, output } } = this;
    let result;
    try {
      const feeds = { [input]: new runtime.Tensor("float32", images, shape) };
      ({ [output]: result } = await session.run(feeds, [output]));
    } catch (error) {
      throw failed(path, "fails in", error);
    }
    const { dims, data, type } = result;
    if (type === "float32" && dims.length === 2 && dims[0] === shape[0]) return data.slice();
    throw new DataError(
      `${path}: its output ${output} is ${type} [${dims.join(", ")}] for ${
        shape[0]
      } images; expected float32 ` +
        `[${shape[0]}, D]. Name another with --set distillation.output=NAME.`,
    );
  }

  /** Dimension of the features, from one batch of gray. */
  async dimension(): Promise<number> {
    const { imageSize, batch = 1 } = this.teacher;
    const shape = [batch, 3, imageSize, imageSize];
    return (await this.run(new Float32Array(batch * 3 * imageSize ** 2), shape)).length / batch;
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}

function failed(path: string, how: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  return new DataError(`${path} ${how} ONNX Runtime: ${error.message.split("\n")[0]}`, { cause: error });
}

/**
 * Makes the features of all images of a source that can be read, as a file of the form that `embed` writes.
 *
 * @param dimension of the features
 * @throws {DataError} as {@linkcode TeacherSession.run} and `streamImages`
 */
export async function writeTeacherFeatures(
  gpu: Gpu,
  path: string,
  session: TeacherSession,
  source: ImageSource,
  dimension: number,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const { teacher } = session;
  const layout = {
    matrix: "features",
    columns: dimension,
    vectors: ["indices"],
    maximumRows: source.length,
    metadata: { teacher: teacher.digest, output: teacher.output, sourceImages: String(source.length) },
  };
  onProgress(0, source.length);
  async function* blocks(): AsyncGenerator<RowBlock> {
    const { imageSize, mean, std, batch = defaultBatch } = teacher;
    for await (const { images, indices } of streamImages(gpu, source, { imageSize, mean, std, batch })) {
      using _ = images;
      const given = await images.read();
      const [count, ...rest] = images.shape;
      // A batch of a fixed size is filled up with zeros, whose features are dropped.
      const size = teacher.batch ?? count;
      const whole = new Float32Array(size * given.length / count);
      whole.set(given);
      const features = await session.run(whole, [size, ...rest]);
      yield { values: features.slice(0, count * dimension), vectors: { indices } };
      onProgress(indices[indices.length - 1] + 1, source.length);
    }
  }
  await writeRows(path, layout, blocks());
}
