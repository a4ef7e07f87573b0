/** Listing what a set of images is read from, so that a later look can tell whether it is still the same. */
import { type ImageList, listDigest, type ListedFile } from "../store/data_record.ts";
import { readFull } from "../store/read_full.ts";
import type { ImageSource, TensorSource } from "./image_set.ts";

/** Files that are looked at at once. */
const filesAtOnce = 8;
const chunkBytes = 2 ** 24;
/** A file that was changed so shortly before it was listed may have been changed again within its time stamp's tick. */
const unsettledMilliseconds = 3000;

/**
 * Lists the files of a set with a digest of each one's contents, of archives of what their members are. What an earlier list has a digest of is not read again
 * unless length or time stamps say that it was written.
 *
 * @param known an earlier list of the same set
 */
export async function listImages(
  source: ImageSource | TensorSource,
  known?: ImageList,
): Promise<ImageList> {
  const { origin, length: images } = source;
  if (!origin || origin.kind === "made") {
    const list = { kind: "made", recipe: origin?.recipe ?? source.name, images, files: [] } as const;
    return { ...list, listed: Date.now(), digest: await listDigest(list) };
  }
  const listed = Date.now();
  const members = origin.kind === "records" ? origin.members : undefined;
  const files = members?.files ?? await listFiles(origin.root, origin.paths, known);
  const list = { kind: origin.kind, recipe: "", images, files };
  return { ...list, listed, digest: await listDigest(list) };
}

/** Looks at files, and digests the contents of those that are not known as they are. */
export async function listFiles(
  root: string,
  paths: readonly string[],
  known?: ImageList,
): Promise<ListedFile[]> {
  const earlier = new Map(known?.files.map((file) => [file.path, file]));
  const settled = (known?.listed ?? 0) - unsettledMilliseconds;
  const files = new Array<ListedFile>(paths.length);
  let next = 0;
  const work = async () => {
    for (let at = next++; at < paths.length; at = next++) {
      files[at] = await listFile(root, paths[at], earlier.get(paths[at]), settled);
    }
  };
  await Promise.all(Array.from({ length: filesAtOnce }, work));
  return files;
}

async function listFile(
  root: string,
  path: string,
  known: ListedFile | undefined,
  settled: number,
): Promise<ListedFile> {
  const unreadable = { path, bytes: null, digest: null, modified: 0, changed: 0 };
  const status = await Deno.stat(`${root}/${path}`).catch(() => undefined);
  if (!status?.isFile) return unreadable;
  const [modified, changed] = [status.mtime?.getTime() ?? 0, status.ctime?.getTime() ?? 0];
  const bytes = status.size;
  const unchanged = known?.digest && known.bytes === bytes && known.modified === modified &&
    known.changed === changed && Math.max(modified, changed) < settled;
  if (unchanged) return known;
  const digest = await digestFile(`${root}/${path}`).catch(() => null);
  return { path, bytes, digest, modified, changed };
}

/** The first 24 hexadecimal digits of a SHA-256 over those of the file's pieces. */
export async function digestFile(path: string): Promise<string> {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  const chunk = new Uint8Array(Math.min(Math.max(size, 1), chunkBytes));
  const hashes: number[] = [];
  for (;;) {
    const filled = await readFull(file, chunk);
    if (filled > 0) hashes.push(...await sha256(chunk.subarray(0, filled)));
    if (filled < chunk.length) break;
  }
  return (await sha256(Uint8Array.from(hashes))).subarray(0, 12).toHex();
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
