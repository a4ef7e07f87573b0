/**
 * Models that are cut out of a run which began with given weights have their outputs in the order of those weights: the
 * supernet keeps channels by importance (src/pretrain/init), and what a user trained on the old features, a classifier or a
 * detector's neck, goes on with the new ones.
 */
import { connectionsOf, reorder } from "../nn/channels.ts";
import type { Network } from "../nn/network.ts";
import { ElasticResNet } from "../nn/resnet.ts";
import type { StreamOrders } from "../pretrain/stream_orders.ts";
import type { PlainWeights } from "./cut.ts";

/**
 * Which of a stage's leading channels comes at each place, so that they stand as in the file.
 *
 * @param order the channel in the file that each channel is
 * @param channels how many of them a subnet has
 */
export function orderOfFile(order: ArrayLike<number>, channels: number): Uint32Array {
  return Uint32Array.from({ length: channels }, (_, channel) => channel)
    .sort((one, other) => order[one] - order[other]);
}

/**
 * Puts the outputs of a subnet's stages, and with them its pooled features, back into the order of the file that its run
 * began with. It computes the same.
 *
 * @param network of the subnet alone
 */
export async function restoreOrder(
  network: Network,
  weights: PlainWeights,
  orders: StreamOrders,
): Promise<PlainWeights> {
  if (!(network instanceof ElasticResNet) || orders.every((order) => order === undefined)) return weights;
  const { layers, streams } = connectionsOf(network);
  const positions = new Map(streams.flatMap((stream, stage) => {
    const order = orders[stage];
    return order ? [[stream, orderOfFile(order, stream.channels)] as const] : [];
  }));
  const restored = await reorder(layers, positions, (name) => Promise.resolve(weights.get(name)!));
  return new Map([...weights.keys()].map((name) => [name, { dtype: "F32", ...restored.get(name)! }]));
}

/**
 * Rows whose columns stand in another order.
 *
 * @param values [rows, columns]
 * @param order which column comes at each place
 */
export function chooseColumns(values: Float32Array, order: ArrayLike<number>): Float32Array<ArrayBuffer> {
  const columns = order.length;
  return Float32Array.from(values, (_, at) => values[at - at % columns + order[at % columns]]);
}
