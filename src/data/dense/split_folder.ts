/** Which split of a set a path names: `DIR/train` where `DIR` is the set. */
import { basename, dirname } from "@std/path";
import { ConfigurationError } from "../../errors.ts";
import { trimSlashes } from "../path.ts";

/** A set's folder, and the split that was asked for. */
export interface SplitFolder {
  readonly root: string;
  readonly split: string | undefined;
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
}

/**
 * Finds the set that a path names, itself or in the folder above it, whose last part is the split then.
 *
 * @param parts folders that make a set, e.g. `images`
 * @param what such a folder is, for the message
 * @throws {ConfigurationError} when neither is one
 */
export async function findSplit(path: string, parts: readonly string[], what: string): Promise<SplitFolder> {
  const given = trimSlashes(path);
  for (const [root, split] of [[given, undefined], [dirname(given), basename(given)]] as const) {
    const found = await Promise.all(parts.map((part) => isFolder(`${root}/${part}`)));
    if (found.every(Boolean)) return { root, split };
  }
  throw new ConfigurationError(
    `"${path}" is no ${what}: it has no folders ${
      parts.join(" and ")
    }; give the folder that holds them, or one of its ` +
      `splits as DIR/train`,
  );
}

/** @throws {ConfigurationError} naming the splits to choose from */
export function needSplit(kind: string, root: string, splits: readonly string[]): never {
  throw new ConfigurationError(
    `"${root}" has the splits ${splits.join(", ")}; name one, e.g. ${kind}:${root}/${splits[0]}`,
  );
}
