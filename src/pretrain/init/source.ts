/** Which ResNet a file of weights holds, told by the names and shapes of its tensors. */
import { weightsOf } from "../../elastic/network.ts";
import { SearchSpace, type SpaceDefinition } from "../../elastic/search_space.ts";
import { ConfigurationError, DataError } from "../../errors.ts";
import { ElasticResNet } from "../../nn/resnet.ts";
import { formatShape } from "../../store/safetensors_header.ts";
import type { WeightsFile } from "../../store/weights_file.ts";

/** The ResNet of a file. */
export interface SourceNetwork {
  /** Its one architecture is the file's. */
  readonly network: ElasticResNet;
  /** What stands before torchvision's names in the file, e.g. `module.encoder_q.`. */
  readonly prefix: string;
  /** What else the file holds, e.g. `fc.*`; nothing of it is used. */
  readonly leftOut: readonly string[];
}

/** Parts of the prefixes under which training programs keep a backbone. */
const prefixParts = ["module", "model", "backbone", "encoder", "encoder_q", "base_encoder"];

/** What every ResNet has. */
const landmark = "layer1.0.conv1.weight";

const tensorName =
  /^(?:conv1\.weight|bn1\.\w+|layer(\d+)\.(\d+)\.(?:conv[123]\.weight|bn[123]\.\w+|downsample\.0\.weight|downsample\.1\.\w+))$/;

/** PyTorch counts a batchnorm's batches; nothing reads it. */
const counter = /\.num_batches_tracked$/;

const known =
  "torchvision's ResNets of basic or bottleneck blocks with a 7x7 or 3x3 first convolution are read, not wide, " +
  "grouped (ResNeXt) or otherwise changed ones";

/**
 * Finds the ResNet in a file.
 *
 * @param strides of the stages, which no weights tell; torchvision's unless given
 * @throws {DataError} naming the tensor that no such ResNet has, or that is missing
 */
export function describeSource(file: WeightsFile, strides?: readonly number[]): SourceNetwork {
  const prefix = findPrefix(file);
  const inside = new Set<string>();
  const leftOut = new Set<string>();
  for (const name of file.tensors.keys()) {
    const own = name.startsWith(prefix) ? name.slice(prefix.length) : undefined;
    if (own !== undefined && tensorName.test(own)) inside.add(own);
    else if (own !== undefined && /^(layer\d|conv1\.|bn1\.)/.test(own)) {
      throw new DataError(
        `${file.path} has a tensor "${name}", which no ResNet has that is known here: ${known}.`,
      );
    } else leftOut.add(firstPart(own === undefined ? "" : prefix, own ?? name));
  }
  const network = networkOf(file, prefix, inside, strides);
  expectWeights(file, prefix, inside, network);
  return { network, prefix, leftOut: [...leftOut] };
}

/** `fc.*` for `fc.weight`, behind what is put before both. */
function firstPart(prefix: string, name: string): string {
  const [part] = /^(?:module\.)?[^.]*/.exec(name)!;
  return `${prefix}${part}${part === name ? "" : ".*"}`;
}

function findPrefix(file: WeightsFile): string {
  const allowed = new RegExp(`^(?:(?:${prefixParts.join("|")})\\.)*$`);
  const found = [...file.tensors.keys()].filter((name) => name.endsWith(landmark))
    .map((name) => name.slice(0, -landmark.length));
  const usable = found.filter((prefix) => allowed.test(prefix));
  if (usable.length === 1) return usable[0];
  const list = (values: readonly string[]) => values.slice(0, 4).map((value) => `"${value}"`).join(", ");
  throw new DataError(
    usable.length > 1
      ? `${file.path} holds several ResNets, under ${list(usable)}. Give a file with one of them.`
      : found.length > 0
      ? `${file.path} holds a ResNet under ${list(found)}, which is not known; prefixes are made of ` +
        `${prefixParts.map((part) => `${part}.`).join(" ")}. Save its weights alone.`
      : `${file.path} holds no ResNet: it has no tensor "${landmark}". It has ` +
        `${list([...file.tensors.keys()]) || "none"}${
          file.tensors.size > 4 ? ", …" : ""
        }. Give the weights of one: ${known}.`,
  );
}

