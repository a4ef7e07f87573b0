/** Opening a run's teacher: what its features are, and where the trainer gets them from. */
import { specsOf } from "../../config/data_source.ts";
import { parseTeacher } from "../../config/objective.ts";
import type { Config } from "../../config/config.ts";
import { dataSeed } from "../../config/data_seed.ts";
import { standIn } from "../../data/batch.ts";
import { openSource } from "../../data/source.ts";
import { parseDataSpec } from "../../data/spec.ts";
import { ConfigurationError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { openOnnxModel } from "../../host/onnx_model.ts";
import type { OnnxRuntime } from "../../host/onnx_runtime.ts";
import { digest } from "../../store/digest.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { RunData } from "../run_data.ts";
import { expectFeatures, featureDimension, readFeatures, type TaughtImages } from "./feature_file.ts";
import { describeTeacher, measureDimension, type OnnxTeacher, writeTeacherFeatures } from "./onnx_teacher.ts";

/** What opening a teacher tells, and what it may need. */
export interface TeacherHooks {
  onWarning(text: string): void;
  /** A teacher's network has so many of the images done. */
  onTeacher?(done: number, total: number): void;
  /** In place of ONNX Runtime from npm. */
  loadRuntime?(): Promise<OnnxRuntime>;
  /** Where features that a network made are kept; default `.cache`, below the working directory. */
  readonly teacherFolder?: string;
}

/**
 * Fills in what a configuration leaves open about its teacher's features, their dimension, so that weights can be made and
 * memory planned.
 *
 * @throws {DataError} for a teacher that cannot be used
 * @throws {ConfigurationError} for a dimension that is not the teacher's
 */
export async function withTeacherDimension<C extends Pick<Config, "distillation">>(
  config: C,
  hooks: Partial<TeacherHooks> = {},
): Promise<C> {
  const { teacher, output, dimension: given } = config.distillation;
  if (teacher === null || given !== null && config.distillation.digest !== null) return config;
  const spec = parseTeacher(teacher);
  if (spec.kind !== "model" && output !== null) {
    throw new ConfigurationError(
      `distillation.output is "${output}", but the teacher, ${teacher}, is no model:FILE.onnx. Leave it out.`,
    );
  }
  if (spec.kind === "self") return config;
  const dimension = spec.kind === "features"
    ? await featureDimension(spec.path)
    : await modelDimension(await describeTeacher(spec.path, output), hooks);
  if (given !== null && given !== dimension) {
    throw new ConfigurationError(
      `distillation.dimension is ${given}, and the features of ${teacher} have ${dimension}. Leave the field out.`,
    );
  }
  return { ...config, distillation: { ...config.distillation, dimension } };
}

async function modelDimension(
  teacher: OnnxTeacher,
  { loadRuntime }: Partial<TeacherHooks>,
): Promise<number> {
  if (teacher.dimension !== undefined) return teacher.dimension;
  const model = await openOnnxModel(teacher.path, loadRuntime, { wanted: teacher.output });
  const dimension = await measureDimension(model, teacher);
  await model.release();
  return dimension;
}

/** A teacher that is open. */
export interface OpenedTeacher {
  /** With the digest of the features. */
  readonly config: Config;
  /** Its features of a batch, [B, D]; undefined where steps need none. The caller releases them. */
  readonly targets: ((batch: Uint32Array) => Tensor) | undefined;
}

/**
 * Opens the teacher of a run whose images are open.
 *
 * @param config with the dimension of the features
 * @throws {DataError} for features that do not belong to the images, cannot be learned, or are not those that the run
 * began with; and for a network that fails
 */
export async function openTeacher(
  gpu: Gpu,
  config: Config,
  data: RunData,
  hooks: TeacherHooks,
): Promise<OpenedTeacher> {
  const { teacher, dimension } = config.distillation;
  const spec = teacher === null ? undefined : parseTeacher(teacher);
  if (!spec || spec.kind === "self") return { config, targets: undefined };
  const path = spec.kind === "features"
    ? spec.path
    : await featuresOfModel(gpu, config, data, spec.path, hooks);
  const features = await readFeatures(path, taughtImages(data));
  if (features.dimension !== dimension) {
    throw new ConfigurationError(
      `distillation.dimension is ${dimension}, and the features of ${teacher} have ${features.dimension}.`,
    );
  }
  expectFeatures(teacher!, features, config.distillation.digest);
  const { source, train } = data;
  // An image that could not be read is shown by another: its features are those that count.
  const readable = (image: number) => !source.broken?.has(image);
  return {
    config: { ...config, distillation: { ...config.distillation, digest: features.digest } },
    targets: (batch) => {
      const shown = batch.map((image) => standIn(image, train, readable));
      return Tensor.from(gpu, features.rows(shown), [batch.length, features.dimension]);
    },
  };
}

function taughtImages({ source, train, record: { list } }: RunData): TaughtImages {
  const files = list.kind === "images" ? list.files.map(({ path }) => path) : undefined;
  return { source: source.name, length: source.length, files, train };
}

/**
 * The file of a network's features of the run's images; made where it is not there yet. Its name says the network, the
 * output, and the images.
 */
async function featuresOfModel(
  gpu: Gpu,
  config: Config,
  { source: opened, record: { list } }: RunData,
  path: string,
  { onWarning, onTeacher, loadRuntime, teacherFolder = ".cache" }: TeacherHooks,
): Promise<string> {
  const { data: { source, imageSize, strict }, distillation } = config;
  if (opened.kind === "tensor") {
    throw new ConfigurationError(
      `distillation.teacher is model:${path}, which needs images, and ${opened.name} holds ready-made inputs of another ` +
        "network. Give their features: features:FILE.safetensors.",
    );
  }
  const teacher = await describeTeacher(path, distillation.output);
  if (teacher.assumed !== "") onWarning(teacher.assumed);
  const key = await digest(
    JSON.stringify([
      teacher.digest,
      teacher.output,
      teacher.imageSize,
      teacher.resize,
      teacher.mean,
      teacher.std,
      list.digest,
    ]),
  );
  const file = `${teacherFolder}/teacher-${key}.safetensors`;
  if (await isThere(file)) return file;
  await Deno.mkdir(teacherFolder, { recursive: true });
  const model = await openOnnxModel(path, loadRuntime, { wanted: teacher.output });
  // Made images have the network's own size; others are read again, as large as the teacher wants them.
  const side = parseDataSpec(specsOf(source)[0]).kind === "synthetic" ? imageSize : teacher.imageSize;
  const images = await openSource(source, {
    imageSize: side,
    ...(teacher.resize !== undefined && { resize: teacher.resize }),
    seed: dataSeed(config),
    strict,
    use: "evaluation",
    // Each image is looked at once.
    preload: false,
    cacheBytes: 0,
  });
  try {
    if (images.kind === "images") {
      const { dimension } = distillation;
      await writeTeacherFeatures(
        gpu,
        file,
        model,
        teacher,
        images,
        dimension!,
        (done, total) => onTeacher?.(done, total),
      );
    }
  } finally {
    images.release();
    await model.release();
  }
  return file;
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
