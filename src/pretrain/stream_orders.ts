/**
 * Sorted channels of weights that a run began with, as a checkpoint keeps them: `channel_order.layer4` I32 [C] says which
 * channel in the file each channel of the fourth stage's output is. Models that are cut out are put back into that order.
 */
import type { Config } from "../config/schema.ts";
import { SearchSpace } from "../elastic/search_space.ts";
import { DataError } from "../errors.ts";
import type { SafetensorsFile, TensorData } from "../store/safetensors.ts";

/** For each stage, the channel in the file that each channel of its residual stream is; undefined for the same. */
export type StreamOrders = readonly (Int32Array<ArrayBuffer> | undefined)[];

const nameOf = (stage: number) => `channel_order.layer${stage + 1}`;

/** What a checkpoint holds of them. */
export function streamOrderTensors(orders: StreamOrders): [name: string, tensor: TensorData][] {
  return orders.flatMap((data, stage) =>
    data ? [[nameOf(stage), { dtype: "I32", shape: [data.length], data }]] : []
  );
}

/**
 * Reads them from a checkpoint.
 *
 * @throws {DataError} for one that names a channel twice, or has another length than the stage's output
 */
export async function readStreamOrders(file: SafetensorsFile, config: Config): Promise<StreamOrders> {
  const { max, expansion } = new SearchSpace(config.space);
  return await Promise.all(max.widths.map(async (width, stage) => {
    const name = nameOf(stage);
    if (!file.tensors.has(name)) return undefined;
    const { data } = await file.readExpected(name, "I32", [width * expansion]);
    if (new Set(data).size === data.length && data.every((channel) => channel >= 0)) {
      return data as Int32Array<ArrayBuffer>;
    }
    throw new DataError(
      `${file.path} is damaged: its ${name} names a channel twice, or one below 0. Restore the file, or use another ` +
        `checkpoint with --checkpoint epoch-N.`,
    );
  }));
}
