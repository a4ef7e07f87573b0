/** The configuration of a pretraining for which none is named. */
import { loadSettings } from "../config/load.ts";
import { parseDataSpec } from "../data/spec.ts";
import { lookAtImages } from "../pretrain/fit/look.ts";
import { givenData } from "./data_flag.ts";
import { configurationFor } from "./init_flag.ts";
import type { Logger } from "./logger.ts";

export const demoConfig = "configs/demo.json";
export const photosConfig = "configs/photos.json";
export const smallPhotosConfig = "configs/photos-small.json";

/** Shorter side, in pixels, from which images are photos; the demo's networks see 32. */
const photoSide = 64;

/**
 * The demo's, the one for the weights that are named, or for folders and lists of photos theirs.
 *
 * @throws {ConfigurationError} for a specification that cannot be used
 */
export async function defaultConfigFor(
  { init, data }: { readonly init: string | undefined; readonly data: readonly string[] },
  logger: Logger,
): Promise<string> {
  if (init !== undefined) return await configurationFor(init);
  const source = givenData(data);
  const kinds = data.map((spec) => parseDataSpec(spec).kind);
  if (source === undefined || !kinds.every((kind) => kind === "folder" || kind === "list")) return demoConfig;
  const settings = await loadSettings(photosConfig, [{ path: "data.source", value: source, flag: "--data" }]);
  const { shorterSide = 0 } = await lookAtImages(settings, 1, {});
  if (shorterSide < photoSide) return demoConfig;
  logger.info(`${photosConfig}, as these are photos; --config names another`);
  return photosConfig;
}
