/** What a shard holds, by WebDataset's convention: members whose names are alike up to the first dot are one sample. */
import { DataError } from "../../errors.ts";
import { digestText } from "../../store/data_record.ts";
import { type TarMember, TarReader } from "../../store/tar/tar_reader.ts";
import { isImageName } from "../formats.ts";
import { reasonOf } from "../image_file.ts";

/** Where the images of a shard lie, in its order. */
export interface ShardIndex {
  readonly path: string;
  /** Of the whole shard. */
  readonly bytes: number;
  /** Of the images' names, places, lengths, times and labels; not of their bytes, which are not read. */
  readonly digest: string;
  readonly names: readonly string[];
  /** Of each image, in bytes. */
  readonly starts: Float64Array;
  readonly lengths: Float64Array;
  /** Number of each image's class; -1 where none is given. */
  readonly labels: Int32Array;
  /** Names of samples that have no image, up to their first dots. */
  readonly withoutImage: readonly string[];
}

interface Sample {
  image?: TarMember;
  label?: number;
}

/** Longest `.cls` that can hold a number. */
const mostLabelBytes = 64;

/**
 * Looks through a shard; reads its headers and the numbers in `.cls`, and no image.
 *
 * @throws {DataError} naming the shard, when it cannot be read, is damaged, or has several images in a sample
 */
export async function indexShard(path: string): Promise<ShardIndex> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    throw new DataError(`cannot read "${path}": ${reasonOf(error)}`, { cause: error });
  }
  try {
    const { size } = await file.stat();
    return await toIndex(path, size, await readSamples(new TarReader(path, size, file)));
  } finally {
    file.close();
  }
}

/** Samples by their keys. */
async function readSamples(reader: TarReader): Promise<Map<string, Sample>> {
  const samples = new Map<string, Sample>();
  for (let member; (member = await reader.next());) {
    const { key, ending } = splitName(member.name);
    if (key === "") continue;
    const known = samples.get(key);
    const sample = known ?? {};
    if (!known) samples.set(key, sample);
    // Of a segmentation's "seg.png" the sample's image is another member.
    if (!ending.includes(".") && isImageName(`.${ending}`)) {
      if (sample.image) throw severalImages(reader.path, sample.image.name, member.name);
      sample.image = member;
    } else if (ending.toLowerCase() === "cls") {
      if (sample.label !== undefined) throw severalLabels(reader.path, member.name);
      sample.label = await readLabel(reader, member);
    }
  }
  return samples;
}

/** The key up to the first dot of the last part of a path, and what follows the dot; hidden files and
 * those without a dot have no key. */
function splitName(name: string): { key: string; ending: string } {
  const dot = name.indexOf(".", name.lastIndexOf("/") + 1);
  if (dot < 0) return { key: "", ending: "" };
  return { key: name[dot - 1] === "/" ? "" : name.slice(0, dot), ending: name.slice(dot + 1) };
}

/** -1 for what is no class number. */
async function readLabel(reader: TarReader, member: TarMember): Promise<number> {
  if (member.length > mostLabelBytes) return -1;
  const text = new TextDecoder().decode(await reader.contents(member)).trim();
  return /^\d{1,9}$/.test(text) ? Number(text) : -1;
}

async function toIndex(path: string, bytes: number, samples: Map<string, Sample>): Promise<ShardIndex> {
  const withoutImage: string[] = [];
  const found: { image: TarMember; label: number }[] = [];
  for (const [key, { image, label = -1 }] of samples) {
    if (image) found.push({ image, label });
    else withoutImage.push(key);
  }
  found.sort((one, other) => one.image.start - other.image.start);
  return {
    path,
    bytes,
    digest: await digestText(JSON.stringify(
      found.map((
        { image: { name, start, length, modified }, label },
      ) => [name, start, length, modified, label]),
    )),
    names: found.map(({ image }) => image.name),
    starts: Float64Array.from(found, ({ image }) => image.start),
    lengths: Float64Array.from(found, ({ image }) => image.length),
    labels: Int32Array.from(found, ({ label }) => label),
    withoutImage,
  };
}

function severalImages(path: string, first: string, second: string): DataError {
  const what = first === second ? `"${first}" twice` : `"${first}" and "${second}"`;
  return new DataError(
    `"${path}" has ${what}: names that are alike up to their first dot belong to one sample, which has one image. ` +
      "Give them other names.",
  );
}

function severalLabels(path: string, name: string): DataError {
  return new DataError(
    `"${path}" has "${name}" twice, or in other letters; a sample has one class. Remove one.`,
  );
}