function networkOf(
  file: WeightsFile,
  prefix: string,
  inside: ReadonlySet<string>,
  strides: readonly number[] | undefined,
): ElasticResNet {
  const blocks = new Map<number, Set<number>>();
  for (const name of inside) {
    const [, stage, block] = tensorName.exec(name)!;
    if (stage === undefined) continue;
    let found = blocks.get(Number(stage));
    if (!found) blocks.set(Number(stage), found = new Set());
    found.add(Number(block));
  }
  const stages = Array.from({ length: blocks.size }, (_, index) => index + 1);
  const firstMissing = stages.find((stage) => !blocks.has(stage));
  if (firstMissing !== undefined) throw missing(file, `${prefix}layer${firstMissing}.0.conv1.weight`);
  const outputs = (name: string) => shapeOf(file, prefix, name)[0];
  const kernel = shapeOf(file, prefix, "conv1.weight")[2];
  if (kernel !== 7 && kernel !== 3) {
    const found = formatShape(shapeOf(file, prefix, "conv1.weight"));
    throw new DataError(`${file.path}: the first convolution, ${found}, is not 7x7 or 3x3: ${known}.`);
  }
  const definition: SpaceDefinition = {
    block: inside.has("layer1.0.conv3.weight") ? "bottleneck" : "basic",
    stem: { kind: kernel === 7 ? "7x7" : "3x3", widths: [outputs("conv1.weight")] },
    widths: stages.map((stage) => [outputs(`layer${stage}.0.conv1.weight`)]),
    depths: stages.map((stage) => [blocks.get(stage)!.size]),
    strides: strides?.length === stages.length ? strides : stages.map((stage) => stage === 1 ? 1 : 2),
    downsample: stages.map((stage) => inside.has(`layer${stage}.0.downsample.0.weight`)),
  };
  try {
    return new ElasticResNet(new SearchSpace(definition));
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    throw new DataError(`${file.path} is no ResNet that can be used: ${error.message}`, { cause: error });
  }
}

/** Every tensor of the network is there, as floats in its shape, and no other. */
function expectWeights(
  file: WeightsFile,
  prefix: string,
  inside: ReadonlySet<string>,
  network: ElasticResNet,
): void {
  const { parameters, statistics } = weightsOf(network, network.space.max);
  const shapes = new Map([
    ...[...parameters].map(([name, { shape }]) => [name, shape] as const),
    ...statistics,
  ]);
  for (const [name, shape] of shapes) {
    const found = shapeOf(file, prefix, name);
    if (found.join() !== shape.join()) {
      throw new DataError(
        `${file.path}: tensor "${prefix}${name}" is ${formatShape(found)}, expected ${
          formatShape(shape)
        } in a ResNet ` +
          `${network.space.max.id} of ${network.space.definition.block} blocks: ${known}.`,
      );
    }
    if (!file.tensors.get(prefix + name)!.floats) {
      throw new DataError(`${file.path}: tensor "${prefix}${name}" holds whole numbers, expected floats.`);
    }
  }
  const extra = [...inside].find((name) => !shapes.has(name) && !counter.test(name));
  if (extra !== undefined) {
    throw new DataError(
      `${file.path} has a tensor "${prefix}${extra}", which does not belong there: ${known}.`,
    );
  }
}

function shapeOf(file: WeightsFile, prefix: string, name: string): readonly number[] {
  const found = file.tensors.get(prefix + name);
  if (!found) throw missing(file, prefix + name);
  return found.shape;
}

function missing(file: WeightsFile, name: string): DataError {
  return new DataError(`${file.path} has no tensor "${name}", which its ResNet needs: ${known}.`);
}
