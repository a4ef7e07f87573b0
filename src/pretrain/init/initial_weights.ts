/**
 * Weights that exist, for a supernet to start from: read, checked against the configuration's space, their channels sorted
 * by importance and cut to its largest architecture. What is filled equals the file's network up to the order of channels.
 */
import type { Config } from "../../config/schema.ts";
import { DataError } from "../../errors.ts";
import { type ChannelGroup, type Connections, connectionsOf, reorder } from "../../nn/channels.ts";
import { configuredNetwork } from "../../nn/configured_network.ts";
import type { ElasticResNet } from "../../nn/resnet.ts";
import { fileSha256, openWeightsFile } from "../../store/open_weights.ts";
import type { WeightsFile } from "../../store/weights_file.ts";
import type { StreamOrders } from "../stream_orders.ts";
import { expectFit } from "./fit.ts";
import { type HostTensor, type Identities, identitiesFor } from "./identities.ts";
import { channelOrders } from "./importance.ts";
import { describeSource, type SourceNetwork } from "./source.ts";

/** Weights ready for the device. */
export interface InitialWeights {
  /** The configuration with the file's checksum in it. */
  readonly config: Config;
  /** Parameters and running statistics of the backbone by torchvision's names, in full width. */
  readonly values: ReadonlyMap<string, Float32Array<ArrayBuffer>>;
  /**
   * For each stage the channel in the file that each channel of its residual stream is; undefined for a stage whose channels
   * stand as they did.
   */
  readonly streamOrders: StreamOrders;
  /**
   * Batchnorms of projections that the file's network has not, as its shortcuts are identities there. They are identities,
   * too, as long as nothing is normalised by other statistics; see {@linkcode settleIdentities}.
   */
  readonly identities: readonly string[];
  /** What was read, cut and left out, in a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Reads the weights that a configuration starts from.
 *
 * @returns undefined where it starts from new ones
 * @throws {DataError} for a file that cannot be used, or is not the one whose checksum the configuration holds
 * @throws {ConfigurationError} when the space does not fit the file's network, saying what to set
 */
export async function readInitialWeights(config: Config): Promise<InitialWeights | undefined> {
  const { weights: path, weightsSha256: wanted } = config.initialisation;
  if (path === null) return undefined;
  const weightsSha256 = await fileSha256(path);
  if (wanted !== null && wanted !== weightsSha256) {
    throw new DataError(
      `${path} is not the file whose SHA-256 is initialisation.weightsSha256: it has ${weightsSha256}, expected ` +
        `${wanted}. Give that file, or leave the checksum out.`,
    );
  }
  using file = await openWeightsFile(path);
  const network = configuredNetwork(config);
  const source = describeSource(file, config.space.strides);
  expectFit(file.path, source.network.space, network.space);
  return {
    ...await fill(file, source, network),
    config: { ...config, initialisation: { ...config.initialisation, weightsSha256 } },
    notes: notesOn(file.path, source, network),
  };
}

async function fill(
  file: WeightsFile,
  { network: sourceNetwork, prefix }: SourceNetwork,
  network: ElasticResNet,
): Promise<Pick<InitialWeights, "values" | "streamOrders" | "identities">> {
  const read = async (name: string): Promise<HostTensor> => {
    const data = await file.read(prefix + name);
    const wrong = data.find((value) => !Number.isFinite(value));
    if (wrong !== undefined) {
      throw new DataError(
        `${file.path}: tensor "${prefix}${name}" holds ${wrong}. Give weights of a training that did not diverge.`,
      );
    }
    if (name.endsWith("running_var") && data.some((value) => value < 0)) {
      throw new DataError(`${file.path}: tensor "${prefix}${name}" holds a variance below 0. It is damaged.`);
    }
    return { shape: file.tensors.get(prefix + name)!.shape, data };
  };
  const connections = connectionsOf(network);
  const identities = identitiesFor(sourceNetwork, connections);
  const sorted = sortedGroups(sourceNetwork, network, connections, identities.same);
  const classifierInfo = file.tensors.get(`${prefix}fc.weight`);
  const { widths } = sourceNetwork.space.max;
  const features = widths[widths.length - 1] * sourceNetwork.space.expansion;
  const isClassifier = classifierInfo?.floats && classifierInfo.shape.length === 2 &&
    classifierInfo.shape[1] === features;
  const readAny = async (name: string) => identities.tensors.get(name) ?? await read(name);
  const orders = await channelOrders({
    connections,
    same: identities.same,
    sorted,
    read: readAny,
    classifier: isClassifier ? await read("fc.weight") : undefined,
  });
  const tensors = await reorder(connections.layers, orders, readAny);
  return {
    identities: identities.batchnorms,
    values: new Map([...tensors].map(([name, { data }]) => [name, data])),
    streamOrders: connections.streams.map((stream) => {
      const order = orders.get(stream);
      return order && Int32Array.from(order);
    }),
  };
}

/** The groups whose channels can be chosen, or of which the source has more. */
function sortedGroups(
  source: ElasticResNet,
  network: ElasticResNet,
  { layers }: Connections,
  same: Identities["same"],
): Set<ChannelGroup> {
  const before = channelsOf(source), now = channelsOf(network);
  const elastic = new Map(network.space.dimensions.map(({ name, choices }) => [name, choices.length > 1]));
  const one = (group: ChannelGroup) => same.get(group) ?? group;
  const isSorted = ({ dimension }: ChannelGroup) =>
    elastic.get(dimension)! || before.get(dimension)! > now.get(dimension)!;
  const groups = layers.map(({ output }) => output);
  // Of groups that are the same channels, all or none.
  const sorted = new Set(groups.filter(isSorted).map(one));
  return new Set(groups.filter((group) => sorted.has(one(group))));
}

/** Of the largest architecture, by the names of the dimensions. */
function channelsOf({ space: { dimensions, max } }: ElasticResNet): Map<string, number> {
  return new Map(dimensions.map(({ name }, index) => [name, max.choices[index]]));
}

function notesOn(path: string, { network, leftOut }: SourceNetwork, { space }: ElasticResNet): string[] {
  const { max } = network.space;
  const notes = [`starts from ${path}, a ResNet ${max.id} of ${network.space.definition.block} blocks`];
  if (max.id !== space.max.id) {
    notes.push(
      `of ${max.id} the most important channels and the first blocks are taken, ${space.max.id}: the largest network ` +
        `does not compute what the file's does`,
    );
  }
  if (leftOut.length > 0) {
    const listed = leftOut.slice(0, 6).join(", ") + (leftOut.length > 6 ? ", …" : "");
    notes.push(`not used of ${path}: ${listed}; the projection head is new`);
  }
  return notes;
}
