/** Reads, completes and checks configuration files. */

import { ConfigurationError } from "../errors.ts";
import { version } from "../version.ts";
import { withPublished } from "./automatic.ts";
import { checkConfig } from "./checks.ts";
import { explainIssues, type Path } from "./explain.ts";
import { checkStructure, parseJson } from "./json.ts";
import { applyOverride, type Override } from "./overrides.ts";
import { type Config, configSchema, type Settings } from "./schema.ts";

/**
 * Completes and checks a parsed configuration; what is left to the images and the device stays "auto".
 *
 * @param raw the parsed file; not changed
 * @param name what it is, for messages, e.g. the file's path
 * @param overrides fields that replace those of the file, later ones win
 * @throws {ConfigurationError} naming each wrong field, what was given and what is allowed
 */
export function parseSettings(raw: unknown, name: string, overrides: readonly Override[] = []): Settings {
  checkStructure(raw, name);
  const changed = structuredClone(raw);
  for (const override of overrides) {
    checkStructure(override.value, `${override.flag} ${override.path}`);
    applyOverride(changed, override);
  }
  const result = configSchema.safeParse(changed);
  if (!result.success) {
    const lines = explainIssues(result.error.issues, changed)
      .map(({ path, text }) => `${origin(path, overrides) ?? name}: ${text}`);
    throw new ConfigurationError(lines.join("\n"));
  }
  const { $schema: _schema, version: _version, ...settings } = result.data;
  try {
    checkConfig(withPublished(settings));
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const changes = overrides.map(({ path }) => path).join(", ");
    throw new ConfigurationError(
      `${name}${changes && ` (with ${changes} from the command line)`}: ${error.message}`,
    );
  }
  return settings;
}

/** {@linkcode parseSettings} with numbers for all that is not given: {@linkcode withPublished}. */
export function parseConfig(raw: unknown, name: string, overrides: readonly Override[] = []): Config {
  return withPublished(parseSettings(raw, name, overrides));
}

/** The flag to which a wrong field is due, when it is not the file's. */
function origin(path: Path, overrides: readonly Override[]): string | undefined {
  const field = path.join(".") + ".";
  return overrides.findLast((override) => field.startsWith(override.path + "."))?.flag;
}

/** The configurations that come with Scion; known by `configs/NAME.json` in any folder. */
const shippedFolder = new URL("../../configs/", import.meta.url);

/** A configuration file's text: the user's own file, else one of Scion's by that name. */
async function readConfigFile(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    const name = /^(?:\.[/\\])?configs[/\\]([\w-]+\.json)$/.exec(path)?.[1];
    const isThere = name !== undefined && shippedFolder.protocol === "file:";
    if (!isThere || !(error instanceof Deno.errors.NotFound)) throw error;
    return await Deno.readTextFile(new URL(name, shippedFolder));
  }
}

/** A sentence that names them. */
async function shippedConfigs(): Promise<string> {
  if (shippedFolder.protocol !== "file:") return "";
  const entries = await Array.fromAsync(Deno.readDir(shippedFolder));
  const names = entries.map(({ name }) => name)
    .filter((name) => name !== "schema.json" && !/^(compare|finetune)-/.test(name)).sort();
  return ` With Scion come ${names.map((name) => `configs/${name}`).join(", ")}.`;
}

/**
 * Reads a configuration file; `configs/NAME.json` is one of Scion's own where the working directory has none. What is left
 * to the images and the device stays "auto".
 *
 * @throws {ConfigurationError} when there is no such file, or it is not JSON, or a field is wrong
 */
export async function loadSettings(path: string, overrides: readonly Override[] = []): Promise<Settings> {
  let text: string;
  try {
    text = await readConfigFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new ConfigurationError(
        `There is no configuration file ${path}.${await shippedConfigs()}`,
      );
    }
    if (error instanceof Deno.errors.IsADirectory || error instanceof Deno.errors.PermissionDenied) {
      throw new ConfigurationError(`${path} cannot be read as a configuration file: ${error.message}.`);
    }
    throw error;
  }
  return parseSettings(parseJson(text, path), path, overrides);
}

/** {@linkcode loadSettings} with numbers for all that is not given: {@linkcode withPublished}. */
export async function loadConfig(path: string, overrides: readonly Override[] = []): Promise<Config> {
  return withPublished(await loadSettings(path, overrides));
}

/** The text of a run folder's `config.json`: everything resolved, with the version that wrote it. */
export function formatConfig(config: Config): string {
  return JSON.stringify({ version, ...config }, null, 2) + "\n";
}
