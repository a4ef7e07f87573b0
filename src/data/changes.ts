/** What has become of a run's images since they were recorded. */
import type { DataRecord, ImageList, ListedFile } from "../store/data_record.ts";

/** Names that are given of each kind of change. */
const mostNamed = 3;

/** Whether a file is the one that was listed, as far as its contents tell. */
function sameContents(one: ListedFile, other: ListedFile): boolean {
  return one.bytes === other.bytes && one.digest === other.digest;
}

function named(count: number, word: string, paths: readonly string[]): string[] {
  if (count === 0) return [];
  const names = paths.slice(0, mostNamed).map((path) => `"${path}"`).join(", ");
  return [`${count} ${word} (${names}${count > mostNamed ? ", …" : ""})`];
}

/**
 * What differs between two lists, in words: how many files were added, removed, renamed, or have other contents, with
 * the first names of each.
 *
 * @returns undefined for lists of the same images
 */
export function describeChange(recorded: ImageList, present: ImageList): string | undefined {
  if (recorded.digest === present.digest) return undefined;
  if (recorded.kind !== present.kind) return "they come from another kind of source";
  if (recorded.kind === "made") return `${recorded.recipe}, now ${present.recipe}`;
  const before = new Map(recorded.files.map((file) => [file.path, file]));
  const after = new Map(present.files.map((file) => [file.path, file]));
  const changed = recorded.files.filter((file) => {
    const now = after.get(file.path);
    return now && !sameContents(file, now);
  });
  let removed = recorded.files.filter(({ path }) => !after.has(path));
  let added = present.files.filter(({ path }) => !before.has(path));
  const contents = new Set(added.map(({ digest }) => digest));
  const moved = removed.filter(({ digest }) => digest !== null && contents.has(digest));
  const movedContents = new Set(moved.map(({ digest }) => digest));
  removed = removed.filter((file) => !moved.includes(file));
  added = added.filter(({ digest }) => !movedContents.has(digest));
  const paths = (files: readonly ListedFile[]) => files.map(({ path }) => path);
  const parts = [
    ...named(added.length, "added", paths(added)),
    ...named(removed.length, "removed", paths(removed)),
    ...named(moved.length, "renamed", paths(moved)),
    ...named(changed.length, "with other contents", paths(changed)),
  ];
  if (parts.length > 0) return parts.join(", ");
  if (recorded.images === present.images) return "the same files in another order";
  return `${recorded.images} images, now ${present.images}`;
}

/** What a recorded image is for, by the path of its file; undefined for a file that is not recorded. */
function rolesByPath(
  { list, heldOut, unreadable }: DataRecord,
): Map<string, "train" | "heldOut" | "unreadable"> {
  const roles = new Map(list.files.map(({ path }) => [path, "train" as "train" | "heldOut" | "unreadable"]));
  for (const [index] of unreadable) roles.set(list.files[index].path, "unreadable");
  for (const index of heldOut) roles.set(list.files[index].path, "heldOut");
  return roles;
}

/**
 * Indices of present images that must stay held out when changed images are accepted: those whose file, or whose
 * contents under another name, were held out. What is new is trained on.
 *
 * @returns ascending; undefined when the sets have nothing in common, so that a new choice is due
 */
export function carryHeldOut(record: DataRecord, present: ImageList): number[] | undefined {
  if (record.list.kind !== present.kind || present.kind === "made") return undefined;
  if (present.kind === "records") return record.heldOut.filter((index) => index < present.images);
  const roles = rolesByPath(record);
  const contents = new Set(record.heldOut.map((index) => record.list.files[index].digest));
  contents.delete(null);
  if (!present.files.some(({ path, digest }) => roles.has(path) || contents.has(digest))) return undefined;
  return present.files.flatMap(({ path, digest }, index) =>
    roles.get(path) === "heldOut" || contents.has(digest) ? [index] : []
  );
}

/**
 * Indices of present images that the run was trained on and that are still as they were.
 *
 * @returns ascending
 */
export function stillTrainedOn(record: DataRecord, present: ImageList): Uint32Array {
  if (record.list.kind !== "images" || present.kind !== "images") return new Uint32Array();
  const roles = rolesByPath(record);
  const before = new Map(record.list.files.map((file) => [file.path, file]));
  return Uint32Array.from(present.files.flatMap((file, index) => {
    const known = before.get(file.path);
    return known && roles.get(file.path) === "train" && sameContents(known, file) ? [index] : [];
  }));
}
