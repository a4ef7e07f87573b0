/** Which seed decides about images. */
import type { Config, Settings } from "./schema.ts";

/** The seed by which images are drawn and held out. */
export function dataSeed({ data, training }: Pick<Config | Settings, "data" | "training">): number {
  return data.seed ?? training.seed;
}
