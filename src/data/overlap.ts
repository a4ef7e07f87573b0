/** Images that two sets have in common: what a network is trained on must not test it. */
import type { ImageSource, TensorSource } from "./image_set.ts";
import { listImages } from "./manifest.ts";
import type { ImageList, ListedFile } from "../store/data_record.ts";

/** What two sets have in common. */
export interface Overlap {
  /** Files of the second set that are files of the first, whatever their paths are spelled like. */
  readonly files: readonly string[];
  /** Other files of the second set whose contents are those of a file of the first. */
  readonly copies: readonly string[];
  /** Lists of both sets. */
  readonly lists: readonly [ImageList, ImageList];
}

/** Looks at every file of both sets, and at their contents. Sets that are made have nothing in common but all. */
export async function findOverlap(
  one: ImageSource | TensorSource,
  other: ImageSource | TensorSource,
): Promise<Overlap> {
  const lists = [await listImages(one), await listImages(other)] as const;
  const [first, second] = lists;
  if (first.kind === "made" || second.kind === "made") {
    const same = first.kind === second.kind && first.recipe === second.recipe;
    return { files: same ? [second.recipe] : [], copies: [], lists };
  }
  const real = new Set(await realPaths(one));
  const contents = new Set(first.files.flatMap(({ digest }) => digest === null ? [] : [digest]));
  const paths = await realPaths(other);
  const isSame = (_: ListedFile, at: number) => real.has(paths[at]);
  const names = (files: readonly ListedFile[]) => files.map(({ path }) => path);
  return {
    files: names(second.files.filter(isSame)),
    copies: names(
      second.files.filter((file, at) =>
        !isSame(file, at) && file.digest !== null && contents.has(file.digest)
      ),
    ),
    lists,
  };
}

/** Where the files really lie, links followed; as they are named where that cannot be told. */
async function realPaths({ origin }: ImageSource | TensorSource): Promise<string[]> {
  if (!origin || origin.kind === "made") return [];
  const paths = new Array<string>(origin.paths.length);
  let next = 0;
  const work = async () => {
    for (let at = next++; at < paths.length; at = next++) {
      const path = `${origin.root}/${origin.paths[at]}`;
      paths[at] = await Deno.realPath(path).catch(() => path);
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
  return paths;
}
