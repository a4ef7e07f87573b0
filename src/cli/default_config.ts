/** The configuration of a pretraining for which none is named. */
import { loadSettings } from "../config/load.ts";
import { parseDataSpec } from "../data/spec.ts";
import { isSoftware } from "../gpu/device.ts";
import { findAdapter } from "../host/adapter.ts";
import { lookAtImages } from "../pretrain/fit/look.ts";
import { givenData } from "./data_flag.ts";
import { configurationFor } from "./init_flag.ts";
import type { Logger } from "./logger.ts";

export const demoConfig = "configs/demo.json";
export const photosConfig = "configs/photos.json";
export const smallPhotosConfig = "configs/photos-small.json";

/** Shorter side, in pixels, from which images are photos; the demo's networks see 32. */
const photoSide = 64;

/** Whether there is no GPU, but a driver that computes on the processor. */
async function lacksGpu(): Promise<boolean> {
  const adapter = await findAdapter();
  return typeof adapter !== "string" && isSoftware(adapter.info);
}

/**
 * The demo's, the one for the weights that are named, or for folders, lists and shards of photos theirs: half as wide without a
 * GPU.
 *
 * @throws {ConfigurationError} for a specification that cannot be used
 */
export async function defaultConfigFor(
  { init, data }: { readonly init: string | undefined; readonly data: readonly string[] },
  logger: Logger,
  withoutGpu = lacksGpu,
): Promise<string> {
  if (init !== undefined) return await configurationFor(init);
  const source = givenData(data);
  const kinds = data.map((spec) => parseDataSpec(spec).kind);
  const ofFiles = kinds.every((kind) => kind === "folder" || kind === "list" || kind === "tar");
  if (source === undefined || !ofFiles) return demoConfig;
  const settings = await loadSettings(photosConfig, [{ path: "data.source", value: source, flag: "--data" }]);
  const { shorterSide = 0 } = await lookAtImages(settings, 1, {});
  if (shorterSide < photoSide) return demoConfig;
  const small = await withoutGpu();
  const config = small ? smallPhotosConfig : photosConfig;
  const reason = `these are photos${small ? ", and there is no GPU" : ""}`;
  logger.info(`${config}, as ${reason}; --config names another`);
  return config;
}
