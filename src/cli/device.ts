/** Opening the device for a command. */

import type { Gpu } from "../gpu/device.ts";
import { openGpu } from "../host/adapter.ts";
import { readTuning } from "../tuning/tuning_file.ts";
import type { Logger } from "./logger.ts";

/**
 * Opens the system's adapter, with the kernel variants that `deno task tune` chose for it, if it did.
 *
 * @throws {GpuError} when there is none
 */
export async function openDevice(logger: Logger): Promise<Gpu> {
  const gpu = await openGpu();
  const { path, choices, fault } = await readTuning(gpu);
  if (fault !== undefined) logger.warn(fault);
  if (choices.size > 0) {
    gpu.tuning.use(choices);
    logger.info(`tuned: kernel variants of ${choices.size} kinds of launches from ${path}`);
  }
  return gpu;
}
