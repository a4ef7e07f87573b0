/** Flags of the commands that read a configuration file. */

import { loadConfig } from "../config/load.ts";
import { type Override, parseSet } from "../config/overrides.ts";
import type { Config } from "../config/schema.ts";
import type { Flags, FlagValues } from "./flags.ts";

/** `--config` and `--set`. */
export const configFlags = {
  config: { type: "string", placeholder: "FILE", default: "configs/demo.json", description: "Configuration" },
  set: {
    type: "strings",
    placeholder: "PATH=VALUE",
    description: "Replace one field of the configuration, e.g. training.batch=128",
  },
} as const satisfies Flags;

/**
 * Loads the configuration that flags ask for.
 *
 * @param overrides what further flags set; `--set` wins over them
 */
export function loadFlaggedConfig(
  flags: FlagValues<typeof configFlags>,
  overrides: readonly Override[] = [],
): Promise<Config> {
  return loadConfig(flags.config, [...overrides, ...flags.set.map(parseSet)]);
}
