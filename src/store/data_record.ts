/**
 * `data.json` in a run's folder: which images the run uses, file by file, and which of them it holds out. It is written
 * when a run starts, and again when changed images are accepted.
 */
import { join } from "@std/path";
import { z } from "zod";
import { DataError } from "../errors.ts";
import { writeFileAtomically } from "./atomic_file.ts";

/** A file as it was when the list was made. */
export interface ListedFile {
  /** Relative to the folder of the set, with "/". */
  readonly path: string;
  /** Null for a file that could not be looked at. */
  readonly bytes: number | null;
  /** Digest of the contents; null for a file that could not be read. */
  readonly digest: string | null;
  /** When its contents and its entry were changed last, in milliseconds since 1970: whether to digest it again. */
  readonly modified: number;
  readonly changed: number;
}

/** What a set of images was read from. */
export interface ImageList {
  /** "images": a file for each image; "records": files of many images; "made": no files. */
  readonly kind: "images" | "records" | "made";
  /** How the images of a set without files are made. */
  readonly recipe: string;
  /** Number of images, unreadable ones among them. */
  readonly images: number;
  /** In the order of the images. */
  readonly files: readonly ListedFile[];
  /** When the files were looked at, in milliseconds since 1970. */
  readonly listed: number;
  /** Of kind, recipe, number, and of every file's path, length and contents. */
  readonly digest: string;
}

/** A set of images that a run uses. */
export interface RecordedSet {
  /** The specification. */
  readonly source: string;
  readonly list: ImageList;
  /** Indices of images that could not be read when the run began, with the reasons. */
  readonly unreadable: readonly (readonly [index: number, reason: string])[];
}

/** Changed images that a resumed run was told to accept. */
export interface AcceptedChange {
  /** Steps done by then. */
  readonly step: number;
  /** Digest of the list before. */
  readonly before: string;
  /** What was changed, in words. */
  readonly change: string;
}

/** The images of a run. */
export interface DataRecord extends RecordedSet {
  /** Indices of the images that are kept for evaluation, ascending: never trained on, never searched with. */
  readonly heldOut: readonly number[];
  /** The set of `data.test`, where there is one. */
  readonly test: RecordedSet | null;
  readonly accepted: readonly AcceptedChange[];
}

const recordFormat = 1;
const fileName = "data.json";
const index = z.int().min(0);
const listSchema = z.object({
  kind: z.enum(["images", "records", "made"]),
  recipe: z.string(),
  images: index,
  listed: z.number(),
  digest: z.string(),
  files: z.array(z.tuple([z.string(), index.nullable(), z.string().nullable(), z.number(), z.number()])),
});
const setShape = {
  source: z.string(),
  list: listSchema,
  unreadable: z.array(z.tuple([index, z.string()])),
};
const recordSchema = z.object({
  format: z.literal(recordFormat),
  ...setShape,
  heldOut: z.array(index),
  test: z.object(setShape).nullable(),
  accepted: z.array(z.object({ step: index, before: z.string(), change: z.string() })),
});
type Stored = z.infer<typeof recordSchema>;
type StoredSet = NonNullable<Stored["test"]>;

/** The first 32 hexadecimal digits of a SHA-256. */
export async function digestText(text: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return hash.subarray(0, 16).toHex();
}

/** The digest of a list: the same for the same images in the same order. */
export async function listDigest(
  { kind, recipe, images, files }: Omit<ImageList, "digest" | "listed">,
): Promise<string> {
  const contents = files.map(({ path, bytes, digest }) => [path, bytes, digest]);
  return await digestText(JSON.stringify([kind, recipe, images, contents]));
}

/** Where the record of a run lies. */
export function dataRecordPath(run: string): string {
  return join(run, fileName);
}

/**
 * Writes the record into a run's folder, atomically.
 *
 * @throws {DataError} when the file system refuses
 */
export async function writeDataRecord(run: string, record: DataRecord): Promise<void> {
  const { heldOut, test, accepted } = record;
  const stored = {
    format: recordFormat,
    ...toStored(record),
    heldOut,
    test: test && toStored(test),
    accepted,
  } as Stored;
  const body = JSON.stringify(stored);
  await writeFileAtomically(
    dataRecordPath(run),
    `{"checksum":"${await digestText(body)}",\n"record":${body}}\n`,
  );
}

/**
 * Reads the record of a run; undefined for a run that has none, as older versions wrote.
 *
 * @throws {DataError} for a file that is damaged or of another format
 */
export async function readDataRecord(run: string): Promise<DataRecord | undefined> {
  const path = dataRecordPath(run);
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (!(error instanceof Error)) throw error;
    throw new DataError(`Cannot read ${path}: ${error.message}.`, { cause: error });
  }
  const refuse = (reason: string, cause?: unknown): never => {
    throw new DataError(
      `${path} is no record of a run's images: ${reason}. Restore it. Without it, which images were held out can only ` +
        "be worked out from the images that are there now; to go on so, remove it.",
      { cause },
    );
  };
  let stored: Stored;
  try {
    const { checksum, record } = JSON.parse(text);
    if (checksum !== await digestText(JSON.stringify(record))) return refuse("it is damaged");
    stored = recordSchema.parse(record);
  } catch (error) {
    if (error instanceof DataError) throw error;
    return refuse("it is damaged or of another version", error);
  }
  for (const set of [stored, ...(stored.test ? [stored.test] : [])]) {
    const { list, unreadable } = set;
    const beyond = [...unreadable.map(([at]) => at), ...(set === stored ? stored.heldOut : [])]
      .some((at) => at >= list.images);
    if (beyond || (list.kind === "images" && list.files.length !== list.images)) {
      refuse("it contradicts itself");
    }
  }
  const { heldOut, test, accepted } = stored;
  return { ...fromStored(stored), heldOut, test: test && fromStored(test), accepted };
}

function toStored({ source, list, unreadable }: RecordedSet): StoredSet {
  const files = list.files.map((
    { path, bytes, digest, modified, changed },
  ): StoredSet["list"]["files"][0] => [
    path,
    bytes,
    digest,
    modified,
    changed,
  ]);
  return { source, list: { ...list, files }, unreadable: unreadable.map(([at, reason]) => [at, reason]) };
}

function fromStored({ source, list, unreadable }: StoredSet): RecordedSet {
  const files = list.files.map(([path, bytes, digest, modified, changed]) => ({
    path,
    bytes,
    digest,
    modified,
    changed,
  }));
  return { source, list: { ...list, files }, unreadable };
}
