/** Listing the images of a folder: every file once, and whatever is left out with the reason. */
import { ConfigurationError, DataError } from "../errors.ts";
import { isImageName, unreadImageEnding } from "./formats.ts";
import { reasonOf } from "./image_file.ts";
import { statPath } from "./path.ts";
import type { SkippedFile } from "./image_set.ts";

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
  /** Folders and images that are not listed, in codepoint order of their paths, each relative to the folder. */
  leftOut: SkippedFile[];
  /** Folders and files that links reach again; each counts once. */
  reachedAgain: string[];
  /** How many files of other kinds there are, by the ending of their names. */
  otherFiles: Map<string, number>;
}

/** Order by Unicode codepoint, on which other tools agree; JavaScript's own order is by UTF-16 unit. */
export function compareCodepoints(a: string, b: string): number {
  const left = [...a], right = [...b];
  const shared = Math.min(left.length, right.length);
  for (let i = 0; i < shared; i++) {
    if (left[i] !== right[i]) return left[i].codePointAt(0)! - right[i].codePointAt(0)!;
  }
  return left.length - right.length;
}

/** Counts a file by the ending of its name. */
export function countEnding(counts: Map<string, number>, name: string): void {
  const ending = /\.[^./]+$/.exec(name)?.[0].toLowerCase() ?? "no ending";
  counts.set(ending, (counts.get(ending) ?? 0) + 1);
}

/** An entry of a folder, links followed. */
interface Entry {
  /** Relative to the listed folder. */
  path: string;
  name: string;
  kind: "folder" | "file" | "other" | "nowhere";
}

/** One walk over a folder. */
class Scan {
  readonly paths: string[] = [];
  readonly leftOut: SkippedFile[] = [];
  readonly reachedAgain: string[] = [];
  readonly otherFiles = new Map<string, number>();
  /** Real paths of the folders that were entered, and of the files that links led to. */
  readonly #visited = new Set<string>();
  readonly #linkedFolders: string[] = [];
  readonly #linkedFiles: Entry[] = [];

  constructor(readonly root: string) {}

  /** Real folders and files first, so that what a link reaches again is listed under its own path. */
  async run(): Promise<void> {
    await this.#walk("");
    for (let next; (next = this.#linkedFolders.shift()) !== undefined;) await this.#walk(next);
    await this.#addLinkedFiles();
  }

  #leaveOut(path: string, reason: string): void {
    this.leftOut.push({ path, reason });
  }

  async #walk(start: string): Promise<void> {
    const open = [start];
    for (let folder; (folder = open.pop()) !== undefined;) {
      const entries = await this.#enter(folder);
      const inner: string[] = [];
      for (const entry of entries ?? []) {
        const link = entry.isSymlink;
        const resolved = await this.#resolve(folder, entry);
        if (!resolved) continue;
        if (resolved.kind === "folder") (link ? this.#linkedFolders : inner).push(resolved.path);
        else this.#addFile(resolved, link);
      }
      open.push(...inner.reverse());
    }
  }

  /** The entries of a folder that was not entered before, hidden ones left out, in codepoint order. */
  async #enter(folder: string): Promise<Deno.DirEntry[] | undefined> {
    const path = folder ? `${this.root}/${folder}` : this.root;
    try {
      const real = await Deno.realPath(path);
      if (this.#visited.has(real)) {
        this.reachedAgain.push(folder);
        return undefined;
      }
      this.#visited.add(real);
      const entries = await Array.fromAsync(Deno.readDir(path));
      return entries.filter(({ name }) => !name.startsWith(".")).sort((a, b) =>
        compareCodepoints(a.name, b.name)
      );
    } catch (error) {
      if (folder === "") throw new DataError(`cannot list folder "${this.root}": ${reasonOf(error)}`);
      this.#leaveOut(folder, `a folder that cannot be listed: ${reasonOf(error)}`);
      return undefined;
    }
  }

