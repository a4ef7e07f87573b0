/** A run's configuration for images of another size: its networks take any. */
import type { Config } from "./schema.ts";

/** @param imageSize sides in pixels; undefined keeps the run's */
export function withImageSize(config: Config, imageSize: number | undefined): Config {
  return imageSize === undefined ? config : { ...config, data: { ...config.data, imageSize } };
}
