/**
 * Which channels of a ResNet are the same channels: a residual stream is written by the last convolution of every block of
 * its stage and by the projection of the first, and read by the first convolutions behind. Whoever brings channels into
 * another order must do so for all of them together; then the network computes the same.
 */
import { elements, type Shape } from "../shape.ts";
import type { ConvolutionBatchnorm } from "./layers.ts";
import type { ElasticResNet } from "./resnet.ts";

/** Channels that share one order: those of the stem, of a stage's residual stream, or within one block. */
export interface ChannelGroup {
  readonly channels: number;
  /** The dimension of the search space by which they are sliced, e.g. `stage 2 width`. */
  readonly dimension: string;
}

/** A convolution with its batchnorm, and the groups that it reads and writes. */
export interface ConnectedLayer {
  readonly convolution: string;
  readonly batchnorm: string;
  /** Undefined for the channels of images. */
  readonly input: ChannelGroup | undefined;
  readonly output: ChannelGroup;
}

/** The layers of a ResNet at its largest architecture, connected. */
export interface Connections {
  readonly layers: readonly ConnectedLayer[];
  /** The residual stream of each stage. Two stages, or the stem and a stage, may share one. */
  readonly streams: readonly ChannelGroup[];
}

/** Finds the groups of a network's channels. */
export function connectionsOf(network: ElasticResNet): Connections {
  const { space } = network;
  const { max, expansion } = space;
  const layers: ConnectedLayer[] = [];
  const connect = (
    { definition: { convolution, batchnorm } }: ConvolutionBatchnorm,
    input: ChannelGroup,
    output: ChannelGroup,
  ) => void layers.push({ convolution, batchnorm, input, output });
  let stream: ChannelGroup = { channels: max.stem, dimension: "stem width" };
  layers.push({ convolution: "conv1", batchnorm: "bn1", input: undefined, output: stream });
  const streams = max.widths.map((width, stage) => {
    const dimension = `stage ${stage + 1} width`;
    const input = stream;
    if (space.hasDownsample(stage)) stream = { channels: width * expansion, dimension };
    for (let index = 0; index < max.depths[stage]; index++) {
      const { branch, downsample } = network.block(stage, index, width);
      let value = index === 0 ? input : stream;
      if (downsample) connect(downsample, value, stream);
      for (const layer of branch) {
        const output = layer === branch.at(-1) ? stream : { channels: width, dimension };
        connect(layer, value, output);
        value = output;
      }
    }
    return stream;
  });
  return { layers, streams };
}

/** The tensors of a batchnorm, one value a channel. */
export const batchnormTensors = ["weight", "bias", "running_mean", "running_var"] as const;

/** For each channel of a group, in its new order, the channel that it is in the old one. */
export type ChannelOrders = ReadonlyMap<ChannelGroup, ArrayLike<number>>;

/**
 * Brings the channels of all layers into other orders. An order that names fewer channels than there are leaves out the
 * others.
 *
 * @param orders of the groups; one without keeps its own
 * @param read a tensor by its name, with its shape in the old order
 * @returns parameters and running statistics by name
 */
export async function reorder(
  layers: readonly ConnectedLayer[],
  orders: ChannelOrders,
  read: (name: string) => Promise<{ readonly shape: Shape; readonly data: Float32Array }>,
): Promise<Map<string, { readonly shape: Shape; readonly data: Float32Array<ArrayBuffer> }>> {
  const reordered = new Map<string, { shape: Shape; data: Float32Array<ArrayBuffer> }>();
  const take = async (name: string, rows: ArrayLike<number> | undefined, columns?: ArrayLike<number>) => {
    const { shape, data } = await read(name);
    const [allRows, allColumns = 1, ...window] = shape;
    const inner = elements(window);
    const chosen = [rows?.length ?? allRows, columns?.length ?? allColumns];
    const result = new Float32Array(chosen[0] * chosen[1] * inner);
    for (let row = 0, to = 0; row < chosen[0]; row++) {
      const from = (rows ? rows[row] : row) * allColumns * inner;
      for (let column = 0; column < chosen[1]; column++) {
        const start = from + (columns ? columns[column] : column) * inner;
        for (let at = start; at < start + inner; at++) result[to++] = data[at];
      }
    }
    reordered.set(name, {
      shape: shape.length === 1 ? [chosen[0]] : [...chosen, ...window],
      data: result,
    });
  };
  for (const { convolution, batchnorm, input, output } of layers) {
    const rows = orders.get(output);
    await take(`${convolution}.weight`, rows, input && orders.get(input));
    for (const tensor of batchnormTensors) await take(`${batchnorm}.${tensor}`, rows);
  }
  return reordered;
}
