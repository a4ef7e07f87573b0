/** A subnet that was cut out: plain weights on the host with all that is needed to run them. */
import { z } from "zod";
import { DataError } from "../errors.ts";
import { formatArchitecture } from "../elastic/architecture.ts";
import { macs, parameters } from "../elastic/costs.ts";
import { parseArchitecture } from "../elastic/resnet_architecture.ts";
import { SearchSpace } from "../elastic/search_space.ts";
import type { GivenValues } from "../nn/encoder.ts";
import type { Network } from "../nn/network.ts";
import { ElasticResNet } from "../nn/resnet.ts";
import { describePreprocessing, evaluationResize, type EvaluationSize } from "../data/evaluation_image.ts";
import { version } from "../version.ts";
import type { PlainWeights } from "./cut.ts";

/** The images that a model was made for: sides in pixels, and the normalisation (value / 255 - mean) / std. */
export interface ModelInput extends EvaluationSize {
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** The images that the batchnorm statistics were taken from. */
export interface Calibration {
  readonly images: number;
  /** Data specification. */
  readonly source: string;
}

/** What a model file says beside the weights. */
export interface ModelDescription {
  /** The network of this one architecture, which is its space's only one. */
  readonly network: Network;
  readonly input: ModelInput;
  /** Undefined for the running statistics of pretraining, which are a mixture over architectures. */
  readonly calibration: Calibration | undefined;
  /** Names of the classes that its classifier tells apart; undefined for a backbone alone. */
  readonly classes?: readonly string[] | undefined;
}

/** The classifier's parameters, called as torchvision calls them: `fc.weight` [classes, features] and `fc.bias`. */
export const classifierNames = ["fc.weight", "fc.bias"] as const;

/** A subnet on the host. */
export interface PlainModel extends ModelDescription {
  /** With {@linkcode classifierNames} where it has a classifier. */
  readonly weights: PlainWeights;
}

/** The backbone's values, for a network that begins with them. */
export function backboneValues({ weights }: PlainModel): GivenValues {
  const classifier: readonly string[] = classifierNames;
  return new Map(
    [...weights].filter(([name]) => !classifier.includes(name))
      .map(([name, { data }]) => [name, data as Float32Array<ArrayBuffer>]),
  );
}

/** Raised with every change of the metadata or the tensors. From 2 on, files carry a checksum. */
const modelFormat = "scion-model-2";

/** Written by older versions, without a checksum; read as well. */
const olderFormat = "scion-model-1";

/** Multiplications for one image of the model's size, and parameters. */
export function modelCosts({ network, input }: ModelDescription): { macs: number; params: number } {
  const { max } = network.space;
  return { macs: macs(network, max, input.imageSize), params: parameters(network, max) };
}

/** The description as a file's metadata, every value a JSON text or a plain word. */
export function formatMetadata(model: ModelDescription): Record<string, string> {
  const { network, input, calibration, classes } = model;
  const costs = modelCosts(model);
  return {
    format: modelFormat,
    scion: version,
    arch: formatArchitecture(network.space.max),
    ...network.description,
    imageSize: String(input.imageSize),
    mean: JSON.stringify(input.mean),
    std: JSON.stringify(input.std),
    preprocessing: JSON.stringify(describePreprocessing(input)),
    calibration: calibration ? JSON.stringify(calibration) : "none",
    macs: String(costs.macs),
    params: String(costs.params),
    ...classes && { classes: JSON.stringify(classes) },
  };
}

const count = z.int().min(1);
const channels = z.tuple([z.number(), z.number(), z.number()]);
const calibration = z.object({ images: count, source: z.string() });
/** Absent in files of older versions, whose models see what those of this version do. */
const preprocessing = z.object({ resize: count });

/** A metadata value that holds JSON. */
function json<T extends z.ZodType>(schema: T) {
  return z.string().transform((text, context) => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: "custom", message: "is not JSON" });
      return z.NEVER;
    }
  }).pipe(schema);
}

const metadataSchema = z.object({
  arch: z.string(),
  imageSize: json(count),
  mean: json(channels),
  std: json(channels),
  preprocessing: json(preprocessing).optional(),
  calibration: z.union([z.literal("none").transform(() => undefined), json(calibration)]),
  classes: json(z.array(z.string()).min(2)).optional(),
});

/** What `ElasticResNet.description` writes. */
const resnetSchema = z.object({
  arch: z.string(),
  block: z.enum(["bottleneck", "basic"]),
  stem: z.enum(["7x7", "3x3"]),
  strides: json(z.array(count)),
  dilated: json(z.array(z.boolean())).optional(),
});

