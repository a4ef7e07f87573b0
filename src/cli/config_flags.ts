/** Flags of the commands that read a configuration file. */

import { loadConfig, loadSettings } from "../config/load.ts";
import { parseSet } from "../config/overrides.ts";
import type { Config, Settings } from "../config/schema.ts";
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

/** Loads the configuration that flags ask for; what is left to the images and the device stays "auto". */
export function loadFlaggedSettings(flags: FlagValues<typeof configFlags>): Promise<Settings> {
  return loadSettings(flags.config, flags.set.map(parseSet));
}

/** Loads the configuration that flags ask for, with numbers for all that is not given. */
export function loadFlaggedConfig(flags: FlagValues<typeof configFlags>): Promise<Config> {
  return loadConfig(flags.config, flags.set.map(parseSet));
}
