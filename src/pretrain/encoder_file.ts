/** One of a checkpoint's encoders, without what only training needs. */
import type { Config } from "../config/schema.ts";
import type { Gpu } from "../gpu/device.ts";
import { configuredNetwork } from "../nn/configured_network.ts";
import { Encoder } from "../nn/encoder.ts";
import { openSafetensors } from "../store/safetensors.ts";
import { readCheckpointConfig } from "./checkpoint.ts";

/**
 * Opens the trained encoder of a checkpoint (`encoder_q`) or its moving average (`encoder_k`). The caller releases it.
 *
 * @throws {DataError} for a file that is no checkpoint, is truncated, or contradicts its own configuration
 */
export async function openEncoder(
  gpu: Gpu,
  path: string,
  name: "encoder_q" | "encoder_k",
): Promise<{ config: Config; encoder: Encoder }> {
  const config = await readCheckpointConfig(path);
  using file = await openSafetensors(path);
  const encoder = new Encoder(gpu, configuredNetwork(config), config.head, false);
  try {
    for (const arena of [encoder.weights.values, encoder.statistics.arena]) {
      for (const [tensorName, tensor] of arena.entries()) {
        const { data } = await file.readExpected(`${name}.${tensorName}`, "F32", tensor.shape);
        tensor.write(data as Float32Array<ArrayBuffer>);
      }
    }
  } catch (error) {
    encoder.release();
    throw error;
  }
  return { config, encoder };
}
