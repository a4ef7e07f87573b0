import { ConfigurationError, DataError } from "../errors.ts";
import { statPath } from "./path.ts";

/** The image files of a folder. */
export interface FolderListing {
  /** Paths relative to the folder, with "/", in codepoint order. */
  paths: string[];
  /** Class of each path; absent for a folder without classes. */
  labels?: Int32Array;
  /** Names of the class folders that hold images, in codepoint order. */
  classes?: string[];
  /** Images that lie beside class folders, which makes the labels ambiguous. */
  stray: number;
}

const imageName = /\.(jpe?g|png|webp)$/i;

/** Order by Unicode codepoint, on which other tools agree; JavaScript's own order is by UTF-16 unit. */
export function compareCodepoints(a: string, b: string): number {
  const left = [...a], right = [...b];
  const shared = Math.min(left.length, right.length);
  for (let i = 0; i < shared; i++) {
    if (left[i] !== right[i]) return left[i].codePointAt(0)! - right[i].codePointAt(0)!;
  }
  return left.length - right.length;
}

async function collect(
  root: string,
  prefix: string,
  above: readonly string[],
  paths: string[],
): Promise<void> {
  const folder = prefix ? `${root}/${prefix}` : root;
  const real = await Deno.realPath(folder);
  if (above.includes(real)) return; // a link to a folder that contains it
  for await (const entry of Deno.readDir(folder)) {
    if (entry.name.startsWith(".")) continue;
    const path = prefix ? `${prefix}/${entry.name}` : entry.name;
    let { isDirectory, isFile } = entry;
    if (entry.isSymlink) {
      // A link to nowhere is listed if it is named like an image, so that it is reported as broken, not ignored.
      const target = await Deno.stat(`${root}/${path}`).catch(() => undefined);
      isDirectory = target?.isDirectory ?? false;
      isFile = target?.isFile ?? true;
    }
    if (isDirectory) await collect(root, path, [...above, real], paths);
    else if (isFile && imageName.test(entry.name)) paths.push(path);
  }
}

/**
 * Lists the JPEG, PNG and WebP files of a folder and of the folders in it, hidden ones left out. The first folder of
 * a path is its class, however deep the file lies; a folder with images directly in it has no classes.
 *
 * @throws ConfigurationError when `root` is missing or no folder
 * @throws DataError when it cannot be read or holds no image
 */
export async function scanFolder(root: string): Promise<FolderListing> {
  const status = await statPath(root, 'check the path after "folder:"');
  if (!status.isDirectory) {
    throw new ConfigurationError(
      `"${root}" is a file, not a folder; give folder: the folder that holds the images`,
    );
  }
  const paths: string[] = [];
  try {
    await collect(root, "", [], paths);
  } catch (error) {
    throw new DataError(`cannot list folder "${root}": ${(error as Error).message}`);
  }
  if (paths.length === 0) {
    throw new DataError(
      `folder "${root}" holds no images; it needs .jpg, .jpeg, .png or .webp files, directly or in one folder per class`,
    );
  }
  paths.sort(compareCodepoints);
  const direct = paths.filter((path) => !path.includes("/")).length;
  if (direct > 0) return { paths, stray: direct < paths.length ? direct : 0 };
  const classOf = (path: string) => path.slice(0, path.indexOf("/"));
  const classes = [...new Set(paths.map(classOf))].sort(compareCodepoints);
  const position = new Map(classes.map((name, index) => [name, index]));
  return { paths, classes, labels: Int32Array.from(paths, (path) => position.get(classOf(path))!), stray: 0 };
}