  async #resolve(
    folder: string,
    { name, isSymlink, isDirectory, isFile }: Deno.DirEntry,
  ): Promise<Entry | undefined> {
    const path = folder ? `${folder}/${name}` : name;
    const kindOf = (status: { isDirectory: boolean; isFile: boolean }) =>
      status.isDirectory ? "folder" : status.isFile ? "file" : "other";
    // The system's names are bytes; one that is no UTF-8 arrives with this character and leads to nothing.
    if (name.includes("\ufffd") && !await exists(`${this.root}/${path}`)) {
      if (isDirectory || isImageName(name) || unreadImageEnding(name)) {
        this.#leaveOut(path, `its name is not valid UTF-8; rename it`);
      } else countEnding(this.otherFiles, name);
      return undefined;
    }
    if (!isSymlink) return { path, name, kind: kindOf({ isDirectory, isFile }) };
    try {
      return { path, name, kind: kindOf(await Deno.stat(`${this.root}/${path}`)) };
    } catch {
      // A link to nowhere is listed if it is named like an image, so that it is reported when it is read.
      return { path, name, kind: "nowhere" };
    }
  }

  #addFile(entry: Entry, link: boolean): void {
    const { path, name, kind } = entry;
    const unread = unreadImageEnding(name);
    if (!isImageName(name) && !unread) countEnding(this.otherFiles, name);
    else if (kind === "other") this.#leaveOut(path, "it is no regular file");
    else if (unread) this.#leaveOut(path, `images named ${unread} are not read; convert it to PNG or JPEG`);
    else if (link && kind === "file") this.#linkedFiles.push(entry);
    else this.paths.push(path);
  }

  /** Links to files that are not in the list already, each target once, in codepoint order. */
  async #addLinkedFiles(): Promise<void> {
    if (this.#linkedFiles.length === 0) return;
    const targets = new Set<string>();
    const folders = new Map<string, string>();
    for (const path of this.paths) {
      const slash = path.lastIndexOf("/");
      const folder = slash < 0 ? "" : path.slice(0, slash);
      let real = folders.get(folder);
      if (real === undefined) {
        real = await realPathOr(folder ? `${this.root}/${folder}` : this.root);
        folders.set(folder, real);
      }
      targets.add(`${real}/${path.slice(slash + 1)}`);
    }
    this.#linkedFiles.sort((a, b) => compareCodepoints(a.path, b.path));
    for (const { path } of this.#linkedFiles) {
      const real = await realPathOr(`${this.root}/${path}`);
      if (targets.has(real)) this.reachedAgain.push(path);
      else this.paths.push(path);
      targets.add(real);
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

/** The real path; the path itself of what has gone meanwhile, which is reported when it is read. */
async function realPathOr(path: string): Promise<string> {
  return await Deno.realPath(path).catch(() => path);
}

/**
 * Lists the images of a folder and of the folders in it, hidden ones left out. Links are followed; each folder and each
 * file counts once, under its own path where it has one inside. The first folder of a path is its class, however deep the
 * file lies; a folder with images directly in it has no classes.
 *
 * @throws ConfigurationError when `root` is missing or no folder
 * @throws DataError when it cannot be read or holds no image
 */
export async function scanFolder(root: string): Promise<FolderListing> {
  const status = await statPath(root, "give the folder that holds the images, with --data or in data.source");
  if (!status.isDirectory) {
    throw new ConfigurationError(
      `"${root}" is a file, not a folder; give the folder that holds the images, a list of paths as LIST.txt or ` +
        "list:FILE, or ready-made inputs as tensor:FILE.safetensors",
    );
  }
  const scan = new Scan(root);
  await scan.run();
  const { paths, leftOut, reachedAgain, otherFiles } = scan;
  leftOut.sort((a, b) => compareCodepoints(a.path, b.path));
  if (paths.length === 0) {
    const [first] = leftOut;
    const why = first === undefined
      ? ""
      : `; ${leftOut.length} left out, the first is "${root}/${first.path}": ${first.reason}`;
    throw new DataError(
      `folder "${root}" holds no images; it needs .jpg, .jpeg, .png, .webp, .gif, .tif or .avif files, directly or in one ` +
        `folder per class${why}`,
    );
  }
  paths.sort(compareCodepoints);
  return { leftOut, reachedAgain, otherFiles, ...classify(paths) };
}

/** The paths with the classes that their first folders name; without classes where a file lies in no folder. */
export function classify(
  paths: string[],
): Pick<FolderListing, "paths" | "labels" | "classes" | "stray"> {
  const direct = paths.filter((path) => !path.includes("/")).length;
  if (direct > 0) return { paths, stray: direct < paths.length ? direct : 0 };
  const classOf = (path: string) => path.slice(0, path.indexOf("/"));
  const classes = [...new Set(paths.map(classOf))].sort(compareCodepoints);
  const position = new Map(classes.map((name, index) => [name, index]));
  const labels = Int32Array.from(paths, (path) => position.get(classOf(path))!);
  return { paths, classes, labels, stray: 0 };
}
