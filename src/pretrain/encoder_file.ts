/** One of a checkpoint's encoders, without what only training needs. */
import type { Config } from "../config/schema.ts";
import type { Gpu } from "../gpu/device.ts";
import { configuredNetwork } from "../nn/configured_network.ts";
import { Encoder } from "../nn/encoder.ts";
import { FinitenessCheck } from "../nn/finiteness.ts";
import { withOutputStride } from "../nn/output_stride.ts";
import { expectFinite } from "./checkpoint.ts";
import { openCheckpointFile } from "./checkpoint_file.ts";
import { configuredHeads } from "./objective.ts";
import type { StreamOrders } from "./stream_orders.ts";

/** One of a run's encoders: the one that was trained, or its moving average. */
export type EncoderName = "query" | "momentum";

/** The prefix of an encoder's tensors in a checkpoint. */
export function encoderPrefix(name: EncoderName): "encoder_q" | "encoder_k" {
  return name === "query" ? "encoder_q" : "encoder_k";
}

/**
 * Opens the trained encoder of a checkpoint (`encoder_q`) or its moving average (`encoder_k`). The caller releases it.
 *
 * @param outputStride of its network, see {@linkcode withOutputStride}; its own where none is given
 * @throws {DataError} for a file that is no checkpoint, is damaged, contradicts its own configuration, or holds values
 * that are not finite
 */
export async function openEncoder(
  gpu: Gpu,
  path: string,
  name: "encoder_q" | "encoder_k",
  outputStride?: number,
): Promise<{ config: Config; encoder: Encoder; streamOrders: StreamOrders }> {
  const { file, config, streamOrders } = await openCheckpointFile(path);
  using _ = file;
  const own = configuredNetwork(config);
  const network = outputStride === undefined ? own : withOutputStride(own, outputStride);
  const [head, ...furtherHeads] = configuredHeads(network, config);
  const encoder = new Encoder(gpu, network, head, false, furtherHeads);
  const arenas = [encoder.weights.values, encoder.statistics.arena];
  try {
    for (const arena of arenas) {
      for (const [tensorName, tensor] of arena.entries()) {
        const { data } = await file.readExpected(`${name}.${tensorName}`, "F32", tensor.shape);
        tensor.write(data as Float32Array<ArrayBuffer>);
      }
    }
    await expectFinite(path, new FinitenessCheck(gpu, arenas.map((arena) => [`${name}.`, arena])));
  } catch (error) {
    encoder.release();
    throw error;
  }
  return { config, encoder, streamOrders };
}
