import { DataError } from "../errors.ts";
import { DecodedSource } from "./decoded_source.ts";
import type { ImageSource, SourceOptions } from "./image_set.ts";
import { trimSlashes } from "./path.ts";
import { compareCodepoints, countEnding, type FolderListing, scanFolder } from "./scan.ts";

/** Files that are named one by one; more are counted. */
const mostNamed = 20;

/** Says, or refuses with `strict`, what of a folder is not in the set. */
export function reportListing(
  folder: string,
  listing: FolderListing,
  { strict, onWarning }: SourceOptions,
): void {
  const { stray, leftOut, reachedAgain, otherFiles } = listing;
  if (strict && leftOut.length > 0) {
    const [{ path, reason }] = leftOut;
    throw new DataError(
      `"${folder}/${path}" cannot be used: ${reason}; ${leftOut.length} in all cannot. Mend or remove them, or run ` +
        `without --strict to leave them out`,
    );
  }
  const warn = (message: string) => onWarning?.(message);
  for (const { path, reason } of leftOut.slice(0, mostNamed)) {
    warn(`leaving out "${folder}/${path}": ${reason}`);
  }
  if (leftOut.length > mostNamed) {
    const endings = new Map<string, number>();
    for (const { path } of leftOut) countEnding(endings, path);
    warn(`${leftOut.length} files and folders of "${folder}" are left out in all (${formatCounts(endings)})`);
  }
  if (reachedAgain.length > 0) {
    warn(
      `${reachedAgain.length} link(s) in "${folder}" lead to what is listed already, which counts once; the first is ` +
        `"${folder}/${reachedAgain[0]}"`,
    );
  }
  if (otherFiles.size > 0) {
    warn(`files of "${folder}" that are not named like images: ${formatCounts(otherFiles)}`);
  }
  if (stray > 0) {
    warn(
      `"${folder}" has ${stray} image(s) beside its class folders, so it is used without labels; ` +
        `move them into a class folder to have labels`,
    );
  }
}

/** Counts by name, largest first: `.txt 12, .json 3`. */
function formatCounts(counts: ReadonlyMap<string, number>): string {
  const sorted = [...counts].sort(([a, many], [b, few]) => few - many || compareCodepoints(a, b));
  const named = sorted.slice(0, mostNamed).map(([name, many]) => `${name} ${many}`);
  return [...named, ...(sorted.length > mostNamed ? ["…"] : [])].join(", ");
}

/**
 * Opens a folder of JPEG, PNG, WebP, GIF, TIFF or AVIF files, one folder per class or flat and unlabelled, in codepoint
 * order of the paths. Files are decoded by Workers and cached up to a limit; beyond it they are decoded anew at each
 * load. A broken file keeps its place in the listing, so that no other image's index depends on it.
 *
 * @throws ConfigurationError when the folder is missing or no folder
 * @throws DataError when it holds no usable image, or with `strict` one that is not
 */
export async function openFolder(name: string, root: string, options: SourceOptions): Promise<ImageSource> {
  const folder = trimSlashes(root);
  const listing = await scanFolder(folder);
  reportListing(folder, listing, options);
  return await openListing(name, folder, listing, options);
}

/**
 * Opens listed files, in the order of the list.
 *
 * @param root the folder to which their paths are relative
 * @throws DataError when none is usable, or with `strict` one is not
 */
export async function openListing(
  name: string,
  root: string,
  listing: FolderListing,
  options: SourceOptions,
): Promise<ImageSource> {
  const { paths, labels, classes } = listing;
  const nameOf = (index: number) => `${root}/${paths[index]}`;
  const source = new DecodedSource({
    name,
    length: paths.length,
    labels,
    classes,
    origin: { kind: "images", root, paths },
    leftOut: listing.leftOut.map(({ path, reason }) => ({ path: `${root}/${path}`, reason })),
    place: root,
    nameOf,
    rangeOf: (index) => ({ path: nameOf(index) }),
  }, options);
  try {
    if (options.preload ?? true) await source.preload();
  } catch (error) {
    source.release();
    throw error;
  }
  return source;
}
