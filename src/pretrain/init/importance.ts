/**
 * In which order channels of given weights stand in a supernet, so that its slices, which are leading channels, begin with
 * the important ones. Importance of a channel is the L1 norm of the weights that read it, as in Once-for-All (Cai et al.,
 * ICLR 2020): weight decay has shrunk the weights that read what is of no use.
 */
import { elements } from "../../shape.ts";
import type { ChannelGroup, ChannelOrders, Connections } from "../../nn/channels.ts";
import { epsilon, type HostTensor } from "./identities.ts";

/** Reads a tensor of the source by torchvision's name. */
export type ReadTensor = (name: string) => Promise<HostTensor>;

/** What orders are made for. */
export interface OrderRequest {
  /** Of the network that is filled: of a deeper source, these are the blocks that are taken. */
  readonly connections: Connections;
  /** Groups that are, in the source, the same channels as another group, which stands for both: they get one order. */
  readonly same: ReadonlyMap<ChannelGroup, ChannelGroup>;
  /** The groups whose channels are sliced or cut; the others keep their order. */
  readonly sorted: ReadonlySet<ChannelGroup>;
  readonly read: ReadTensor;
  /** The classifier that reads the last stage, [classes, channels], where the file has one. */
  readonly classifier: HostTensor | undefined;
}

/**
 * The channels of each sorted group, the most important first, equal ones as they stood; as many as the group has. The last
 * stage is read by the classifier, too. Where nothing reads it, what writes it counts, with its batchnorm's scale.
 */
export async function channelOrders(
  { connections: { layers, streams }, same, sorted, read, classifier }: OrderRequest,
): Promise<ChannelOrders> {
  const norms = new Map<ChannelGroup, Float64Array>();
  const last = streams.at(-1)!;
  const one = (group: ChannelGroup) => same.get(group) ?? group;
  const add = (group: ChannelGroup, values: Float64Array) => {
    const sum = norms.get(one(group));
    if (sum) values.forEach((value, channel) => sum[channel] += value);
    else norms.set(one(group), values);
  };
  for (const { convolution, input } of layers) {
    if (input && sorted.has(input)) add(input, columnNorms(await read(`${convolution}.weight`)));
  }
  if (classifier && sorted.has(last)) add(last, columnNorms(classifier));
  if (sorted.has(last) && !norms.has(one(last))) {
    for (const { convolution, batchnorm, output } of layers) {
      if (output !== last) continue;
      const written = rowNorms(await read(`${convolution}.weight`));
      const { data: scale } = await read(`${batchnorm}.weight`);
      const { data: variance } = await read(`${batchnorm}.running_var`);
      add(
        last,
        written.map((norm, channel) =>
          norm * Math.abs(scale[channel]) / Math.sqrt(variance[channel] + epsilon)
        ),
      );
    }
  }
  return new Map(
    [...sorted].map((group) => [group, mostImportant(norms.get(one(group))!, group.channels)]),
  );
}

/** Sums of absolute values over all but the second dimension. */
function columnNorms({ shape: [rows, columns, ...window], data }: HostTensor): Float64Array {
  const norms = new Float64Array(columns);
  const inner = elements(window);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (const end = at + inner; at < end; at++) norms[column] += Math.abs(data[at]);
    }
  }
  return norms;
}

/** Sums of absolute values over all but the first dimension. */
function rowNorms({ shape: [rows], data }: HostTensor): Float64Array {
  const norms = new Float64Array(rows);
  const inner = data.length / rows;
  data.forEach((value, at) => norms[Math.floor(at / inner)] += Math.abs(value));
  return norms;
}

function mostImportant(norms: Float64Array, count: number): Uint32Array {
  const order = Uint32Array.from(norms, (_, channel) => channel);
  return order.sort((one, other) => norms[other] - norms[one] || one - other).slice(0, count);
}
