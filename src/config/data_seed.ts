/** Which seed decides about images. */
import type { Config } from "./schema.ts";

/** The seed by which images are drawn and held out. */
export function dataSeed({ data, training }: Pick<Config, "data" | "training">): number {
  return data.seed ?? training.seed;
}
