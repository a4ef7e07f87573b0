/** Shards of images, tar archives by WebDataset's convention, as one set. */
import { resolve } from "@std/path";
import { ConfigurationError, DataError } from "../../errors.ts";
import type { ListedFile } from "../../store/data_record.ts";
import { DecodedSource, type StoredImages } from "../decoded_source.ts";
import { reasonOf } from "../image_file.ts";
import type { ImageSource, SourceOptions } from "../image_set.ts";
import { commonFolder } from "../list_file.ts";
import { withSlashes } from "../path.ts";
import { indexShard, type ShardIndex } from "./shard_index.ts";

/** Shards that are looked through at once: on a network each waits for its answers. */
const shardsAtOnce = 8;

/**
 * Opens shards: the images of the first in the order of the archive, then those of the second, …. Only headers are read;
 * an image's bytes are when it is wanted, out of the middle of its shard. Images have labels where each sample has a class
 * number in a `.cls`; the numbers are the names of the classes.
 *
 * @param shards paths, one at least
 * @throws ConfigurationError for shards that are not there
 * @throws DataError for a shard that is damaged or no tar archive, or when none holds an image
 */
export async function openTar(
  name: string,
  shards: readonly string[],
  options: SourceOptions,
): Promise<ImageSource> {
  await expectShards(shards);
  const indexed = await indexShards(shards);
  reportSamples(name, indexed, options);
  return new DecodedSource(toImages(name, indexed), options);
}

async function expectShards(shards: readonly string[]): Promise<void> {
  const statuses = await Promise.all(shards.map((path) => Deno.stat(path).catch((error: Error) => error)));
  const missing = shards.filter((_, at) => statuses[at] instanceof Deno.errors.NotFound);
  if (missing.length > 0) {
    throw new ConfigurationError(
      `"${missing[0]}" does not exist${
        shards.length > 1 ? `; ${missing.length} of ${shards.length} shards do not` : ""
      }. Give tar: the archives that there are, e.g. tar:DIR/train-{000..127}.tar.`,
    );
  }
  statuses.forEach((status, at) => {
    if (status instanceof Error) throw new DataError(`cannot read "${shards[at]}": ${reasonOf(status)}`);
    if (!status.isFile) {
      throw new ConfigurationError(`"${shards[at]}" is no file; give tar: archives, file by file`);
    }
  });
}

/** Looks through shards, several at once; of several that are damaged, the first is told of. */
async function indexShards(shards: readonly string[]): Promise<ShardIndex[]> {
  const indexed = new Array<ShardIndex>(shards.length);
  const failures = new Map<number, unknown>();
  let next = 0;
  const work = async () => {
    for (let at = next++; at < shards.length && failures.size === 0; at = next++) {
      try {
        indexed[at] = await indexShard(shards[at]);
      } catch (error) {
        failures.set(at, error);
      }
    }
  };
  await Promise.all(Array.from({ length: shardsAtOnce }, work));
  if (failures.size > 0) throw failures.get(Math.min(...failures.keys()));
  return indexed;
}

/** Says what of the shards is not used. */
function reportSamples(name: string, shards: readonly ShardIndex[], { onWarning }: SourceOptions): void {
  const images = shards.reduce((sum, { names }) => sum + names.length, 0);
  const without = shards.reduce((sum, { withoutImage }) => sum + withoutImage.length, 0);
  const first = shards.find(({ withoutImage }) => withoutImage.length > 0);
  const example = first && `the first is "${first.path}:${first.withoutImage[0]}"`;
  if (images === 0) {
    throw new DataError(
      `${name} holds no images; what follows the first dot of a member's name must be jpg, jpeg, png, webp, gif, tif or ` +
        `avif${example === undefined ? "" : `. Of ${without} samples without one ${example}`}`,
    );
  }
  if (without > 0) {
    onWarning?.(
      `leaving out ${without} samples of ${name} that have no image; ${example}. What follows the first dot of an image's ` +
        "name must be jpg, jpeg, png, webp, gif, tif or avif",
    );
  }
  const unlabelled = countUnlabelled(shards);
  if (unlabelled === 0 || unlabelled === images) return;
  const shard = shards.find(({ labels }) => labels.includes(-1))!;
  onWarning?.(
    `${unlabelled} of the ${images} images of ${name} have no class number in a .cls, so all are used without labels; the ` +
      `first is "${shard.path}:${shard.names[shard.labels.indexOf(-1)]}"`,
  );
}

function countUnlabelled(shards: readonly ShardIndex[]): number {
  return shards.reduce((sum, { labels }) => sum + labels.filter((label) => label < 0).length, 0);
}

function toImages(name: string, shards: readonly ShardIndex[]): StoredImages {
  const firsts = new Uint32Array(shards.length);
  let length = 0;
  shards.forEach(({ names }, at) => {
    firsts[at] = length;
    length += names.length;
  });
  const paths = shards.map(({ path }) => withSlashes(resolve(path)));
  const root = commonFolder(paths.map((path) => path.slice(0, path.lastIndexOf("/"))));
  const files = shards.map(({ bytes, digest }, at): ListedFile => ({
    path: paths[at].slice(root.length + 1),
    bytes,
    digest,
    modified: 0,
    changed: 0,
  }));
  const find = (index: number) => {
    const shard = shardOf(firsts, index);
    return { shard, at: index - firsts[shard] };
  };
  return {
    name,
    length,
    ...classify(shards),
    shards: firsts,
    origin: {
      kind: "records",
      root,
      paths: files.map(({ path }) => path),
      members: {
        files,
        nameOf(index) {
          const { shard, at } = find(index);
          return `${files[shard].path}:${shards[shard].names[at]}`;
        },
      },
    },
    place: name,
    nameOf(index) {
      const { shard, at } = find(index);
      return `${shards[shard].path}:${shards[shard].names[at]}`;
    },
    rangeOf(index) {
      const { shard, at } = find(index);
      const { path, starts, lengths } = shards[shard];
      return { path, part: { start: starts[at], length: lengths[at] } };
    },
  };
}

/** The shard of an image: the last that begins at its index or before. */
function shardOf(firsts: Uint32Array, index: number): number {
  let low = 0, high = firsts.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (firsts[middle] <= index) low = middle;
    else high = middle;
  }
  return low;
}

/** Class numbers that occur, in their order, as classes; nothing unless every image has one. */
function classify(shards: readonly ShardIndex[]): Pick<StoredImages, "labels" | "classes"> {
  if (countUnlabelled(shards) > 0) return {};
  const numbers = [...new Set(shards.flatMap(({ labels }) => [...new Set(labels)]))].sort((a, b) => a - b);
  const position = new Map(numbers.map((number, at) => [number, at]));
  const labels = new Int32Array(shards.reduce((sum, { names }) => sum + names.length, 0));
  let first = 0;
  for (const shard of shards) {
    labels.set(shard.labels.map((number) => position.get(number)!), first);
    first += shard.labels.length;
  }
  return { labels, classes: numbers.map(String) };
}
