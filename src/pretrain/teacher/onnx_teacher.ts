/** A teacher that is a network in an ONNX file: its features of all images, made once and kept. */
import type { ImageSource } from "../../data/image_set.ts";
import { digestFile } from "../../data/manifest.ts";
import { streamImages, type StreamSettings } from "../../data/stream.ts";
import { DataError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { describeOnnxModel, type OnnxFeatureModel } from "../../host/onnx_model.ts";
import type { RowBlock } from "../../store/rows.ts";
import { writeRows } from "../../store/safetensors_rows.ts";

/** How images become a network's input, and what is taken of its results. */
export interface OnnxTeacher {
  readonly path: string;
  /** Digest of the file. */
  readonly digest: string;
  readonly output: string;
  /** Side of the square images, in pixels. */
  readonly imageSize: number;
  /** Shorter side that images are resized to before; absent for the usual one. */
  readonly resize?: number | undefined;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Images of a batch. */
  readonly batch: number;
  /** Of the output, where the file says it. */
  readonly dimension: number | undefined;
  /** What was assumed, for the user; empty where the file says everything. */
  readonly assumed: string;
}

/** What most networks were trained with: ImageNet's statistics, at this side where any is allowed. */
const imageNet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], imageSize: 224 } as const;
/** Networks may be large. */
const defaultBatch = 32;

/**
 * Looks at a network's file.
 *
 * @param output the output to take; null for `features`, or the only one of shape [N, D]
 * @throws {DataError} for a file that is no network of images, or whose output cannot be told
 */
export async function describeTeacher(path: string, output: string | null): Promise<OnnxTeacher> {
  const remedy = "Name one with --set distillation.output=NAME.";
  const file = await describeOnnxModel(path, { wanted: output ?? undefined, remedy });
  const { height, width } = file.input;
  if (height !== width) {
    throw new DataError(
      `${path} takes images of ${height ?? "any"} x ${width ?? "any"} pixels; a teacher's are square.`,
    );
  }
  const stated = statedInput(file.metadata);
  const imageSize = height ?? stated.imageSize ?? imageNet.imageSize;
  const assumed = [
    ...(height === undefined && stated.imageSize === undefined ? [`images of ${imageSize} pixels`] : []),
    ...(stated.mean ? [] : ["ImageNet's mean and deviation"]),
  ];
  return {
    path,
    digest: await digestFile(path),
    output: file.output,
    imageSize,
    resize: stated.resize,
    mean: stated.mean ?? imageNet.mean,
    std: stated.std ?? imageNet.std,
    batch: file.batch ?? defaultBatch,
    dimension: file.dimension,
    assumed: assumed.length === 0
      ? ""
      : `${path} does not say its input: ${assumed.join(" and ")} are assumed.`,
  };
}

type Channels = readonly [number, number, number];

/** What a file of Scion's own says of its input. */
function statedInput(metadata: Readonly<Record<string, string>>): {
  imageSize?: number;
  resize?: number | undefined;
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
  const resize = (parsed(metadata.preprocessing) as { resize?: unknown } | null | undefined)?.resize;
  return {
    ...(imageSize && { imageSize }),
    ...(Number.isInteger(resize) && { resize: resize as number }),
    ...(mean && std && { mean, std }),
  };
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return undefined;
  }
}

/**
 * Dimension of a network's features, from one image of gray.
 * @throws {DataError} when the network fails
 */
export async function measureDimension(model: OnnxFeatureModel, { imageSize }: OnnxTeacher): Promise<number> {
  const { dimension } = await model.run(new Float32Array(3 * imageSize ** 2), [1, 3, imageSize, imageSize]);
  return dimension;
}

function inputOf({ imageSize, resize, mean, std, batch }: OnnxTeacher): StreamSettings {
  return { imageSize, mean, std, batch, ...(resize !== undefined && { resize }) };
}

/**
 * Makes the features of all images of a source that can be read, as a file of the form that `embed` writes.
 *
 * @param dimension of the features
 * @throws {DataError} when the network fails, and as `streamImages`
 */
export async function writeTeacherFeatures(
  gpu: Gpu,
  path: string,
  model: OnnxFeatureModel,
  teacher: OnnxTeacher,
  source: ImageSource,
  dimension: number,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const layout = {
    matrix: "features",
    columns: dimension,
    vectors: ["indices"],
    maximumRows: source.length,
    metadata: { teacher: teacher.digest, output: teacher.output, sourceImages: String(source.length) },
  };
  onProgress(0, source.length);
  async function* blocks(): AsyncGenerator<RowBlock> {
    for await (const { images, indices } of streamImages(gpu, source, inputOf(teacher))) {
      using _ = images;
      const { features } = await model.run(await images.read(), images.shape);
      yield { values: features, vectors: { indices } };
      onProgress(indices[indices.length - 1] + 1, source.length);
    }
  }
  await writeRows(path, layout, blocks());
}
