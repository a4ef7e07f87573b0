/**
 * List files: one path a line, relative to the list's folder or absolute. Empty lines, and lines that begin with `#`, are
 * left out. The images come in the order of the lines. Their classes are those of a folder: the first folder of each path
 * below the deepest one that holds them all.
 */
import { dirname, resolve } from "@std/path";
import { withoutMark } from "../byte_order_mark.ts";
import { ConfigurationError, DataError } from "../errors.ts";
import { shorten } from "../suggest.ts";
import { openListing } from "./folder.ts";
import { isImageName } from "./formats.ts";
import type { ImageSource, SourceOptions } from "./image_set.ts";
import { reasonOf } from "./image_file.ts";
import { statPath, withSlashes } from "./path.ts";
import { classify, type FolderListing } from "./scan.ts";

/** Listed files and the folder that their paths are relative to. */
export interface RootedListing {
  /** Absolute, without a slash at its end: empty for the root of the file system. */
  readonly root: string;
  readonly listing: FolderListing;
}

/** Files that are looked at at once. */
const filesAtOnce = 64;

/**
 * Opens the images of a list file.
 *
 * @throws ConfigurationError naming the line that names no image
 * @throws DataError when the list cannot be read or names nothing
 */
export async function openList(name: string, path: string, options: SourceOptions): Promise<ImageSource> {
  const { root, listing } = await readList(path);
  return await openListing(name, root, listing, options);
}

/** Reads a list file; see {@linkcode openList}. */
export async function readList(list: string): Promise<RootedListing> {
  const { isDirectory } = await statPath(list, "give a list file, one path of an image a line");
  if (isDirectory) {
    throw new ConfigurationError(`"${list}" is a folder, not a list file; write folder:${list}`);
  }
  let text: string;
  try {
    text = withoutMark(await Deno.readTextFile(list));
  } catch (error) {
    throw new DataError(`cannot read the list "${list}": ${reasonOf(error)}`, { cause: error });
  }
  const folder = dirname(resolve(list));
  const lines = new Map<string, number>();
  text.split(/\r?\n/).forEach((line, index) => {
    const written = line.trim();
    if (written === "" || written.startsWith("#")) return;
    const refuse = (why: string) => lineError(list, index + 1, written, why);
    if (!isImageName(written)) {
      throw refuse("is not named like an image; give .jpg, .png, .webp, .gif, .tif or .avif");
    }
    const path = withSlashes(resolve(folder, written));
    const earlier = lines.get(path);
    if (earlier !== undefined) throw refuse(`is in line ${earlier} already; give each image once`);
    lines.set(path, index + 1);
  });
  if (lines.size === 0) throw new DataError(`the list "${list}" names no image`);
  await expectFiles(list, lines);
  return withCommonRoot([...lines.keys()]);
}

/** The first of the listed files that is not there, or is no file, in the order of the lines. */
async function expectFiles(list: string, lines: ReadonlyMap<string, number>): Promise<void> {
  const entries = [...lines];
  for (let first = 0; first < entries.length; first += filesAtOnce) {
    const some = entries.slice(first, first + filesAtOnce);
    const statuses = await Promise.all(some.map(([path]) => Deno.stat(path).catch((error: Error) => error)));
    statuses.forEach((status, at) => {
      const [path, line] = some[at];
      if (status instanceof Error) {
        throw lineError(
          list,
          line,
          path,
          `cannot be used: ${reasonOf(status)}; paths are relative to the list's folder`,
        );
      }
      if (!status.isFile) throw lineError(list, line, path, "is no file; a list names images one by one");
    });
  }
}

function lineError(list: string, line: number, path: string, why: string): ConfigurationError {
  return new ConfigurationError(`${list}, line ${line}: "${shorten(path)}" ${why}`);
}

/**
 * Absolute paths as a listing of the deepest folder that holds them all, with the classes of that folder.
 *
 * @throws ConfigurationError for files of several drives
 */
export function withCommonRoot(paths: readonly string[]): RootedListing {
  const root = commonFolder(paths.map((path) => path.slice(0, path.lastIndexOf("/"))));
  const relative = paths.map((path) => path.slice(root.length + 1));
  const listing = { leftOut: [], reachedAgain: [], otherFiles: new Map(), ...classify(relative), stray: 0 };
  return { root, listing };
}

/** The deepest folder that is, or holds, each of these; all are absolute, with "/". */
export function commonFolder(folders: readonly string[]): string {
  let common = folders[0].split("/");
  for (const folder of folders) {
    const names = folder.split("/");
    const same = common.findIndex((name, at) => name !== names[at]);
    if (same >= 0) common = common.slice(0, same);
  }
  if (common.length > 0) return common.join("/");
  throw new ConfigurationError(
    "the images lie on several drives; one set needs a folder that holds them all",
  );
}