/** A model file's header. */
interface ModelHeader {
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, unknown>;
  readonly checksum?: string | undefined;
}

function parseWith<T extends z.ZodType>(
  schema: T,
  { path, metadata }: Pick<ModelHeader, "path" | "metadata">,
): z.output<T> {
  const result = schema.safeParse(metadata);
  if (result.success) return result.data;
  const { path: [field], message } = result.error.issues[0];
  throw new DataError(
    `${path} is damaged: its metadata "${String(field)}" is ${JSON.stringify(metadata[String(field)])} ` +
      `(${message}). Extract the model again.`,
  );
}

/** The ResNet that a file describes. Which stages project their shortcut is told by the names of the tensors. */
function parseResNet(file: ModelHeader): ElasticResNet {
  const { arch, block, stem, strides, dilated } = parseWith(resnetSchema, file);
  const { stem: stemWidth, widths, depths } = parseArchitecture(arch);
  const space = new SearchSpace({
    block,
    stem: { kind: stem, widths: [stemWidth] },
    widths: widths.map((width) => [width]),
    depths: depths.map((depth) => [depth]),
    strides,
    named: {},
    downsample: widths.map((_, stage) => file.tensors.has(`layer${stage + 1}.0.downsample.0.weight`)),
  });
  return new ElasticResNet(space, { dilated });
}

/**
 * Reads a file's metadata back.
 *
 * @param file path and contents of a safetensors file
 * @param supernet the network that the model was cut out of; without, it is a ResNet that describes itself
 * @throws {DataError} when the file is no model, one of another format, or contradicts itself
 */
export function parseMetadata(file: ModelHeader, supernet?: Network): ModelDescription {
  const { path, metadata } = file;
  expectModel(path, metadata);
  if (metadata.format === modelFormat && file.checksum === undefined) {
    throw new DataError(`${path} is damaged: its checksum is missing. Extract the model again.`);
  }
  const { arch, calibration, classes, ...metadataInput } = parseWith(metadataSchema, file);
  const input = inputOf(path, metadataInput);
  try {
    const network = supernet ? supernet.cut(supernet.space.resolve(arch)) : parseResNet(file);
    return { network, input, calibration, ...classes && { classes } };
  } catch (error) {
    if (!(error instanceof Error) || error instanceof DataError) throw error;
    throw new DataError(`${path} is damaged: ${error.message} Extract the model again.`, { cause: error });
  }
}

/** The images that metadata describe. */
function inputOf(
  path: string,
  { imageSize, mean, std, preprocessing }: Pick<
    z.output<typeof metadataSchema>,
    "imageSize" | "mean" | "std" | "preprocessing"
  >,
): ModelInput {
  const { resize = evaluationResize(imageSize) } = preprocessing ?? {};
  if (resize < imageSize) {
    throw new DataError(
      `${path} is damaged: its metadata resize images to ${resize} and cut ${imageSize} out. Extract the model again.`,
    );
  }
  return { imageSize, mean, std, ...(resize !== evaluationResize(imageSize) && { resize }) };
}

/** What Scion says in an ONNX file about the model in it. */
export interface OnnxDescription {
  readonly arch: string;
  readonly input: ModelInput;
  readonly calibration: Calibration | undefined;
}

/**
 * Reads the metadata of an ONNX file; undefined where another program wrote it.
 *
 * @throws {DataError} when Scion wrote them and they cannot be right
 */
export function parseOnnxMetadata(
  path: string,
  metadata: Readonly<Record<string, string>>,
): OnnxDescription | undefined {
  if (!metadata.format?.startsWith("scion-model-")) return undefined;
  const { arch, calibration, ...input } = parseWith(metadataSchema, { path, metadata });
  return { arch, input: inputOf(path, input), calibration };
}

function expectModel(path: string, { format, step, config }: Readonly<Record<string, string>>): void {
  if (format === modelFormat || format === olderFormat) return;
  if (step !== undefined && config !== undefined) {
    throw new DataError(
      `${path} is a checkpoint, not an extracted model. Give its run folder with --run, or cut a subnet out of it ` +
        `with "deno task extract".`,
    );
  }
  if (format?.startsWith("scion-model-")) {
    throw new DataError(
      `${path} has model format ${format}; this version reads ${olderFormat} and ${modelFormat}. Use the version of Scion that wrote it.`,
    );
  }
  throw new DataError(
    `${path} is not an extracted model: its metadata do not say "format": "${modelFormat}". ` +
      `"deno task extract" writes such files.`,
  );
}
