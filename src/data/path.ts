import { basename, dirname } from "@std/path";
import { ConfigurationError, DataError } from "../errors.ts";
import type { ImageOrigin } from "./image_set.ts";

/**
 * Looks up the file or folder that a data specification names.
 *
 * @param expected what should be there, for the message
 * @throws ConfigurationError when there is nothing
 * @throws DataError when it cannot be looked up
 */
export async function statPath(path: string, expected: string): Promise<Deno.FileInfo> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw new DataError(`cannot read "${path}": ${(error as Error).message}`);
    }
    throw new ConfigurationError(`"${path}" does not exist; ${expected}`);
  }
}

/** The path without slashes at its end, except the root's own. */
export function trimSlashes(path: string): string {
  return path.replace(/(?<=.)\/+$/, "");
}

/** The path with "/" between its parts, on every system. */
export function withSlashes(path: string): string {
  return Deno.build.os === "windows" ? path.replaceAll("\\", "/") : path;
}

/** The origin of a set whose files, all in one folder, hold many images each. */
export function recordsOrigin(paths: readonly string[]): ImageOrigin {
  return { kind: "records", root: dirname(paths[0]), paths: paths.map((path) => basename(path)) };
}
